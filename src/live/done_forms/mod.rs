//! Forms that were done a moment ago, by their nonce, so that a form that is sent twice leads to one success.
//!
//! The requests with one form take turns: the second of two concurrent ones finds what the first has made. What a
//! form led to gives no right by itself. Services check it against the stored rows, and a new password against the
//! account's stored hash: a hash of a password that is made to be fast, such as an HMAC, would let whoever reads
//! this memory guess the password faster than whoever reads the database.
//!
//! [`DoneForms`] is what the rest of Mirage calls. They are in this process's memory (`memory.rs`),
//! or in Redis (`shared.rs`).

mod made;
mod memory;
mod shared;
mod store;
mod text;

pub use made::Made;
pub use store::{DoneForms, Turn};

#[cfg(test)]
mod tests;
