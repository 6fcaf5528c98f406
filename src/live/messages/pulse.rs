//! When each room's messages last changed, for polls that tell how many messages are new in a reader's other rooms.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use foldhash::HashMap;

use super::state::NEVER;
use crate::domain::{RoomId, SiteTime};

/// When the messages of one room last changed, and when they will next expire. Read without any lock.
#[derive(Debug)]
pub struct Pulse {
    changed_at: AtomicI64,
    first_deadline: AtomicI64,
}

impl Pulse {
    fn new(now: SiteTime) -> Self {
        Self {
            changed_at: AtomicI64::new(now.0),
            first_deadline: AtomicI64::new(NEVER.0),
        }
    }

    /// Returns whether the room's messages may have changed between `since` and `now`, by an event or because some
    /// have expired. A change may become visible here a moment after its time.
    #[must_use]
    pub fn has_changed(&self, since: SiteTime, now: SiteTime) -> bool {
        since.0 <= self.changed_at.load(Ordering::Acquire)
            || self.first_deadline.load(Ordering::Acquire) <= now.0
    }
}

/// The pulses of the rooms in somebody's held list of rooms.
#[derive(Default)]
pub(super) struct Pulses {
    rooms: HashMap<RoomId, Arc<Pulse>>,
}

impl Pulses {
    /// Returns the pulse of a room. A new pulse says that the room has changed at `now`, since nobody knows when it
    /// did.
    pub(super) fn of(&mut self, room: RoomId, now: SiteTime) -> Arc<Pulse> {
        let pulse = self.rooms.entry(room);
        Arc::clone(pulse.or_insert_with(|| Arc::new(Pulse::new(now))))
    }

    /// Notes that the messages of a room were looked at, and whether they changed at `at`.
    pub(super) fn note(
        &self,
        room: RoomId,
        at: SiteTime,
        has_changed: bool,
        first_deadline: SiteTime,
    ) {
        let Some(pulse) = self.rooms.get(&room) else {
            return;
        };
        pulse
            .first_deadline
            .store(first_deadline.0, Ordering::Release);
        if has_changed {
            pulse.changed_at.fetch_max(at.0, Ordering::Release);
        }
    }

    /// Notes that the messages of all rooms may have changed at `at`.
    pub(super) fn note_all(&self, at: SiteTime) {
        for pulse in self.rooms.values() {
            pulse.changed_at.fetch_max(at.0, Ordering::Release);
        }
    }

    /// Returns whether a list of rooms holds the pulse of this room.
    pub(super) fn is_held(&self, room: RoomId) -> bool {
        let pulse = self.rooms.get(&room);
        pulse.is_some_and(|pulse| Arc::strong_count(pulse) > 1)
    }

    /// Frees the pulses that no list of rooms holds.
    pub(super) fn sweep(&mut self) {
        self.rooms.retain(|_, pulse| Arc::strong_count(pulse) > 1);
        self.rooms.shrink_to_fit();
    }
}
