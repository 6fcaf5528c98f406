//! The drafts, as the rest of Mirage sees them.

use super::super::redis::Unavailable;
use super::memory::MemoryDrafts;
use crate::domain::{MessageText, RoomId, SiteTime, UserId};

/// The drafts of all people.
pub struct Drafts {
    place: Place,
}

/// Where the drafts are kept.
enum Place {
    Memory(MemoryDrafts),
}

impl Drafts {
    /// Makes the drafts of a process that shares them with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(MemoryDrafts::default()),
        }
    }
}

#[expect(clippy::unused_async, reason = "drafts on Redis will wait for it")]
impl Drafts {
    /// Keeps a draft in place of the author's earlier draft in the same room. Evicts the author's oldest draft
    /// if the author has too many, and the oldest of all if there are too many.
    ///
    /// # Errors
    /// When the drafts cannot be reached. The draft is not kept then.
    pub async fn keep(
        &self,
        author: UserId,
        room: RoomId,
        text: MessageText,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        let Place::Memory(drafts) = &self.place;
        drafts.keep(author, room, text, now);
        Ok(())
    }

    /// Returns the draft of `author` in `room`, unless it has expired.
    ///
    /// # Errors
    /// When the drafts cannot be reached.
    pub async fn find(
        &self,
        author: UserId,
        room: RoomId,
        now: SiteTime,
    ) -> Result<Option<String>, Unavailable> {
        let Place::Memory(drafts) = &self.place;
        Ok(drafts.find(author, room, now))
    }

    /// Drops the draft of `author` in `room` after the message was sent.
    pub async fn discard(&self, author: UserId, room: RoomId) {
        let Place::Memory(drafts) = &self.place;
        drafts.discard(author, room);
    }

    /// Drops all drafts of `author`.
    pub async fn forget(&self, author: UserId) {
        let Place::Memory(drafts) = &self.place;
        drafts.forget(author);
    }

    /// Frees the drafts that have expired.
    pub async fn sweep(&self, now: SiteTime) {
        let Place::Memory(drafts) = &self.place;
        drafts.sweep(now);
    }

    /// Returns the number of drafts, expired ones included until they are swept.
    ///
    /// # Errors
    /// When the drafts cannot be reached.
    pub async fn size(&self) -> Result<usize, Unavailable> {
        let Place::Memory(drafts) = &self.place;
        Ok(drafts.size())
    }
}
