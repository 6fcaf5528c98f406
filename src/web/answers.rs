//! The answers that pages share.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use crate::core::run_to_completion;
use crate::domain::Lifespan;
use crate::live::done_forms::Made;
use crate::services::members::Joined;
use crate::urls::{room_done_url, room_url};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;
use crate::web::session;
use crate::web::state::state;

/// Renders a page with status 200.
pub fn html(page: &impl Template) -> PageResult {
    html_with(StatusCode::OK, page)
}

/// More bytes than most pages have. A buffer that grows with the page would copy it again and again.
const PAGE_CAPACITY: usize = 64 * 1024;

/// Renders a page with the given status.
pub fn html_with(status: StatusCode, page: &impl Template) -> PageResult {
    let mut body = String::with_capacity(PAGE_CAPACITY);
    page.render_into(&mut body)?;
    // Gives back the rest, in place: a slow client may keep the page for long.
    body.shrink_to_fit();
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(body))
}

/// Returns `answer`, except for an error that waiting solves: then shows the form again with the typed values,
/// the error's status and `Retry-After`.
///
/// The error's sentence goes to `field`, the form's first field.
pub fn or_retry_form(
    answer: PageResult,
    field: &'static str,
    form: impl FnOnce(Problems) -> PageResult,
) -> PageResult {
    let error = match answer {
        Err(error) => error,
        answer => return answer,
    };
    let Some(wait_s) = error.retry_after_s() else {
        return Err(error);
    };
    error.log();
    let words = Lifespan(Duration::from_secs(wait_s));
    let sentence = format!("{error}. Wait {words}, then try again");
    let form = form(Problems::one(field, sentence))?;
    Ok(with_retry_after(form, error.status_code(), wait_s))
}

/// Sets the status and `Retry-After` of an answer that shows a form again.
pub fn with_retry_after(mut form: HttpResponse, status: StatusCode, wait_s: u64) -> HttpResponse {
    *form.status_mut() = status;
    form.headers_mut()
        .insert(header::RETRY_AFTER, wait_s.into());
    form
}

/// Redirects into the joined room, or returns the error for why the person cannot join.
pub fn join_response(joined: Joined) -> PageResult {
    match joined {
        Joined::Now(room) => Ok(see_other(room_done_url(room, "joined"))),
        Joined::AlreadyMember(room) => Ok(see_other(room_url(room))),
        Joined::Banned { name, reason } => Err(AppError::Banned { name, reason }),
        Joined::Full { name } => Err(AppError::Full { name }),
        Joined::Refused => Err(AppError::NoSuchRoom),
    }
}

/// Returns the answer of `work`, by which a signed-in person's form ends something, such as a membership.
///
/// When the form is sent again, there is nothing left to end, and `work` fails with an error that `is_over` knows. The
/// answer is the same redirect as the first then.
///
/// Runs to completion even if the client hangs up, as a browser does that sends the form again.
pub async fn end_once(
    request: &HttpRequest,
    is_over: impl FnOnce(&AppError) -> bool + 'static,
    work: impl Future<Output = PageResult> + 'static,
) -> PageResult {
    let core = Arc::clone(&state(request).core);
    let session = session::key_in(request);
    let form = session.map(|key| core.nonces.of_address(key.digest(), request.path()));
    let answered = run_to_completion(async move {
        let turn = core.done_forms.turn(form, core.clock.site_time()).await?;
        let answer = work.await;
        Ok(match (answer, turn.made()) {
            (Err(error), Some(Made::End(address))) if is_over(&error) => Ok(see_other(address)),
            (Ok(done), _) => {
                let location = done.headers().get(header::LOCATION);
                if let Some(address) = location.and_then(|value| value.to_str().ok()) {
                    let made = Made::End(address.to_owned());
                    turn.note(made, core.clock.site_time()).await;
                }
                Ok(done)
            }
            (failed, _) => failed,
        })
    });
    answered.await?
}

/// Redirects to `address` with 303, so that the browser follows with GET.
pub fn see_other(address: impl AsRef<str>) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, address.as_ref()))
        .finish()
}
