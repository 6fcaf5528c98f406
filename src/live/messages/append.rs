//! The request to post a message, and its outcome.

use std::sync::atomic::{AtomicBool, Ordering};

use super::event::NewMessage;
use super::quota::{Quota, Refusal};
use crate::domain::MessageId;
use crate::live::too_many::TooMany;
use crate::security::tokens::TokenDigest;

/// A message that somebody wants to post, with the conditions of posting it.
#[derive(Debug)]
pub struct Wish<'a> {
    /// The version of the room by which the author was allowed to post.
    pub version: i64,
    /// The message.
    pub message: NewMessage,
    /// The author's session.
    pub session: TokenDigest,
    /// Whether the author's session has ended.
    pub session_ended: &'a AtomicBool,
    /// The limits that the message is counted with, if it is posted.
    pub quota: Quota,
}

/// The outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The message was posted.
    New(MessageId),
    /// The nonce was used before, for the same text: it led to this message.
    Repeated(MessageId),
    /// The nonce was used before, for another text. Nothing was posted.
    NonceReused,
    /// The room's version is greater than the wish's, or the log does not know it. Nothing was posted:
    /// the caller must look again at what the author may do.
    Stale,
    /// The author's session has ended. Nothing was posted.
    SessionEnded,
    /// There were too many messages by the author in the room, or by everybody in the room. Nothing was posted.
    TooMany(TooMany),
    /// The room is in slow mode, and the author's last message is too recent. Nothing was posted.
    TooSoon(TooMany),
}

impl Wish<'_> {
    /// Returns why a log that knows this version of the room must refuse the wish, if it must.
    pub(super) fn refusal(&self, known_version: Option<i64>) -> Option<Appended> {
        if self.session_ended.load(Ordering::Acquire) {
            return Some(Appended::SessionEnded);
        }
        let is_allowed = known_version.is_some_and(|known| known <= self.version);
        (!is_allowed).then_some(Appended::Stale)
    }
}

impl From<Refusal> for Appended {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooMany(wait) => Self::TooMany(wait),
            Refusal::TooSoon(wait) => Self::TooSoon(wait),
        }
    }
}

impl Appended {
    /// Returns the message that the nonce led to, now or before.
    #[must_use]
    pub fn message(self) -> Option<MessageId> {
        match self {
            Self::New(id) | Self::Repeated(id) => Some(id),
            Self::NonceReused
            | Self::Stale
            | Self::SessionEnded
            | Self::TooMany(_)
            | Self::TooSoon(_) => None,
        }
    }
}
