//! Who has a room's page open now. In memory only.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{RoomId, SiteTime, UserId};

/// For how long somebody is here after their page was last heard of.
const HERE_FOR: Duration = Duration::from_secs(60);

/// When each person's page of each room was last heard of.
#[derive(Debug, Default)]
pub struct Presence {
    seen: Mutex<HashMap<RoomId, HashMap<UserId, SiteTime>>>,
}

impl Presence {
    /// Notes that `user` has `room` open at `now`.
    pub fn mark_seen(&self, room: RoomId, user: UserId, now: SiteTime) {
        self.lock().entry(room).or_default().insert(user, now);
    }

    /// Notes that `user` is not in `room` any more.
    pub fn forget(&self, room: RoomId, user: UserId) {
        if let Some(people) = self.lock().get_mut(&room) {
            people.remove(&user);
        }
    }

    /// Notes that nobody but `user` is in `room` any more.
    pub fn forget_others(&self, room: RoomId, user: UserId) {
        if let Some(people) = self.lock().get_mut(&room) {
            people.retain(|person, _| *person == user);
        }
    }

    /// Notes that `user` is in no room any more.
    pub fn forget_everywhere(&self, user: UserId) {
        for people in self.lock().values_mut() {
            people.remove(&user);
        }
    }

    /// How many have `room` open.
    #[must_use]
    pub fn count(&self, room: RoomId, now: SiteTime) -> usize {
        let is_here = |seen: &&SiteTime| now < seen.plus(HERE_FOR);
        self.lock()
            .get(&room)
            .map_or(0, |people| people.values().filter(is_here).count())
    }

    /// Frees what is about people who are gone.
    pub fn sweep(&self, now: SiteTime) {
        let mut seen = self.lock();
        seen.retain(|_, people| {
            people.retain(|_, seen| now < seen.plus(HERE_FOR));
            !people.is_empty()
        });
        seen.shrink_to_fit();
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
    fn somebody_is_here_for_a_minute() {
        let presence = Presence::default();
        presence.mark_seen(TEA, UserId(1), NOW);
        presence.mark_seen(TEA, UserId(1), NOW);
        presence.mark_seen(TEA, UserId(2), NOW.plus(Duration::from_secs(30)));

        assert_eq!(presence.count(TEA, NOW.plus(Duration::from_secs(59))), 2);
        assert_eq!(presence.count(TEA, NOW.plus(HERE_FOR)), 1);
        assert_eq!(presence.count(RoomId(2), NOW), 0);
    }

    #[test]
    fn who_has_left_the_room_is_not_here() {
        let presence = Presence::default();
        presence.mark_seen(TEA, UserId(1), NOW);

        presence.forget(TEA, UserId(1));

        assert_eq!(presence.count(TEA, NOW), 0);
    }

    #[test]
    fn who_is_gone_is_nowhere_here() {
        let presence = Presence::default();
        for (room, user) in [(TEA, 1), (TEA, 2), (RoomId(2), 1)] {
            presence.mark_seen(room, UserId(user), NOW);
        }

        presence.forget_everywhere(UserId(1));

        assert_eq!(presence.count(TEA, NOW), 1);
        assert_eq!(presence.count(RoomId(2), NOW), 0);
    }

    #[test]
    fn when_all_others_are_taken_out_one_is_here() {
        let presence = Presence::default();
        for user in 1..=3 {
            presence.mark_seen(TEA, UserId(user), NOW);
        }

        presence.forget_others(TEA, UserId(2));

        assert_eq!(presence.count(TEA, NOW), 1);
    }

    #[test]
    fn sweeping_frees_what_is_about_people_who_are_gone() {
        let presence = Presence::default();
        presence.mark_seen(TEA, UserId(1), NOW);

        presence.sweep(NOW.plus(HERE_FOR));

        assert!(presence.lock().is_empty());
    }
}
