//! When each room's newest live message was posted, ready for lists of rooms.

use std::collections::HashMap;

use super::state::Newest;
use crate::domain::{RoomId, SiteTime};

/// The rooms with a live message, as of the last change of each room.
#[derive(Default)]
pub(super) struct Activity {
    rooms: HashMap<RoomId, Newest>,
}

impl Activity {
    /// Sets the newest live message of a room.
    pub(super) fn set(&mut self, room: RoomId, newest: Option<Newest>) {
        match newest {
            Some(newest) => self.rooms.insert(room, newest),
            None => self.rooms.remove(&room),
        };
    }

    /// Returns the rooms whose newest message is live at `now`, and the rooms whose newest message has
    /// expired: an older message with a later deadline may still be live there.
    pub(super) fn at(&self, now: SiteTime) -> (Vec<(RoomId, SiteTime)>, Vec<RoomId>) {
        let mut live = Vec::new();
        let mut expired = Vec::new();
        for (&room, newest) in &self.rooms {
            if now < newest.deadline {
                live.push((room, newest.posted_at));
            } else {
                expired.push(room);
            }
        }
        (live, expired)
    }
}
