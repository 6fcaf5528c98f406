//! The bytes that all rooms take together.

use std::collections::BTreeSet;

use crate::domain::RoomId;

/// The bytes of each room and of all rooms.
pub(super) struct Budget {
    capacity: usize,
    total: usize,
    /// The rooms that take any bytes, smallest first.
    by_size: BTreeSet<(usize, RoomId)>,
}

impl Budget {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            total: 0,
            by_size: BTreeSet::new(),
        }
    }

    /// Notes that `room` takes `after` bytes now, and took `before` until now.
    pub(super) fn resize(&mut self, room: RoomId, before: usize, after: usize) {
        if before == after {
            return;
        }
        self.total = self.total.saturating_sub(before).saturating_add(after);
        self.by_size.remove(&(before, room));
        if after > 0 {
            self.by_size.insert((after, room));
        }
    }

    /// Returns the largest room if the total exceeds the capacity.
    pub(super) fn room_to_shrink(&self) -> Option<RoomId> {
        let &(_, largest) = self.by_size.last()?;
        (self.total > self.capacity).then_some(largest)
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }
}
