//! What a process has to tell Redis that no request waits for: who was seen where, and how far people have read.
//!
//! A poll tells both, and must not cost a round trip. So what polls tell is gathered, and written a few times a second
//! (`shared.rs`). A page waits with [`Outbox::written`] until others can know what it told. In memory, there is nothing to
//! tell.

mod shared;
mod store;
mod ticket;

pub(super) use shared::PRESENT_FOR;
pub use shared::SharedOutbox;
pub use store::Outbox;
pub use ticket::Ticket;
