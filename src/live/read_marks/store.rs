//! Read marks, as the rest of Mirage sees them.

use super::super::outbox::Ticket;
use super::super::redis::Unavailable;
use super::memory::Marks;
use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

/// The latest message that each person has been shown in each room.
///
/// Marks are looked up without waiting, as polls do. Before that, call [`ReadMarks::load`] or, for a page,
/// [`ReadMarks::refresh`].
pub struct ReadMarks {
    place: Place,
}

/// Where the marks are held.
enum Place {
    Memory(Marks),
}

impl ReadMarks {
    /// Makes the marks of a process that shares them with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(Marks::default()),
        }
    }

    /// Marks the messages of `room` up to `message` as read by `user`. A mark never moves back.
    pub fn mark_read(
        &self,
        user: UserId,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Ticket {
        let Place::Memory(marks) = &self.place;
        marks.mark_read(user, room, message, now);
        Ticket::NONE
    }

    /// Returns the last message that `user` has read in `room`. `None` if no message they have read is still
    /// live.
    #[must_use]
    pub fn find(&self, user: UserId, room: RoomId) -> Option<MessageId> {
        let Place::Memory(marks) = &self.place;
        marks.find(user, room)
    }

    /// Returns the rooms in which `user` has read messages at `since` or later.
    #[must_use]
    pub fn moved_since(&self, user: UserId, since: SiteTime) -> Vec<RoomId> {
        let Place::Memory(marks) = &self.place;
        marks.moved_since(user, since)
    }

    /// Frees the marks older than `longest`, the longest lifespan: all messages up to them have expired.
    pub fn sweep(&self, longest: Lifespan, now: SiteTime) {
        let Place::Memory(marks) = &self.place;
        marks.sweep(longest, now);
    }
}

#[expect(clippy::unused_async, reason = "marks on Redis will wait for it")]
impl ReadMarks {
    /// Makes the marks of `user` known to this process, if they are not. Costs no round trip while they are.
    ///
    /// # Errors
    /// When the marks cannot be reached.
    pub async fn load(&self, _user: UserId) -> Result<(), Unavailable> {
        Ok(())
    }

    /// Makes all marks of `user` that any process was told of until now known to this one.
    ///
    /// # Errors
    /// When the marks cannot be reached.
    pub async fn refresh(&self, _user: UserId) -> Result<(), Unavailable> {
        Ok(())
    }
}
