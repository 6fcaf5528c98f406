//! Presence: the people who have a room's page open. Never on a disk.
//!
//! [`Presence`] is what the rest of Mirage calls. It is in this process's memory (`memory.rs`), or in
//! Redis (`shared.rs`).

mod memory;
mod shared;
mod store;

pub use store::Presence;

#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;
