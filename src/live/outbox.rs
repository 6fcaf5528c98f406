//! What a process has to tell Redis that no request waits for: who was seen where, and how far people have read.
//!
//! In memory, there is nothing to tell.

/// Stands for something that was told. [`Outbox::written`] waits until others can know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Ticket(u64);

impl Ticket {
    /// Nothing was told, or it is known already.
    pub const NONE: Self = Self(0);
}

/// What this process has to tell.
#[derive(Debug, Default)]
pub struct Outbox;

impl Outbox {
    /// Makes the outbox of a process that shares its live state with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self
    }

    /// Waits until the other processes can know what was told, if Redis answers. Returns at once for
    /// [`Ticket::NONE`].
    #[expect(clippy::unused_async, reason = "the outbox to Redis will wait for it")]
    pub async fn written(&self, ticket: Ticket) {
        debug_assert_eq!(ticket, Ticket::NONE, "nothing is told in memory");
    }
}
