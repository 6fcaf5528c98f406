//! Drafts in this process's memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::limits::{MAX_BYTES, MAX_DRAFTS, MAX_PER_AUTHOR, RETENTION};
use crate::domain::{MessageText, RoomId, SiteTime, UserId};

/// The drafts of all people, oldest first.
#[derive(Debug, Default)]
pub(super) struct MemoryDrafts {
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

impl MemoryDrafts {
    /// Keeps a draft in place of the author's earlier draft in the same room. Evicts the author's oldest draft
    /// if the author has too many, and the oldest of all if there are too many.
    pub(super) fn keep(&self, author: UserId, room: RoomId, text: MessageText, now: SiteTime) {
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
    pub(super) fn find(&self, author: UserId, room: RoomId, now: SiteTime) -> Option<String> {
        let drafts = self.lock();
        let draft = drafts.iter().find(|draft| draft.belongs_to(author, room))?;
        (now < draft.expires_at).then(|| draft.text.as_str().to_owned())
    }

    /// Drops the draft of `author` in `room` after the message was sent.
    pub(super) fn discard(&self, author: UserId, room: RoomId) {
        self.lock().retain(|draft| !draft.belongs_to(author, room));
    }

    /// Drops all drafts of `author`.
    pub(super) fn forget(&self, author: UserId) {
        self.lock().retain(|draft| draft.author != author);
    }

    /// Frees the drafts that have expired.
    pub(super) fn sweep(&self, now: SiteTime) {
        let mut drafts = self.lock();
        drafts.retain(|draft| now < draft.expires_at);
        drafts.shrink_to_fit();
    }

    /// Returns the number of drafts, expired ones included until they are swept.
    pub(super) fn size(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Draft>> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
