//! Read marks: the last message that each person has read in each room. Never on a disk.
//!
//! [`ReadMarks`] is what the rest of Mirage calls. They are in this process's memory (`memory.rs`), or
//! in Redis (`shared.rs`).

mod memory;
mod shared;
mod store;

pub use store::ReadMarks;

#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;
