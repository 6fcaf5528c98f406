//! Presence: the people who have a room's page open. In memory only.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::{HashMap, HashSet, HashSetExt};

use super::rooms::Room;
use crate::domain::{RoomId, SiteTime, UserId};

/// How long a person counts as present after the last request of their page.
const PRESENT_FOR: Duration = Duration::from_secs(60);

/// When the page of each room was last requested for each person.
#[derive(Debug, Default)]
pub struct Presence {
    seen: Mutex<HashMap<RoomId, HashMap<UserId, SiteTime>>>,
}

impl Presence {
    /// Marks `user` as present in `room` at `now`.
    pub fn mark_seen(&self, room: RoomId, user: UserId, now: SiteTime) {
        self.lock().entry(room).or_default().insert(user, now);
    }

    /// Returns the number of members who are present in `room`.
    #[must_use]
    pub fn count(&self, room: &Room, now: SiteTime) -> usize {
        let is_present = |(person, seen): &(&UserId, &SiteTime)| {
            room.role_of(**person).is_some() && now < seen.plus(PRESENT_FOR)
        };
        self.lock()
            .get(&room.id)
            .map_or(0, |people| people.iter().filter(is_present).count())
    }

    /// Returns the rooms in which `user` is present or was a moment ago.
    #[must_use]
    pub fn rooms_of(&self, user: UserId) -> Vec<RoomId> {
        let seen = self.lock();
        let theirs = seen.iter().filter(|(_, people)| people.contains_key(&user));
        theirs.map(|(room, _)| *room).collect()
    }

    /// Returns the people who are present in `room`.
    #[must_use]
    pub fn people(&self, room: RoomId, now: SiteTime) -> HashSet<UserId> {
        let is_present = |(_, seen): &(&UserId, &SiteTime)| now < seen.plus(PRESENT_FOR);
        let mut present = HashSet::new();
        if let Some(people) = self.lock().get(&room) {
            present.reserve(people.len());
            present.extend(people.iter().filter(is_present).map(|(&user, _)| user));
        }
        present
    }

    /// Frees the entries of people who are no longer present.
    pub fn sweep(&self, now: SiteTime) {
        let mut seen = self.lock();
        seen.retain(|_, people| {
            people.retain(|_, seen| now < seen.plus(PRESENT_FOR));
            !people.is_empty()
        });
        seen.shrink_to_fit();
    }

    /// Returns the number of rooms that somebody was present in at the last sweep or since.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, HashMap<UserId, SiteTime>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SiteTime = SiteTime(1_795_352_700_000);

    #[test]
    fn sweeping_frees_people_who_are_no_longer_present() {
        let presence = Presence::default();
        presence.mark_seen(RoomId(1), UserId(1), NOW);

        presence.sweep(NOW.plus(PRESENT_FOR));

        assert_eq!(presence.size(), 0);
    }
}
