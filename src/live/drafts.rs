//! Drafts: messages that were sent after the author's session had ended, kept until the author signs in
//! again.
//!
//! A draft is kept for a day at most, and returned only to the person named by the form's nonce. Text without
//! a valid nonce is not kept, so strangers cannot fill this memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{RoomId, SiteTime, UserId};

/// How long a draft is kept.
const RETENTION: Duration = Duration::from_secs(86_400);
/// The maximum number of drafts. Each person has at most one per room.
const MAX_DRAFTS: usize = 1_000;
/// The maximum size of all drafts together, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// The drafts of all people, oldest first.
#[derive(Debug, Default)]
pub struct Drafts {
    drafts: Mutex<VecDeque<Draft>>,
}

#[derive(Debug)]
struct Draft {
    author: UserId,
    room: RoomId,
    text: String,
    expires_at: SiteTime,
}

impl Draft {
    fn belongs_to(&self, author: UserId, room: RoomId) -> bool {
        (self.author, self.room) == (author, room)
    }
}

impl Drafts {
    /// Keeps a draft in place of the author's earlier draft in the same room. Evicts the oldest drafts if
    /// there are too many.
    pub fn keep(&self, author: UserId, room: RoomId, text: String, now: SiteTime) {
        let mut drafts = self.lock();
        drafts.retain(|draft| !draft.belongs_to(author, room));
        drafts.push_back(Draft {
            author,
            room,
            text,
            expires_at: now.plus(RETENTION),
        });
        let bytes =
            |drafts: &VecDeque<Draft>| drafts.iter().map(|draft| draft.text.len()).sum::<usize>();
        while drafts.len() > MAX_DRAFTS || bytes(&drafts) > MAX_BYTES {
            drafts.pop_front();
        }
    }

    /// Returns the draft of `author` in `room`, unless it has expired.
    #[must_use]
    pub fn find(&self, author: UserId, room: RoomId, now: SiteTime) -> Option<String> {
        let drafts = self.lock();
        let draft = drafts.iter().find(|draft| draft.belongs_to(author, room))?;
        (now < draft.expires_at).then(|| draft.text.clone())
    }

    /// Drops the draft of `author` in `room` after the message was sent.
    pub fn discard(&self, author: UserId, room: RoomId) {
        self.lock().retain(|draft| !draft.belongs_to(author, room));
    }

    /// Drops all drafts of `author`.
    pub fn forget(&self, author: UserId) {
        self.lock().retain(|draft| draft.author != author);
    }

    /// Frees the drafts that have expired.
    pub fn sweep(&self, now: SiteTime) {
        let mut drafts = self.lock();
        drafts.retain(|draft| now < draft.expires_at);
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
        let last_moment = SiteTime(NOW.plus(RETENTION).0 - 1);

        assert_eq!(drafts.find(ADA, TEA, last_moment).as_deref(), Some("hello"));
        assert_eq!(drafts.find(UserId(2), TEA, NOW), None);
        assert_eq!(drafts.find(ADA, RoomId(2), NOW), None);
        assert_eq!(drafts.find(ADA, TEA, NOW.plus(RETENTION)), None);
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
        assert_eq!(drafts.lock().len(), MAX_DRAFTS);
        assert_eq!(drafts.find(UserId(0), TEA, NOW), None);

        drafts.keep(ADA, RoomId(2), "x".repeat(MAX_BYTES), NOW);
        assert_eq!(drafts.lock().len(), 1);
    }

    #[test]
    fn sweeping_frees_expired_drafts() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, "hello".to_owned(), NOW);

        drafts.sweep(NOW.plus(RETENTION));

        assert!(drafts.lock().is_empty());
    }
}
