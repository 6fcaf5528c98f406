//! Waiting for the next event of a room.

use tokio::sync::watch;

/// A subscription to a room's events.
pub struct Subscription(watch::Receiver<()>);

/// The error of a subscription to a room that was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl Subscription {
    pub(super) fn new(receiver: watch::Receiver<()>) -> Self {
        Self(receiver)
    }

    /// Waits until the room has had an event, or its readers were woken, since the subscription was made
    /// or this function last returned. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the room was forgotten.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        self.0.changed().await.or(Err(Closed))
    }
}
