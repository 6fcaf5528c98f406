//! What is done around every handler.
//!
//! It is one middleware: each that actix calls costs every request an allocation, and moves the request and its answer
//! once more.

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use crate::web::connections::{self, AnswerBody};
use crate::web::error::AppError;
use crate::web::{compression, error_page, headers, same_origin};

/// Receives the body of a request, refuses what another site has sent, calls the handler, and adds to its answer what
/// every answer has.
///
/// # Errors
/// The errors of the handler that it does not answer itself.
pub async fn answer(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<AnswerBody>, Error> {
    let answering = connections::begin_answer(request.request()).await;
    let response = match connections::buffer_body(&mut request).await {
        Ok(()) if same_origin::is_allowed(request.request()) => next.call(request).await?,
        Ok(()) => request.error_response(AppError::ForeignOrigin),
        Err(error) => request.error_response(error),
    };
    let mut response = error_page::add(response).await?;
    headers::add(response.headers_mut());
    Ok(answering.with(compression::compress(response)))
}
