//! How many messages came and went, for metrics.

use super::message::Message;
use crate::metrics::Counter;

/// Messages and their memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// The number of messages.
    pub messages: u64,
    /// Their memory in bytes.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += u64::try_from(message.bytes()).unwrap_or(0);
    }
}

/// Messages that came and went, by the reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Posted.
    pub added: Amount,
    /// Freed after their deadline.
    pub expired: Amount,
    /// Removed to make room for newer ones.
    pub evicted: Amount,
    /// Deleted by a person, or with an account.
    pub deleted: Amount,
}

/// What all rooms hold now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// The rooms that hold a message or are followed.
    pub rooms: usize,
    /// The messages, with expired ones until they are freed.
    pub messages: usize,
    /// The memory of messages and reports, in bytes.
    pub bytes: usize,
    /// The subscriptions to rooms that have begun to wait: the waiting polls.
    pub waiting: usize,
}

/// The tally of all rooms so far.
#[derive(Debug, Default)]
pub(super) struct Totals {
    added: Total,
    expired: Total,
    evicted: Total,
    deleted: Total,
}

impl Totals {
    pub(super) fn add(&self, tally: &Tally) {
        if *tally == Tally::default() {
            return;
        }
        self.added.add(tally.added);
        self.expired.add(tally.expired);
        self.evicted.add(tally.evicted);
        self.deleted.add(tally.deleted);
    }

    pub(super) fn get(&self) -> Tally {
        Tally {
            added: self.added.get(),
            expired: self.expired.get(),
            evicted: self.evicted.get(),
            deleted: self.deleted.get(),
        }
    }
}

#[derive(Debug, Default)]
struct Total {
    messages: Counter,
    bytes: Counter,
}

impl Total {
    fn add(&self, amount: Amount) {
        self.messages.add(amount.messages);
        self.bytes.add(amount.bytes);
    }

    fn get(&self) -> Amount {
        Amount {
            messages: self.messages.get(),
            bytes: self.bytes.get(),
        }
    }
}
