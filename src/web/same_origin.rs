//! Protects against cross-site request forgery (CSRF).
//!
//! Follows the rule of Go's `net/http.CrossOriginProtection`: browsers say where a request comes from in
//! `Sec-Fetch-Site` or, if they are older, in `Origin`. A client that sends neither is not a browser that another
//! site could misuse. So forms need no CSRF token.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use crate::config::PublicUrl;
use crate::web::state::state;

/// The header in which browsers say how the site that sends a request is related to this one.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns whether a request may change something: `false` if it is not GET, HEAD or OPTIONS and was sent by another
/// site.
#[must_use]
pub fn is_allowed(request: &HttpRequest) -> bool {
    let is_safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let public_url = &state(request).core.config.address.public_url;
    is_safe || is_ours(request.headers(), public_url.as_ref())
}

fn is_ours(headers: &HeaderMap, public_url: Option<&PublicUrl>) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    match public_url {
        Some(ours) => origin.eq_ignore_ascii_case(ours.origin()),
        None => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority
                .zip(host)
                .is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
        }
    }
}
