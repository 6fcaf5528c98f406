//! Drafts: messages that were sent after the author's session had ended, kept until the author signs in
//! again, and texts in the box of a room that its reader loads again.
//!
//! A draft is kept for a day at most, and returned only to the person named by the form's nonce. Text without
//! a valid nonce is not kept, so strangers cannot fill this memory. Nor can a person who has collected nonces:
//! each has few drafts, which are as short as messages.
//!
//! [`Drafts`] is what the rest of Mirage calls. They are in this process's memory (`memory.rs`), or in
//! Redis (`shared.rs`).

mod limits;
mod memory;
mod shared;
mod store;

pub use store::Drafts;

#[cfg(test)]
mod tests;
