//! What is done around every handler.
//!
//! It is one middleware: each that actix calls costs every request an allocation, and moves the request and its answer
//! once more.

use std::pin::pin;

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT_ENCODING, COOKIE, HeaderMap};
use actix_web::middleware::Next;

use crate::clock::Stopwatch;
use crate::web::connections::{self, AnswerBody};
use crate::web::error::AppError;
use crate::web::pages::poll;
use crate::web::request_log::{self, RequestId};
use crate::web::{compression, error_page, headers, same_origin};

/// Answers a request, and writes its log line.
///
/// # Errors
/// The errors of the handler that it does not answer itself.
pub async fn answer(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<AnswerBody>, Error> {
    let watch = Stopwatch::start();
    let id = RequestId::of(request.request());
    let answering = pin!(async {
        let outcome = make(request, next).await;
        request_log::write_line(watch, &outcome);
        outcome
    });
    id.scope(answering).await
}

/// Receives the body of a request, refuses what another site has sent, calls the handler, and adds to its answer what
/// every answer has.
async fn make(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<AnswerBody>, Error> {
    let answering = connections::begin_answer(request.request()).await;
    let response = match connections::buffer_body(&mut request).await {
        Ok(()) if same_origin::is_allowed(request.request()) => {
            if poll::may_wait(request.request()) {
                free_headers(request.headers_mut());
            }
            next.call(request).await?
        }
        Ok(()) => request.error_response(AppError::ForeignOrigin),
        Err(error) => request.error_response(error),
    };
    let mut response = error_page::add(response).await?;
    headers::add(response.headers_mut());
    Ok(answering.with(compression::compress(response)))
}

/// Frees the headers of a request that waits, except for those that its answer needs: with all of them, each waiting
/// client would take 6 KiB more.
fn free_headers(headers: &mut HeaderMap) {
    let mut kept = HeaderMap::with_capacity(2);
    for name in [COOKIE, ACCEPT_ENCODING] {
        for value in headers.remove(&name) {
            kept.append(name.clone(), value);
        }
    }
    *headers = kept;
}
