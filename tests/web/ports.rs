//! Ports for servers.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports that no usual service has, and that Linux gives to nobody who asks for any port (those from 32768).
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// Returns a free port. No other call returns it, and no connection gets it, so that a server can free it and take it
/// again.
pub fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // Tests that run in several processes at once begin at different ports.
    let begin = std::process::id().wrapping_mul(1_009);
    for _ in 0..COUNT {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + begin.wrapping_add(call) % COUNT;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Returns an address with a free port, for the setting `--bind`.
pub fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}
