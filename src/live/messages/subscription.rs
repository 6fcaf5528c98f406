//! Waiting for the next event of a room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// A subscription to a room's events.
pub struct Subscription {
    events: watch::Receiver<()>,
    /// The number of the room's subscriptions that have begun to wait.
    waiting: Arc<AtomicUsize>,
    has_waited: bool,
}

/// The error of a subscription to a room that was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl Subscription {
    pub(super) fn new(events: watch::Receiver<()>, waiting: Arc<AtomicUsize>) -> Self {
        Self {
            events,
            waiting,
            has_waited: false,
        }
    }

    /// Waits until the room has had an event, or its readers were woken, since the subscription was made
    /// or this function last returned. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the room was forgotten.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        if !self.has_waited {
            self.has_waited = true;
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        self.events.changed().await.or(Err(Closed))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.has_waited {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
