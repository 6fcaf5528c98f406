//! The error page.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use crate::web::error::AppError;
use crate::web::layout::{Layout, NavPage};
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
pub async fn show_page<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let response = next.call(request).await?;
    let Some(error) = response
        .response()
        .error()
        .and_then(|error| error.as_error::<AppError>())
    else {
        return Ok(response.map_into_left_body());
    };
    error.log();
    if matches!(error, AppError::SignedOut { .. }) {
        return Ok(response.map_into_left_body());
    }
    let request = response.request();
    // The page must be shown even if the database is unreachable.
    let visitor = Visitor::of(request).await.unwrap_or_default();
    let id = request_id(request);
    let layout = Layout::new(state(request), visitor.user.as_ref(), NavPage::Other);
    let page = ErrorPage {
        layout,
        error,
        request_id: id,
    };
    let mut answer = HttpResponse::build(error.status_code());
    for (name, value) in response.response().headers() {
        answer.insert_header((name.clone(), value.clone()));
    }
    let answer = answer
        .content_type("text/html; charset=utf-8")
        .body(page.render().map_err(AppError::from)?);
    Ok(response.into_response(answer.map_into_right_body()))
}

fn request_id(request: &HttpRequest) -> String {
    let extensions = request.extensions();
    extensions
        .get::<tracing_actix_web::RequestId>()
        .map(ToString::to_string)
        .unwrap_or_default()
}
