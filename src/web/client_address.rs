//! Finds the client address of a request.

use actix_web::HttpRequest;

use crate::domain::ClientAddress;
use crate::web::state::state;

/// The header to which each proxy appends the address of its client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the client address of `request`, in the form that rate limits count.
#[must_use]
pub fn of(request: &HttpRequest) -> ClientAddress {
    let Some(peer) = request.peer_addr() else {
        return ClientAddress::unknown();
    };
    let lines = request.headers().get_all(FORWARDED_FOR);
    let lines: Vec<&str> = lines
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    let trusted = &state(request).core.config.trusted_proxies;
    ClientAddress::forwarded(trusted, peer.ip(), &lines)
}
