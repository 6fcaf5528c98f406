//! What can happen in a room.

use std::sync::Arc;

use crate::domain::{Lifespan, MessageId, MessageText, NonceId, SiteTime, Timestamp, UserId};

/// A message that has no number and no deadline yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The person who wrote the message.
    pub author: UserId,
    /// The author's name at the time of writing.
    pub author_name: Arc<str>,
    /// The text.
    pub text: MessageText,
    /// The submission that the message came with.
    pub nonce: NonceId,
    /// The time from the message's event to its deadline.
    pub lifespan: Lifespan,
    /// The wall clock's time of sending, which is only displayed.
    pub sent_at: Timestamp,
}

/// A message as another process hands it on.
#[derive(Debug, Clone)]
pub(super) struct Replayed {
    /// The message. Its text may be gone.
    pub(super) new: NewMessage,
    /// The [`Message::namesake`](super::Message::namesake) that the log has set.
    pub(super) namesake: u32,
}

/// An event of a room's log.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A message was posted. The event's number becomes the message's id.
    Posted(NewMessage),
    /// A message was posted, perhaps by another process. The event's number is the message's id.
    Replayed(Replayed),
    /// A message was deleted.
    Deleted(MessageId),
    /// A message was deleted or evicted, perhaps by another process.
    Removed {
        /// The message. A state that was read after the event does not have it.
        message: MessageId,
        /// The message's deadline.
        deadline: SiteTime,
    },
    /// All messages of an author were deleted.
    AuthorDeleted(UserId),
    /// All messages were deleted.
    Cleared,
    /// The room's lifespan became shorter: deadlines move earlier where the new lifespan asks for it.
    Shortened {
        /// The new lifespan.
        lifespan: Lifespan,
        /// The newest message that it holds for.
        through: MessageId,
    },
    /// The room itself changed: its name, its settings or its members.
    RoomChanged,
    /// The oldest messages were evicted to free memory.
    Evicted {
        /// The newest of the evicted messages.
        through: MessageId,
    },
}
