//! Read marks: the last message that each person has read in each room. In memory only.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

/// The latest message that each person has been shown in each room.
#[derive(Debug, Default)]
pub struct ReadMarks {
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

impl ReadMarks {
    /// Marks the messages of `room` up to `message` as read by `user`. A mark never moves back.
    pub fn mark_read(&self, user: UserId, room: RoomId, message: MessageId, now: SiteTime) {
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

    /// Returns the last message that `user` has read in `room`. `None` if no message they have read is still
    /// live.
    #[must_use]
    pub fn find(&self, user: UserId, room: RoomId) -> Option<MessageId> {
        self.lock().get(&(user, room)).map(|mark| mark.message)
    }

    /// Returns the rooms in which `user` has read messages at `since` or later.
    #[must_use]
    pub fn moved_since(&self, user: UserId, since: SiteTime) -> Vec<RoomId> {
        let marks = self.lock();
        let theirs = marks.range((user, RoomId(i64::MIN))..=(user, RoomId(i64::MAX)));
        theirs
            .filter(|(_, mark)| since <= mark.moved_at)
            .map(|((_, room), _)| *room)
            .collect()
    }

    /// Frees the marks older than `longest`, the longest lifespan: all messages up to them have expired.
    pub fn sweep(&self, longest: Lifespan, now: SiteTime) {
        self.lock().retain(|_, mark| now < mark.at.plus(longest.0));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(UserId, RoomId), Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: SiteTime = SiteTime(1_795_352_700_000);
    const ADA: UserId = UserId(1);
    const TEA: RoomId = RoomId(1);

    #[test]
    fn a_mark_belongs_to_a_person_and_room_and_only_moves_forward() {
        let marks = ReadMarks::default();
        marks.mark_read(ADA, TEA, MessageId(7), NOW);
        marks.mark_read(ADA, TEA, MessageId(5), NOW);

        assert_eq!(marks.find(ADA, TEA), Some(MessageId(7)));
        assert_eq!(marks.find(UserId(2), TEA), None);
        assert_eq!(marks.find(ADA, RoomId(2)), None);
    }

    #[test]
    fn marks_that_moved_are_found_by_their_person_and_time() {
        let marks = ReadMarks::default();
        let later = SiteTime(NOW.0 + 1);
        for room in [TEA, RoomId(2)] {
            marks.mark_read(ADA, room, MessageId(7), NOW);
            marks.mark_read(UserId(2), room, MessageId(9), later);
        }
        marks.mark_read(ADA, RoomId(2), MessageId(8), later);
        marks.mark_read(ADA, TEA, MessageId(7), later);

        assert_eq!(marks.moved_since(ADA, NOW), [TEA, RoomId(2)]);
        assert_eq!(marks.moved_since(ADA, later), [RoomId(2)]);
        assert!(marks.moved_since(UserId(3), NOW).is_empty());
    }

    #[test]
    fn a_mark_is_freed_when_all_messages_up_to_it_have_expired() {
        let marks = ReadMarks::default();
        let day = Lifespan(Duration::from_secs(86_400));
        marks.mark_read(ADA, TEA, MessageId(7), NOW);

        marks.sweep(day, SiteTime(NOW.plus(day.0).0 - 1));
        assert!(marks.find(ADA, TEA).is_some());
        marks.sweep(day, NOW.plus(day.0));
        assert!(marks.find(ADA, TEA).is_none());
    }
}
