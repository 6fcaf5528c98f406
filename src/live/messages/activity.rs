//! When each room's newest live message was posted, ready for lists of rooms.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use foldhash::HashMap;

use super::state::Newest;
use crate::domain::{RoomId, SiteTime};

/// The rooms with a live message, as of the last change of each room, in the order of lists.
#[derive(Default)]
pub struct Activity {
    rooms: HashMap<RoomId, Newest>,
    newest_first: BTreeSet<(Reverse<SiteTime>, RoomId)>,
    by_deadline: BTreeSet<(SiteTime, RoomId)>,
}

impl Activity {
    /// Returns the rooms with a live message, and when the newest message of each was posted, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (RoomId, SiteTime)> {
        let rooms = self.newest_first.iter();
        rooms.map(|&(Reverse(posted_at), room)| (room, posted_at))
    }

    /// Returns whether a room has a live message.
    #[must_use]
    pub fn has(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// Sets the newest live message of a room.
    pub(super) fn set(&mut self, room: RoomId, newest: Option<Newest>) {
        let before = match newest {
            Some(newest) => self.rooms.insert(room, newest),
            None => self.rooms.remove(&room),
        };
        if before == newest {
            return;
        }
        if let Some(before) = before {
            self.newest_first.remove(&(Reverse(before.posted_at), room));
            self.by_deadline.remove(&(before.deadline, room));
        }
        if let Some(newest) = newest {
            self.newest_first.insert((Reverse(newest.posted_at), room));
            self.by_deadline.insert((newest.deadline, room));
        }
    }

    /// Returns the rooms whose newest message has expired at `now`: an older message with a later deadline may still be
    /// live there.
    pub(super) fn expired(&self, now: SiteTime) -> Vec<RoomId> {
        let expired = self.by_deadline.range(..=(now, RoomId(i64::MAX)));
        expired.map(|(_, room)| *room).collect()
    }
}
