//! Drafts: messages that were sent after the author's session had ended, kept until the author signs in
//! again, and texts in the box of a room that its reader loads again.
//!
//! A draft is kept for a day at most, and returned only to the person named by the form's nonce. Text without
//! a valid nonce is not kept, so strangers cannot fill this memory. Nor can a person who has collected nonces:
//! each has few drafts, which are as short as messages.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{MessageText, RoomId, SiteTime, UserId};

/// How long a draft is kept.
const RETENTION: Duration = Duration::from_secs(86_400);
/// The maximum number of drafts of one person, who has at most one per room.
const MAX_PER_AUTHOR: usize = 3;
/// The maximum number of drafts of all people together.
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
    text: MessageText,
    expires_at: SiteTime,
}

impl Draft {
    fn belongs_to(&self, author: UserId, room: RoomId) -> bool {
        (self.author, self.room) == (author, room)
    }
}

impl Drafts {
    /// Keeps a draft in place of the author's earlier draft in the same room. Evicts the author's oldest draft
    /// if the author has too many, and the oldest of all if there are too many.
    pub fn keep(&self, author: UserId, room: RoomId, text: MessageText, now: SiteTime) {
        let mut drafts = self.lock();
        drafts.retain(|draft| !draft.belongs_to(author, room));
        let own = drafts.iter().filter(|draft| draft.author == author);
        if own.count() >= MAX_PER_AUTHOR
            && let Some(oldest) = drafts.iter().position(|draft| draft.author == author)
        {
            drafts.remove(oldest);
        }
        drafts.push_back(Draft {
            author,
            room,
            text,
            expires_at: now.plus(RETENTION),
        });
        let length = |draft: &Draft| draft.text.as_str().len();
        let bytes = |drafts: &VecDeque<Draft>| drafts.iter().map(length).sum::<usize>();
        while drafts.len() > MAX_DRAFTS || bytes(&drafts) > MAX_BYTES {
            drafts.pop_front();
        }
    }

    /// Returns the draft of `author` in `room`, unless it has expired.
    #[must_use]
    pub fn find(&self, author: UserId, room: RoomId, now: SiteTime) -> Option<String> {
        let drafts = self.lock();
        let draft = drafts.iter().find(|draft| draft.belongs_to(author, room))?;
        (now < draft.expires_at).then(|| draft.text.as_str().to_owned())
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

    /// Returns the number of drafts, expired ones included until they are swept.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().len()
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

    fn text(typed: &str) -> MessageText {
        MessageText::parse(typed).unwrap()
    }

    #[test]
    fn a_draft_is_kept_for_its_author_and_room_for_a_day() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, text("hello"), NOW);
        let last_moment = SiteTime(NOW.plus(RETENTION).0 - 1);

        assert_eq!(drafts.find(ADA, TEA, last_moment).as_deref(), Some("hello"));
        assert_eq!(drafts.find(UserId(2), TEA, NOW), None);
        assert_eq!(drafts.find(ADA, RoomId(2), NOW), None);
        assert_eq!(drafts.find(ADA, TEA, NOW.plus(RETENTION)), None);
    }

    #[test]
    fn the_latest_draft_of_a_person_and_room_is_kept() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, text("first"), NOW);
        drafts.keep(ADA, TEA, text("second"), NOW);

        assert_eq!(drafts.find(ADA, TEA, NOW).as_deref(), Some("second"));
        assert_eq!(drafts.size(), 1);
    }

    #[test]
    fn a_draft_that_was_sent_is_discarded() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, text("hello"), NOW);

        drafts.discard(ADA, TEA);

        assert_eq!(drafts.find(ADA, TEA, NOW), None);
    }

    #[test]
    fn the_oldest_drafts_are_evicted_when_there_are_too_many_or_too_large() {
        let drafts = Drafts::default();
        for user in 0..=1_000 {
            drafts.keep(UserId(user), TEA, text("x"), NOW);
        }
        assert_eq!(drafts.size(), MAX_DRAFTS);
        assert_eq!(drafts.find(UserId(0), TEA, NOW), None);

        // 8,000 bytes, the most that a message can have.
        let longest = text(&"\u{1f375}".repeat(MessageText::MAX_CHARS));
        for user in 0..1_000 {
            drafts.keep(UserId(user), TEA, longest.clone(), NOW);
        }
        assert_eq!(drafts.size(), MAX_BYTES / 8_000);
    }

    #[test]
    fn a_fourth_draft_evicts_the_oldest_of_its_author_and_no_other() {
        let drafts = Drafts::default();
        drafts.keep(UserId(2), TEA, text("of another"), NOW);
        for room in 1..=65 {
            drafts.keep(ADA, RoomId(room), text("hello"), NOW);
        }

        let kept = (1..=65).filter(|room| drafts.find(ADA, RoomId(*room), NOW).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [63, 64, 65]);
        let other = drafts.find(UserId(2), TEA, NOW);
        assert_eq!(other.as_deref(), Some("of another"));
    }

    #[test]
    fn sweeping_frees_expired_drafts() {
        let drafts = Drafts::default();
        drafts.keep(ADA, TEA, text("hello"), NOW);

        drafts.sweep(NOW.plus(RETENTION));

        assert_eq!(drafts.size(), 0);
    }
}
