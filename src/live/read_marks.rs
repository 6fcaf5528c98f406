//! Read marks: the last message that each person has read in each room. In memory only.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

/// The latest message that each person has been shown in each room.
#[derive(Debug, Default)]
pub struct ReadMarks {
    marks: Mutex<HashMap<(UserId, RoomId), Mark>>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    message: MessageId,
    at: SiteTime,
}

impl ReadMarks {
    /// Marks the messages of `room` up to `message` as read by `user`. A mark never moves back.
    pub fn mark_read(&self, user: UserId, room: RoomId, message: MessageId, now: SiteTime) {
        let mut marks = self.lock();
        let mark = marks
            .entry((user, room))
            .or_insert(Mark { message, at: now });
        mark.message = mark.message.max(message);
        mark.at = now;
    }

    /// Returns the last message that `user` has read in `room`. `None` if no message they have read is still
    /// live.
    #[must_use]
    pub fn find(&self, user: UserId, room: RoomId) -> Option<MessageId> {
        self.lock().get(&(user, room)).map(|mark| mark.message)
    }

    /// Frees the marks older than `longest`, the longest lifespan: all messages up to them have expired.
    pub fn sweep(&self, longest: Lifespan, now: SiteTime) {
        let mut marks = self.lock();
        marks.retain(|_, mark| now < mark.at.plus(longest.0));
        marks.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(UserId, RoomId), Mark>> {
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
