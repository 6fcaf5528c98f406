//! Rate limits, measured in the site's steady time.
//!
//! [`Limits`] is what the rest of Mirage calls. What is limited is in `act.rs`, and the counters are in this process's
//! memory (`memory.rs`).

mod act;
mod limits;
mod memory;
mod room_tries;

pub use limits::{JoinAttempt, Limits, MessageCount};

#[cfg(test)]
mod tests;
