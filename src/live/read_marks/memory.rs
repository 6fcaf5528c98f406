//! Read marks in this process's memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;

use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

/// The latest message that each person has been shown in each room.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Sorted, so that one look-up finds all marks of a person.
    marks: Mutex<BTreeMap<(UserId, RoomId), Mark>>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    message: MessageId,
    /// When the mark last moved.
    moved_at: SiteTime,
    /// When the room was last shown.
    at: SiteTime,
}

impl Marks {
    pub(super) fn mark_read(&self, user: UserId, room: RoomId, message: MessageId, now: SiteTime) {
        let mut marks = self.lock();
        let mark = marks.entry((user, room)).or_insert(Mark {
            message,
            moved_at: now,
            at: now,
        });
        if mark.message < message {
            mark.message = message;
            mark.moved_at = now;
        }
        mark.at = now;
    }

    pub(super) fn find(&self, user: UserId, room: RoomId) -> Option<MessageId> {
        self.lock().get(&(user, room)).map(|mark| mark.message)
    }

    pub(super) fn all_of(&self, user: UserId) -> HashMap<RoomId, MessageId> {
        let marks = self.lock();
        let theirs = marks.range((user, RoomId(i64::MIN))..=(user, RoomId(i64::MAX)));
        theirs
            .map(|((_, room), mark)| (*room, mark.message))
            .collect()
    }

    pub(super) fn moved_since(&self, user: UserId, since: SiteTime) -> Vec<RoomId> {
        let marks = self.lock();
        let theirs = marks.range((user, RoomId(i64::MIN))..=(user, RoomId(i64::MAX)));
        theirs
            .filter(|(_, mark)| since <= mark.moved_at)
            .map(|((_, room), _)| *room)
            .collect()
    }

    pub(super) fn sweep(&self, longest: Lifespan, now: SiteTime) {
        self.lock().retain(|_, mark| now < mark.at.plus(longest.0));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(UserId, RoomId), Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
