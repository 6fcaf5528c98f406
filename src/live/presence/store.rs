//! Presence, as the rest of Mirage sees it.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::outbox::Ticket;
use super::super::redis::Unavailable;
use super::super::rooms::Room;
use super::memory::Seen;
use crate::domain::{RoomId, SiteTime, UserId};

/// The people who have each room open.
pub struct Presence {
    place: Place,
}

/// Where presence is held.
enum Place {
    Memory(Seen),
}

impl Presence {
    /// Makes the presence of a process that shares it with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(Seen::default()),
        }
    }

    /// Marks `user` as present in `room` at `now`.
    pub fn mark_seen(&self, room: RoomId, user: UserId, now: SiteTime) -> Ticket {
        let Place::Memory(seen) = &self.place;
        seen.mark(room, user, now);
        Ticket::NONE
    }

    /// Returns the rooms whose pages this process has answered for `user` a moment ago.
    #[must_use]
    pub fn rooms_of(&self, user: UserId) -> Vec<RoomId> {
        let Place::Memory(seen) = &self.place;
        seen.rooms_of(user)
    }

    /// Frees the entries of people who are no longer present.
    pub fn sweep(&self, now: SiteTime) {
        let Place::Memory(seen) = &self.place;
        seen.sweep(now);
    }

    /// Returns the number of rooms that somebody was seen in by this process at the last sweep or since.
    #[must_use]
    pub fn size(&self) -> usize {
        let Place::Memory(seen) = &self.place;
        seen.size()
    }
}

#[expect(clippy::unused_async, reason = "presence on Redis will wait for it")]
impl Presence {
    /// Returns the number of members who are present in each of these rooms.
    ///
    /// # Errors
    /// When presence cannot be reached.
    pub async fn counts(
        &self,
        rooms: &[Arc<Room>],
        now: SiteTime,
    ) -> Result<Vec<usize>, Unavailable> {
        let Place::Memory(seen) = &self.place;
        Ok(rooms.iter().map(|room| seen.count(room, now)).collect())
    }

    /// Returns the people who are present in `room`.
    ///
    /// # Errors
    /// When presence cannot be reached.
    pub async fn people(
        &self,
        room: RoomId,
        now: SiteTime,
    ) -> Result<HashSet<UserId>, Unavailable> {
        let Place::Memory(seen) = &self.place;
        Ok(seen.people(room, now))
    }
}
