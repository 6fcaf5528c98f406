//! Presence: the people who have a room's page open. In memory only.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

    /// Removes `user` from `room`.
    pub fn forget(&self, room: RoomId, user: UserId) {
        if let Some(people) = self.lock().get_mut(&room) {
            people.remove(&user);
        }
    }

    /// Removes everybody but `user` from `room`.
    pub fn forget_others(&self, room: RoomId, user: UserId) {
        if let Some(people) = self.lock().get_mut(&room) {
            people.retain(|person, _| *person == user);
        }
    }

    /// Removes `user` from all rooms.
    pub fn forget_everywhere(&self, user: UserId) {
        for people in self.lock().values_mut() {
            people.remove(&user);
        }
    }

    /// Returns the number of people who are present in `room`.
    #[must_use]
    pub fn count(&self, room: RoomId, now: SiteTime) -> usize {
        let is_present = |seen: &&SiteTime| now < seen.plus(PRESENT_FOR);
        self.lock()
            .get(&room)
            .map_or(0, |people| people.values().filter(is_present).count())
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
    const TEA: RoomId = RoomId(1);

    #[test]
    fn a_person_is_present_for_a_minute() {
        let presence = Presence::default();
        presence.mark_seen(TEA, UserId(1), NOW);
        presence.mark_seen(TEA, UserId(1), NOW);
        presence.mark_seen(TEA, UserId(2), NOW.plus(Duration::from_secs(30)));

        assert_eq!(presence.count(TEA, NOW.plus(Duration::from_secs(59))), 2);
        assert_eq!(presence.count(TEA, NOW.plus(PRESENT_FOR)), 1);
        assert_eq!(presence.count(RoomId(2), NOW), 0);
    }

    #[test]
    fn a_person_who_has_left_the_room_is_not_present() {
        let presence = Presence::default();
        presence.mark_seen(TEA, UserId(1), NOW);

        presence.forget(TEA, UserId(1));

        assert_eq!(presence.count(TEA, NOW), 0);
    }

    #[test]
    fn a_person_can_be_removed_from_all_rooms() {
        let presence = Presence::default();
        for (room, user) in [(TEA, 1), (TEA, 2), (RoomId(2), 1)] {
            presence.mark_seen(room, UserId(user), NOW);
        }

        presence.forget_everywhere(UserId(1));

        assert_eq!(presence.count(TEA, NOW), 1);
        assert_eq!(presence.count(RoomId(2), NOW), 0);
    }

    #[test]
    fn when_all_others_are_removed_one_person_is_present() {
        let presence = Presence::default();
        for user in 1..=3 {
            presence.mark_seen(TEA, UserId(user), NOW);
        }

        presence.forget_others(TEA, UserId(2));

        assert_eq!(presence.count(TEA, NOW), 1);
    }

    #[test]
    fn sweeping_frees_people_who_are_no_longer_present() {
        let presence = Presence::default();
        presence.mark_seen(TEA, UserId(1), NOW);

        presence.sweep(NOW.plus(PRESENT_FOR));

        assert_eq!(presence.size(), 0);
    }
}
