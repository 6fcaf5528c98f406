//! Reads the address that a request comes from.

use actix_web::HttpRequest;

use crate::domain::ClientAddress;
use crate::web::state::state;

/// The header to which each proxy adds the address that it was asked by, the last one last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the address that `request` comes from, as rate limits count it.
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
