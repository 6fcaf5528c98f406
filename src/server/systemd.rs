//! What a service manager such as systemd asks of a server: to say that it is ready, alive or stopping, and to take
//! over a socket.
//!
//! Protocols: `sd_notify(3)`, `sd_listen_fds(3)`. Without a service manager, all of it does nothing.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::core::Core;

/// Tells the service manager that the server answers requests.
pub fn notify_ready() {
    notify(NotifyState::Ready);
}

/// Tells the service manager that the server is stopping.
pub(super) fn notify_stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// Tells the service manager's watchdog that the server is alive, twice in each of its intervals. Runs until aborted, and
/// does nothing if there is no watchdog.
///
/// A server whose main thread hangs, or whose messages are locked for ever, is silent, and is started again. One whose
/// database is away is not: starting it again would only lose the messages.
pub(super) async fn feed_watchdog(core: Arc<Core>) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval((interval / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        // A server whose Redis is away is not started again either.
        let _bytes = core.messages.bytes().await;
        notify(NotifyState::Watchdog);
    }
}

/// Returns the socket that the service manager holds for this server, if it holds one.
///
/// # Errors
/// When it passed more than one, or something else than a TCP socket that listens.
pub(super) fn inherited_listener() -> io::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        return Err(io::Error::other(
            "the service manager passed more than one socket",
        ));
    }
    sockets.take_tcp_listener(0)
}
