//! The answers that pages have in common.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;

use crate::domain::Lifespan;
use crate::services::members::Joined;
use crate::urls::{room_done_url, room_url};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;

/// A page, with status 200.
pub fn html(page: &impl Template) -> PageResult {
    html_with(StatusCode::OK, page)
}

/// A page with another status.
pub fn html_with(status: StatusCode, page: &impl Template) -> PageResult {
    let body = page.render()?;
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(body))
}

/// What a page answers to a form. Where that is an error and all it takes is to wait, the form again
/// instead, with what was typed, the error's status, and when to try again; `field` is the first of its
/// fields.
pub fn or_form_for_later(
    answer: PageResult,
    field: &'static str,
    form: impl FnOnce(Problems) -> PageResult,
) -> PageResult {
    let error = match answer {
        Err(error) => error,
        answer => return answer,
    };
    let Some(wait_s) = error.wait_s() else {
        return Err(error);
    };
    error.log();
    let words = Lifespan(Duration::from_secs(wait_s));
    let sentence = format!("{error}. Wait {words}, then try again");
    let form = form(Problems::one(field, sentence))?;
    Ok(for_later(form, error.status_code(), wait_s))
}

/// A form that was given back for now, with the status that says why and when to send it again.
pub fn for_later(mut form: HttpResponse, status: StatusCode, wait_s: u64) -> HttpResponse {
    *form.status_mut() = status;
    form.headers_mut()
        .insert(header::RETRY_AFTER, wait_s.into());
    form
}

/// Leads into the room that somebody has joined, or says why they may not.
pub fn into_room(joined: Joined) -> PageResult {
    match joined {
        Joined::Now(room) => Ok(see_other(room_done_url(room, "joined"))),
        Joined::AlreadyMember(room) => Ok(see_other(room_url(room))),
        Joined::Banned { name, reason } => Err(AppError::Banned { name, reason }),
        Joined::Full { name } => Err(AppError::Full { name }),
        Joined::Refused => Err(AppError::NoSuchRoom),
    }
}

/// Leads on to `address`, by GET whatever was sent.
pub fn see_other(address: impl AsRef<str>) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, address.as_ref()))
        .finish()
}
