//! The outbox, as the rest of Mirage sees it.

use std::sync::Arc;

use super::shared::SharedOutbox;
use super::ticket::Ticket;

/// What this process has to tell the others.
pub struct Outbox {
    shared: Option<Arc<SharedOutbox>>,
}

impl Outbox {
    /// Makes the outbox of a process that shares its live state with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { shared: None }
    }

    /// Makes the outbox of a process that shares its live state in Redis.
    #[must_use]
    pub fn on_redis(shared: Arc<SharedOutbox>) -> Self {
        Self {
            shared: Some(shared),
        }
    }

    /// Waits until the other processes can know what was told, if Redis answers. Returns at once for
    /// [`Ticket::NONE`].
    pub async fn written(&self, ticket: Ticket) {
        if let Some(shared) = &self.shared {
            shared.written(ticket).await;
        }
    }
}
