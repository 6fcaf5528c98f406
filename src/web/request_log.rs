//! The request log: one line at the end of each request, with an ID that all log lines of the request share.
//!
//! Routes are logged by their pattern, so that no link's secret reaches the log. Message text, passwords and
//! cookies are never logged.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;

use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::{Error, HttpRequest};
use tracing::Level;
use uuid::Uuid;

use crate::clock::Stopwatch;
use crate::domain::ClientAddress;
use crate::web::routes;
use crate::web::state::state;

/// The header with the request's ID in the log of a proxy.
const REQUEST_ID: &str = "x-request-id";
/// The longest ID that is taken over, in bytes. nginx has 32, Caddy 36.
const MAX_ID_LENGTH: usize = 64;

thread_local! {
    /// The ID of the request that this thread is working on.
    ///
    /// A span of `tracing` would hold the ID too, but it is formatted and registered before anybody knows whether the
    /// request logs anything, which takes a fifth of the instructions of an idle poll.
    static CURRENT: RefCell<Option<RequestId>> = const { RefCell::new(None) };
}

/// The ID that all log lines of a request share.
#[derive(Debug, Clone)]
pub enum RequestId {
    /// A random ID.
    Own(Uuid),
    /// The ID that a trusted proxy gave the request.
    Forwarded(Rc<str>),
}

impl RequestId {
    /// Returns the ID of a request that begins: that of a trusted proxy, or else a random one.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        forwarded_id(request).map_or_else(|| Self::Own(Uuid::new_v4()), Self::Forwarded)
    }

    /// Returns the ID of the request that this thread is working on, if there is one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Does `work` as part of the request with this ID.
    pub fn scope<F: Future>(self, mut work: Pin<&mut F>) -> impl Future<Output = F::Output> {
        std::future::poll_fn(move |context| {
            let _scope = Scope::enter(self.clone());
            work.as_mut().poll(context)
        })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(id) => id.fmt(f),
            Self::Forwarded(id) => id.fmt(f),
        }
    }
}

/// Makes a request the current one of this thread until dropped.
struct Scope;

impl Scope {
    fn enter(id: RequestId) -> Self {
        CURRENT.set(Some(id));
        Self
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// Returns the ID of `request` if a trusted proxy sent one that cannot forge or break a line of the log: ASCII
/// letters, digits, `-`, `_`, `.`, `:`, `=`, `+` and `/`, at most [`MAX_ID_LENGTH`] of them.
fn forwarded_id(request: &HttpRequest) -> Option<Rc<str>> {
    let trusted = &state(request).core.config.trusted_proxies;
    if trusted.is_empty() {
        return None;
    }
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let peer = request.peer_addr()?;
    let is_proxy = ClientAddress::of_connection(peer.ip(), trusted).is_none();
    (is_proxy && is_valid_id(id)).then(|| id.into())
}

fn is_valid_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(&byte);
    (1..=MAX_ID_LENGTH).contains(&id.len()) && id.bytes().all(is_allowed)
}

/// Writes the log line of a request that began with `watch`, and counts the request.
pub fn write_line<B: MessageBody>(watch: Stopwatch, outcome: &Result<ServiceResponse<B>, Error>) {
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
    let duration = watch.elapsed();
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
