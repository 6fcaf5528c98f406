//! The drafts, as the rest of Mirage sees them.

use std::sync::Arc;

use super::super::redis::{Link, Unavailable};
use super::memory::MemoryDrafts;
use super::shared::SharedDrafts;
use crate::domain::{MessageText, RoomId, SiteTime, UserId};

/// The drafts of all people.
pub struct Drafts {
    place: Place,
}

/// Where the drafts are kept.
enum Place {
    Memory(MemoryDrafts),
    Redis(Box<SharedDrafts>),
}

impl Drafts {
    /// Makes the drafts of a process that shares them with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(MemoryDrafts::default()),
        }
    }

    /// Makes the drafts that all processes of a site share.
    #[must_use]
    pub fn on_redis(link: Arc<Link>) -> Self {
        Self {
            place: Place::Redis(Box::new(SharedDrafts::new(link))),
        }
    }
}

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
        match &self.place {
            Place::Memory(drafts) => {
                drafts.keep(author, room, text, now);
                Ok(())
            }
            Place::Redis(shared) => shared.keep(author, room, &text, now).await,
        }
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
        match &self.place {
            Place::Memory(drafts) => Ok(drafts.find(author, room, now)),
            Place::Redis(shared) => shared.find(author, room, now).await,
        }
    }

    /// Drops the draft of `author` in `room` after the message was sent. If Redis does not answer, the draft stays, and
    /// is shown only to its author.
    pub async fn discard(&self, author: UserId, room: RoomId) {
        match &self.place {
            Place::Memory(drafts) => drafts.discard(author, room),
            Place::Redis(shared) => shared.discard(author, room).await.unwrap_or_default(),
        }
    }

    /// Drops all drafts of `author`. Called by each process that hears that an account was deleted.
    pub async fn forget(&self, author: UserId) {
        match &self.place {
            Place::Memory(drafts) => drafts.forget(author),
            Place::Redis(shared) => {
                if shared.forget(author).await.is_err() {
                    tracing::warn!(
                        "the drafts of a deleted account stay in Redis until they expire"
                    );
                }
            }
        }
    }

    /// Frees the drafts that have expired.
    pub async fn sweep(&self, now: SiteTime) {
        match &self.place {
            Place::Memory(drafts) => drafts.sweep(now),
            // The next sweep does it.
            Place::Redis(shared) => shared.sweep(now).await.unwrap_or_default(),
        }
    }

    /// Returns the number of drafts, expired ones included until they are swept.
    ///
    /// # Errors
    /// When the drafts cannot be reached.
    pub async fn size(&self) -> Result<usize, Unavailable> {
        match &self.place {
            Place::Memory(drafts) => Ok(drafts.size()),
            Place::Redis(shared) => shared.size().await,
        }
    }
}
