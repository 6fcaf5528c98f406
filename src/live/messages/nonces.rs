//! The nonces that were used in a room, each with the message it led to.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use foldhash::{HashMap, HashMapExt};

use crate::domain::{MessageId, MessageText, NonceId, SiteTime};

/// A room's used nonces. A nonce is held until its message's first deadline, even if the message is
/// deleted or its deadline moves, and at most `capacity` nonces are held: the oldest go first.
pub(super) struct UsedNonces {
    capacity: usize,
    by_id: HashMap<NonceId, UsedNonce>,
    /// The keys of `by_id`, oldest first.
    order: VecDeque<NonceId>,
}

/// What a used nonce led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsedNonce {
    /// The message that was posted.
    pub(super) message: MessageId,
    /// Tells the text from others. Only the author could choose two texts with the same hash.
    text_hash: u64,
    /// The message's first deadline.
    until: SiteTime,
}

impl UsedNonces {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            by_id: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Returns what `nonce` led to, if the nonce was used and its message's first deadline is to come.
    pub(super) fn find(&self, nonce: NonceId, now: SiteTime) -> Option<UsedNonce> {
        let used = self.by_id.get(&nonce)?;
        (now < used.until).then_some(*used)
    }

    /// Notes that `nonce` led to `message`, whose first deadline is `until`.
    pub(super) fn insert(
        &mut self,
        nonce: NonceId,
        text: &MessageText,
        message: MessageId,
        until: SiteTime,
    ) {
        let used = UsedNonce {
            message,
            text_hash: hash_of(text),
            until,
        };
        if self.by_id.insert(nonce, used).is_none() {
            self.order.push_back(nonce);
        }
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    /// Frees the nonces whose message's first deadline has passed.
    pub(super) fn free_expired(&mut self, now: SiteTime) {
        self.by_id.retain(|_, used| now < used.until);
        self.order.retain(|nonce| self.by_id.contains_key(nonce));
        if self.order.is_empty() {
            self.by_id.shrink_to_fit();
            self.order.shrink_to_fit();
        }
    }

    /// Returns the site time at which the next nonce can be freed.
    pub(super) fn first_deadline(&self) -> Option<SiteTime> {
        self.by_id.values().map(|used| used.until).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl UsedNonce {
    /// Returns whether the nonce was used for this text.
    pub(super) fn is_for(&self, text: &MessageText) -> bool {
        self.text_hash == hash_of(text)
    }
}

fn hash_of(text: &MessageText) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.as_str().hash(&mut hasher);
    hasher.finish()
}
