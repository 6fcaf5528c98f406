//! Messages that were sent after the session had ended, held until their author is signed in again.
//!
//! In memory only, for a day at most, and given only to the person whom the form's nonce names. It
//! takes such a nonce to have something held, so strangers cannot fill this up.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{RoomId, Timestamp, UserId};

/// How long a text is held.
const HELD_FOR: Duration = Duration::from_secs(86_400);
/// How many texts are held: one a person and room.
const MOST: usize = 1_000;
/// How many bytes they may have together.
const MOST_BYTES: usize = 4 << 20;

/// The texts, oldest first.
#[derive(Debug, Default)]
pub struct HeldMessages {
    held: Mutex<VecDeque<HeldMessage>>,
}

#[derive(Debug)]
struct HeldMessage {
    author: UserId,
    room: RoomId,
    text: String,
    until: Timestamp,
}

impl HeldMessages {
    /// Holds a text, in place of what was held of the same person and room.
    pub fn hold(&self, author: UserId, room: RoomId, text: String, now: Timestamp) {
        let mut held = self.lock();
        held.retain(|other| (other.author, other.room) != (author, room));
        held.push_back(HeldMessage {
            author,
            room,
            text,
            until: now.plus(HELD_FOR),
        });
        let bytes =
            |held: &VecDeque<HeldMessage>| held.iter().map(|held| held.text.len()).sum::<usize>();
        while held.len() > MOST || bytes(&held) > MOST_BYTES {
            held.pop_front();
        }
    }

    /// What is held of this person and room.
    #[must_use]
    pub fn find(&self, author: UserId, room: RoomId, now: Timestamp) -> Option<String> {
        let held = self.lock();
        let found = held
            .iter()
            .find(|held| (held.author, held.room) == (author, room))?;
        (now < found.until).then(|| found.text.clone())
    }

    /// Drops what is held of this person and room: it was sent.
    pub fn drop_sent(&self, author: UserId, room: RoomId) {
        self.lock()
            .retain(|held| (held.author, held.room) != (author, room));
    }

    /// Drops all that is held of `author`.
    pub fn forget(&self, author: UserId) {
        self.lock().retain(|held| held.author != author);
    }

    /// Drops what was held for long enough.
    pub fn sweep(&self, now: Timestamp) {
        let mut held = self.lock();
        held.retain(|held| now < held.until);
        held.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<HeldMessage>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_352_700_000);
    const ADA: UserId = UserId(1);
    const TEA: RoomId = RoomId(1);

    #[test]
    fn a_text_is_held_for_its_author_and_room_for_a_day() {
        let held = HeldMessages::default();
        held.hold(ADA, TEA, "hello".to_owned(), NOW);
        let last_moment = Timestamp(NOW.plus(HELD_FOR).0 - 1);

        assert_eq!(held.find(ADA, TEA, last_moment).as_deref(), Some("hello"));
        assert_eq!(held.find(UserId(2), TEA, NOW), None);
        assert_eq!(held.find(ADA, RoomId(2), NOW), None);
        assert_eq!(held.find(ADA, TEA, NOW.plus(HELD_FOR)), None);
    }

    #[test]
    fn the_latest_text_of_a_person_and_room_is_held() {
        let held = HeldMessages::default();
        held.hold(ADA, TEA, "first".to_owned(), NOW);
        held.hold(ADA, TEA, "second".to_owned(), NOW);

        assert_eq!(held.find(ADA, TEA, NOW).as_deref(), Some("second"));
        assert_eq!(held.lock().len(), 1);
    }

    #[test]
    fn a_text_that_was_sent_is_held_no_longer() {
        let held = HeldMessages::default();
        held.hold(ADA, TEA, "hello".to_owned(), NOW);

        held.drop_sent(ADA, TEA);

        assert_eq!(held.find(ADA, TEA, NOW), None);
    }

    #[test]
    fn the_oldest_give_way_when_there_are_too_many_or_too_large() {
        let held = HeldMessages::default();
        for user in 0..=1_000 {
            held.hold(UserId(user), TEA, "x".to_owned(), NOW);
        }
        assert_eq!(held.lock().len(), MOST);
        assert_eq!(held.find(UserId(0), TEA, NOW), None);

        held.hold(ADA, RoomId(2), "x".repeat(MOST_BYTES), NOW);
        assert_eq!(held.lock().len(), 1);
    }

    #[test]
    fn sweeping_frees_what_was_held_for_long_enough() {
        let held = HeldMessages::default();
        held.hold(ADA, TEA, "hello".to_owned(), NOW);

        held.sweep(NOW.plus(HELD_FOR));

        assert!(held.lock().is_empty());
    }
}
