//! Rate limits, measured in the site's steady time.
//!
//! [`Limits`] is what the rest of Mirage calls. What is limited is in `act.rs`. The counters are in this process's memory
//! (`memory.rs`), or in Redis (`shared.rs`). Messages are counted by the room's log, which posts them.

mod act;
mod limits;
mod memory;
mod refusals;
mod room_tries;
mod shared;

pub use limits::{JoinAttempt, Limits};

#[cfg(test)]
mod tests;
