//! The names of keys and channels in Redis.

use std::sync::Arc;

use crate::domain::{RoomId, UserId};

/// The names of a site's keys and channels.
///
/// A name is `mirage:{SITE:r42}:part`. SITE is the site's random key, so that several sites can share a Redis. What
/// is in braces is the name's hash tag: all keys of a script have the same, so that they are on one server of a
/// Redis Cluster.
#[derive(Debug, Clone)]
pub struct Keys {
    site: Arc<str>,
}

impl Keys {
    /// Makes the names of the site with this key.
    #[must_use]
    pub fn new(site: &str) -> Self {
        Self { site: site.into() }
    }

    /// Returns the name of a part of a room's state.
    #[must_use]
    pub fn room(&self, room: RoomId, part: &str) -> String {
        format!("mirage:{{{}:r{room}}}:{part}", self.site)
    }

    /// Returns the name of a part of a person's state.
    #[must_use]
    pub fn person(&self, person: UserId, part: &str) -> String {
        format!("mirage:{{{}:u{person}}}:{part}", self.site)
    }

    /// Returns the name of a part of the state of the whole site.
    #[must_use]
    pub fn site(&self, part: &str) -> String {
        format!("mirage:{{{}}}:{part}", self.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_room_have_one_hash_tag() {
        let keys = Keys::new("5eed");

        assert_eq!(keys.room(RoomId(42), "log"), "mirage:{5eed:r42}:log");
        assert_eq!(keys.person(UserId(7), "draft"), "mirage:{5eed:u7}:draft");
        assert_eq!(keys.site("time"), "mirage:{5eed}:time");
    }
}
