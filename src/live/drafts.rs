//! Drafts: messages that were sent after their author's session had ended, kept until the author has signed in
//! again.
//!
//! A draft is kept for a day at most, and returned only to the person whom the form's nonce names. Without
//! such a nonce nothing is kept, so strangers cannot fill this up.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{RoomId, SiteTime, UserId};

/// How long a draft is kept.
const KEPT_FOR: Duration = Duration::from_secs(86_400);
/// How many drafts are kept; a person has one in each room at most.
const MOST: usize = 1_000;
/// How many bytes all drafts may have together.
const MOST_BYTES: usize = 4 << 20;

/// The drafts of all people, the oldest first.
#[derive(Debug, Default)]
pub struct Drafts {
    drafts: Mutex<VecDeque<Draft>>,
}

#[derive(Debug)]
struct Draft {
    author: UserId,
    room: RoomId,
    text: String,
    until: SiteTime,
}

impl Draft {
    fn is_of(&self, author: UserId, room: RoomId) -> bool {
        (self.author, self.room) == (author, room)
    }
}

impl Drafts {
    /// Keeps a draft, and drops the one that its author had in the same room.
    pub fn keep(&self, author: UserId, room: RoomId, text: String, now: SiteTime) {
        let mut drafts = self.lock();
        drafts.retain(|draft| !draft.is_of(author, room));
        drafts.push_back(Draft {
            author,
            room,
            text,
            until: now.plus(KEPT_FOR),
        });
        let bytes =
            |drafts: &VecDeque<Draft>| drafts.iter().map(|draft| draft.text.len()).sum::<usize>();
        while drafts.len() > MOST || bytes(&drafts) > MOST_BYTES {
            drafts.pop_front();
        }
    }

    /// Returns the draft of `author` in `room`.
    #[must_use]
    pub fn find(&self, author: UserId, room: RoomId, now: SiteTime) -> Option<String> {
        let drafts = self.lock();
        let draft = drafts.iter().find(|draft| draft.is_of(author, room))?;
        (now < draft.until).then(|| draft.text.clone())
    }

    /// Drops the draft of `author` in `room`: it was sent.
    pub fn discard(&self, author: UserId, room: RoomId) {
        self.lock().retain(|draft| !draft.is_of(author, room));
    }

    /// Drops all drafts of `author`.
    pub fn forget(&self, author: UserId) {
        self.lock().retain(|draft| draft.author != author);
    }

    /// Frees the drafts that have expired.
    pub fn sweep(&self, now: SiteTime) {
        let mut drafts = self.lock();
        drafts.retain(|draft| now < draft.until);
        drafts.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Draft>> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SiteTime = SiteTime(1_795_352_700_000);
    const ADA: UserId = UserId(1);
    const TEA: RoomId = RoomId(1);

    #[test]
    fn a_draft_is_kept_for_its_author_and_room_for_a_day() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, "hello".to_owned(), NOW);
        let last_moment = SiteTime(NOW.plus(KEPT_FOR).0 - 1);

        assert_eq!(drafts.find(ADA, TEA, last_moment).as_deref(), Some("hello"));
        assert_eq!(drafts.find(UserId(2), TEA, NOW), None);
        assert_eq!(drafts.find(ADA, RoomId(2), NOW), None);
        assert_eq!(drafts.find(ADA, TEA, NOW.plus(KEPT_FOR)), None);
    }

    #[test]
    fn the_latest_draft_of_a_person_and_room_is_kept() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, "first".to_owned(), NOW);
        drafts.keep(ADA, TEA, "second".to_owned(), NOW);

        assert_eq!(drafts.find(ADA, TEA, NOW).as_deref(), Some("second"));
        assert_eq!(drafts.lock().len(), 1);
    }

    #[test]
    fn a_draft_that_was_sent_is_discarded() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, "hello".to_owned(), NOW);

        drafts.discard(ADA, TEA);

        assert_eq!(drafts.find(ADA, TEA, NOW), None);
    }

    #[test]
    fn the_oldest_drafts_are_evicted_when_there_are_too_many_or_too_large() {
        let drafts = Drafts::default();
        for user in 0..=1_000 {
            drafts.keep(UserId(user), TEA, "x".to_owned(), NOW);
        }
        assert_eq!(drafts.lock().len(), MOST);
        assert_eq!(drafts.find(UserId(0), TEA, NOW), None);

        drafts.keep(ADA, RoomId(2), "x".repeat(MOST_BYTES), NOW);
        assert_eq!(drafts.lock().len(), 1);
    }

    #[test]
    fn sweeping_frees_expired_drafts() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, "hello".to_owned(), NOW);

        drafts.sweep(NOW.plus(KEPT_FOR));

        assert!(drafts.lock().is_empty());
    }
}
