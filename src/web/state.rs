//! What all workers of the web server share.

use std::sync::Arc;

use actix_web::http::header::HOST;
use actix_web::{HttpRequest, web};

use crate::core::Core;
use crate::web::assets::Assets;
use crate::web::next::NextPages;

/// What pages work on: the core, and what HTTP needs besides.
pub struct WebState {
    /// What services work on.
    pub core: Arc<Core>,
    /// The style sheet, the scripts and the icon.
    pub assets: Assets,
    /// The pages that one can be led to after signing in.
    pub next_pages: NextPages,
}

/// Returns the state, which hangs on every request.
#[expect(clippy::expect_used, reason = "the server gives it to every request")]
pub fn state(request: &HttpRequest) -> &web::Data<WebState> {
    request.app_data().expect("every request has the state")
}

/// Returns the whole address of `path`, to be given to people: at the public address of the server, or else at
/// the address that the request was sent to.
#[must_use]
pub fn whole_url(request: &HttpRequest, path: &str) -> String {
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
