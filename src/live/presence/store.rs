//! Presence, as the rest of Mirage sees it.

use std::sync::Arc;

use foldhash::HashSet;

use super::super::outbox::{SharedOutbox, Ticket};
use super::super::redis::{Link, Unavailable};
use super::super::rooms::Room;
use super::memory::Seen;
use super::shared::SharedPresence;
use crate::domain::{RoomId, SiteTime, UserId};

/// The people who have each room open.
pub struct Presence {
    place: Place,
}

/// Where presence is held.
enum Place {
    Memory(Seen),
    Redis(SharedPresence),
}

impl Presence {
    /// Makes the presence of a process that shares it with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(Seen::default()),
        }
    }

    /// Makes the presence that all processes of a site share.
    #[must_use]
    pub fn on_redis(link: Arc<Link>, outbox: Arc<SharedOutbox>) -> Self {
        Self {
            place: Place::Redis(SharedPresence::new(link, outbox)),
        }
    }

    /// Marks `user` as present in `room` at `now`.
    pub fn mark_seen(&self, room: RoomId, user: UserId, now: SiteTime) -> Ticket {
        match &self.place {
            Place::Memory(seen) => {
                seen.mark(room, user, now);
                Ticket::NONE
            }
            Place::Redis(shared) => shared.mark_seen(room, user, now),
        }
    }

    /// Returns the rooms whose pages this process has answered for `user` a moment ago.
    #[must_use]
    pub fn rooms_of(&self, user: UserId) -> Vec<RoomId> {
        self.seen().rooms_of(user)
    }

    /// Frees the entries of people who are no longer present.
    pub fn sweep(&self, now: SiteTime) {
        self.seen().sweep(now);
    }

    /// Returns the number of rooms that somebody was seen in by this process at the last sweep or since.
    #[must_use]
    pub fn size(&self) -> usize {
        self.seen().size()
    }

    /// Returns whom this process has seen.
    fn seen(&self) -> &Seen {
        match &self.place {
            Place::Memory(seen) => seen,
            Place::Redis(shared) => &shared.told,
        }
    }
}

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
        match &self.place {
            Place::Memory(seen) => Ok(rooms.iter().map(|room| seen.count(room, now)).collect()),
            Place::Redis(shared) => shared.counts(rooms, now).await,
        }
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
        match &self.place {
            Place::Memory(seen) => Ok(seen.people(room, now)),
            Place::Redis(shared) => shared.people(room, now).await,
        }
    }
}
