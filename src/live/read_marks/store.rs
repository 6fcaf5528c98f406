//! Read marks, as the rest of Mirage sees them.

use std::sync::Arc;

use foldhash::HashMap;

use super::super::outbox::{SharedOutbox, Ticket};
use super::super::redis::{Link, Unavailable};
use super::memory::Marks;
use super::shared::SharedMarks;
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
    Redis(SharedMarks),
}

impl ReadMarks {
    /// Makes the marks of a process that shares them with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(Marks::default()),
        }
    }

    /// Makes the marks that all processes of a site share.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn on_redis(link: Arc<Link>, outbox: Arc<SharedOutbox>) -> Result<Self, Unavailable> {
        Ok(Self {
            place: Place::Redis(SharedMarks::new(link, outbox).await?),
        })
    }

    /// Marks the messages of `room` up to `message` as read by `user`. A mark never moves back.
    pub fn mark_read(
        &self,
        user: UserId,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Ticket {
        match &self.place {
            Place::Memory(marks) => {
                marks.mark_read(user, room, message, now);
                Ticket::NONE
            }
            Place::Redis(shared) => shared.mark_read(user, room, message, now),
        }
    }

    /// Returns the last message that `user` has read in `room`. `None` if no message they have read is still
    /// live.
    #[must_use]
    pub fn find(&self, user: UserId, room: RoomId) -> Option<MessageId> {
        match &self.place {
            Place::Memory(marks) => marks.find(user, room),
            Place::Redis(shared) => shared.find(user, room),
        }
    }

    /// Returns what [`ReadMarks::find`] returns for each room, at the cost of one look-up.
    #[must_use]
    pub fn all_of(&self, user: UserId) -> HashMap<RoomId, MessageId> {
        match &self.place {
            Place::Memory(marks) => marks.all_of(user),
            Place::Redis(shared) => shared.all_of(user),
        }
    }

    /// Returns the rooms in which `user` has read messages at `since` or later.
    #[must_use]
    pub fn moved_since(&self, user: UserId, since: SiteTime) -> Vec<RoomId> {
        match &self.place {
            Place::Memory(marks) => marks.moved_since(user, since),
            Place::Redis(shared) => shared.moved_since(user, since),
        }
    }

    /// Frees the marks older than `longest`, the longest lifespan: all messages up to them have expired.
    pub fn sweep(&self, longest: Lifespan, now: SiteTime) {
        match &self.place {
            Place::Memory(marks) => marks.sweep(longest, now),
            Place::Redis(shared) => shared.sweep(longest, now),
        }
    }
}

impl ReadMarks {
    /// Makes the marks of `user` known to this process, if they are not. Costs no round trip while they are.
    ///
    /// # Errors
    /// When the marks cannot be reached.
    pub async fn load(&self, user: UserId, now: SiteTime) -> Result<(), Unavailable> {
        match &self.place {
            Place::Memory(_) => Ok(()),
            Place::Redis(shared) => shared.load(user, now).await,
        }
    }

    /// Makes all marks of `user` that any process was told of until now known to this one.
    ///
    /// # Errors
    /// When the marks cannot be reached.
    pub async fn refresh(&self, user: UserId, now: SiteTime) -> Result<(), Unavailable> {
        match &self.place {
            Place::Memory(_) => Ok(()),
            Place::Redis(shared) => shared.refresh(user, now).await,
        }
    }
}
