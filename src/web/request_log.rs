//! The request log: one line for each request, with an id that all log lines of the request share.
//!
//! Routes are logged by their pattern, so that no link's secret reaches the log. Message text, passwords and
//! cookies are never logged.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use tracing::{Level, Span};
use tracing_actix_web::{RequestId, RootSpanBuilder};

use crate::clock::Stopwatch;
use crate::web::routes;

/// Writes the log line of a request.
pub struct RequestLog;

impl RootSpanBuilder for RequestLog {
    fn on_request_start(request: &ServiceRequest) -> Span {
        request.extensions_mut().insert(Stopwatch::start());
        let id = request.extensions().get::<RequestId>().copied();
        tracing::info_span!("request", id = id.map(tracing::field::display))
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let _entered = span.enter();
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                let status = error.as_response_error().status_code().as_u16();
                tracing::error!(status, %error, "request failed");
                return;
            }
        };
        let request = response.request();
        let status = response.status();
        let method = request.method().as_str();
        let route = request.match_pattern();
        let route = route.as_deref().unwrap_or("(none)");
        let began = request.extensions().get::<Stopwatch>().copied();
        let ms = began.map(|watch| watch.elapsed().as_secs_f64() * 1_000.0);
        let status_code = status.as_u16();
        // Scripts and monitors request these routes all the time, and would bury everything else.
        if routes::is_quiet(route) && !status.is_server_error() {
            tracing::event!(
                Level::DEBUG,
                method,
                route,
                status = status_code,
                ms,
                "request completed"
            );
        } else {
            tracing::event!(
                Level::INFO,
                method,
                route,
                status = status_code,
                ms,
                "request completed"
            );
        }
    }
}
