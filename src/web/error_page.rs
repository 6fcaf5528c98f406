//! The error page.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::{Error, HttpResponse, ResponseError};
use askama::Template;

use crate::web::error::AppError;
use crate::web::layout::{Layout, NavPage};
use crate::web::request_log::RequestId;
use crate::web::session::Visitor;
use crate::web::state::state;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: Layout<'a>,
    error: &'a AppError,
    request_id: String,
}

/// Adds an error page, in the site's layout, to each answer that is an [`AppError`].
///
/// # Errors
/// When the template fails.
pub async fn add(response: ServiceResponse<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(error) = response
        .response()
        .error()
        .and_then(|error| error.as_error::<AppError>())
    else {
        return Ok(response);
    };
    error.log();
    if matches!(error, AppError::SignedOut { .. }) {
        return Ok(response);
    }
    let request = response.request();
    // The page must be shown even if the database is unreachable. Boxed because every waiting answer would otherwise
    // reserve memory for this future.
    let visitor = Box::pin(Visitor::of(request)).await.unwrap_or_default();
    let layout = Layout::new(state(request), visitor.user.as_ref(), NavPage::Other);
    let page = ErrorPage {
        layout,
        error,
        request_id: RequestId::current().map_or_else(String::new, |id| id.to_string()),
    };
    let mut answer = HttpResponse::build(error.status_code());
    for (name, value) in response.response().headers() {
        answer.insert_header((name.clone(), value.clone()));
    }
    let answer = answer
        .content_type("text/html; charset=utf-8")
        .body(page.render().map_err(AppError::from)?);
    Ok(response.into_response(answer))
}
