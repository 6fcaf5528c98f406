//! Presence: the people who have a room's page open. Never on a disk.
//!
//! [`Presence`] is what the rest of Mirage calls. It is in this process's memory (`memory.rs`).

mod memory;
mod store;

pub use store::Presence;

#[cfg(test)]
mod tests;
