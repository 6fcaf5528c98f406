//! The people whose messages a reader is not shown.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::message::Message;
use crate::domain::UserId;

/// The people whom a reader ignores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignored {
    /// In ascending order.
    people: Vec<UserId>,
    /// Tells this set of people from others; 0 if it is empty. A page's cursor carries it, so that pages are reset
    /// when their reader ignores somebody, or no longer does.
    stamp: u64,
}

impl Ignored {
    /// Ignores nobody.
    pub const NOBODY: Self = Self {
        people: Vec::new(),
        stamp: 0,
    };

    /// Returns whether messages of `author` are not shown.
    #[must_use]
    pub fn has(&self, author: UserId) -> bool {
        self.people.binary_search(&author).is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    pub(super) fn shows(&self, message: &Message) -> bool {
        !self.has(message.author)
    }

    pub(super) fn stamp(&self) -> u64 {
        self.stamp
    }
}

impl FromIterator<UserId> for Ignored {
    fn from_iter<T: IntoIterator<Item = UserId>>(people: T) -> Self {
        let mut people: Vec<_> = people.into_iter().collect();
        if people.is_empty() {
            return Self::NOBODY;
        }
        people.sort_unstable();
        let mut hasher = DefaultHasher::new();
        people.hash(&mut hasher);
        let stamp = hasher.finish();
        Self { people, stamp }
    }
}
