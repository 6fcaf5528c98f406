//! Stands for something that was told.

/// Stands for something that was told. [`Outbox::written`](super::Outbox::written) waits until others can know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Ticket(pub(super) u64);

impl Ticket {
    /// Nothing was told, or it was told a moment ago and is not waited for.
    pub const NONE: Self = Self(0);
}
