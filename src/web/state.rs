//! The state that all workers of the web server share.

use std::sync::Arc;

use actix_web::http::header::HOST;
use actix_web::{HttpRequest, web};

use crate::core::Core;
use crate::domain::AboutText;
use crate::web::assets::Assets;
use crate::web::body_limits::{BodyLimits, LargeBodies};
use crate::web::cookie::CookieConfig;
use crate::web::next::NextPages;
use crate::web::request_counts::RequestCounts;

/// The state that pages work on: the core, and what only HTTP needs.
pub struct WebState {
    /// The state that services work on.
    pub core: Arc<Core>,
    /// The style sheet, the scripts and the icon.
    pub assets: Assets,
    /// The operator's text about the site, if there is one.
    pub about: Option<AboutText>,
    /// The settings of the session cookie.
    pub cookie: CookieConfig,
    /// Returns the limits on the size of a request's body for a route, by the route's pattern.
    pub body_limits: fn(Option<&str>) -> BodyLimits,
    /// The memory for large bodies.
    pub large_bodies: LargeBodies,
    /// The counts of requests, if there are metrics.
    pub request_counts: Option<Arc<RequestCounts>>,
    /// The pages that may follow signing in.
    pub next_pages: NextPages,
}

/// Returns the shared state, to which every request has a reference.
#[expect(clippy::expect_used, reason = "the server gives it to every request")]
pub fn state(request: &HttpRequest) -> &web::Data<WebState> {
    request.app_data().expect("every request has the state")
}

/// Returns the absolute URL of `path`, for people to share. Its origin is the server's public URL or, if that is
/// not set, the host that the request was sent to.
#[must_use]
pub fn absolute_url(request: &HttpRequest, path: &str) -> String {
    let address = &state(request).core.config.address;
    if address.public_url.is_some() {
        return address.url(path);
    }
    let host = request.headers().get(HOST);
    match host.and_then(|host| host.to_str().ok()) {
        Some(host) => format!("http://{host}{path}"),
        None => address.url(path),
    }
}
