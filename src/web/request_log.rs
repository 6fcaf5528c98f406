//! The request log: one line at the end of each request, with an ID that all log lines of the request share.
//!
//! Routes are logged by their pattern, so that no link's secret reaches the log. Message text, passwords and
//! cookies are never logged.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::{Level, Span};
use tracing_actix_web::RootSpanBuilder;

use crate::clock::Stopwatch;
use crate::domain::ClientAddress;
use crate::web::routes;
use crate::web::state::state;

/// The header with the request's ID in the log of a proxy.
const REQUEST_ID: &str = "x-request-id";
/// The longest ID that is taken over, in bytes. nginx has 32, Caddy 36.
const MAX_ID_LENGTH: usize = 64;

/// The ID that a trusted proxy gave a request.
#[derive(Debug, Clone)]
struct ForwardedId(Arc<str>);

/// Returns the ID of a request in the log: that of a trusted proxy, or else a random one.
#[must_use]
pub fn request_id(request: &HttpRequest) -> String {
    let extensions = request.extensions();
    if let Some(ForwardedId(id)) = extensions.get() {
        return id.to_string();
    }
    let own = extensions.get::<tracing_actix_web::RequestId>();
    own.map(ToString::to_string).unwrap_or_default()
}

/// Returns the ID of `request` if a trusted proxy sent one that cannot forge or break a line of the log: ASCII
/// letters, digits, `-`, `_`, `.`, `:`, `=`, `+` and `/`, at most [`MAX_ID_LENGTH`] of them.
fn forwarded_id(request: &HttpRequest) -> Option<ForwardedId> {
    let trusted = &state(request).core.config.trusted_proxies;
    if trusted.is_empty() {
        return None;
    }
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let peer = request.peer_addr()?;
    let is_proxy = ClientAddress::of_connection(peer.ip(), trusted).is_none();
    (is_proxy && is_valid_id(id)).then(|| ForwardedId(id.into()))
}

fn is_valid_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(&byte);
    (1..=MAX_ID_LENGTH).contains(&id.len()) && id.bytes().all(is_allowed)
}

/// Writes the log line of a request.
pub struct RequestLog;

impl RootSpanBuilder for RequestLog {
    fn on_request_start(request: &ServiceRequest) -> Span {
        request.extensions_mut().insert(Stopwatch::start());
        if let Some(ForwardedId(id)) = forwarded_id(request.request()) {
            let span = tracing::info_span!("request", request_id = &*id);
            request.extensions_mut().insert(ForwardedId(id));
            return span;
        }
        let extensions = request.extensions();
        let id = extensions.get::<tracing_actix_web::RequestId>().copied();
        tracing::info_span!("request", request_id = id.map(tracing::field::display))
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
        let pattern = request.match_pattern();
        let route = pattern.as_deref().unwrap_or("(none)");
        let began = request.extensions().get::<Stopwatch>().copied();
        let duration = began.map(|watch| watch.elapsed()).unwrap_or_default();
        let duration_ms = duration.as_secs_f64() * 1_000.0;
        if let Some(counts) = &state(request).request_counts {
            counts.count(pattern.as_deref(), request.method(), status, duration);
        }
        let status_code = status.as_u16();
        // Scripts and monitors request these routes all the time, and would bury everything else.
        if routes::is_quiet(route) && !status.is_server_error() {
            tracing::event!(
                Level::DEBUG,
                method,
                route,
                status = status_code,
                duration_ms,
                "request completed"
            );
        } else {
            tracing::event!(
                Level::INFO,
                method,
                route,
                status = status_code,
                duration_ms,
                "request completed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_breaks_no_line_of_the_log() {
        for id in [
            "7",
            "0b6e2f3c-6f2b-4e0e-9d0a-1f2e3d4c5b6a",
            "00f067aa0ba902b7",
            "Root=1-67891233-abcdef012345678912345678",
            &"a".repeat(MAX_ID_LENGTH),
        ] {
            assert!(is_valid_id(id), "{id}");
        }
        for id in [
            "",
            "a b",
            "a\nb",
            "\"",
            "{}",
            "é",
            &"a".repeat(MAX_ID_LENGTH + 1),
        ] {
            assert!(!is_valid_id(id), "{id:?}");
        }
    }
}
