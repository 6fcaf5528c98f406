//! Wrong passwords of private rooms, counted by the room's name and by the person.
//!
//! The limit of a name protects a room from many accounts that guess its password together. It must not protect the
//! room from people who know the password, so it refuses only those who have guessed wrong there themselves. A try
//! counts from its start, so that concurrent tries do not exceed the limit, and is given back unless it was wrong.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::too_many::{MAX_KEYS, TooMany};
use crate::config::Rate;
use crate::domain::{SiteTime, UserId};

/// The number of wrong tries in [`WINDOW`] that a person always has at a room.
pub(super) const FREE_TRIES: usize = 3;
/// How long a person's wrong tries at a room count.
pub(super) const WINDOW: Duration = Duration::from_secs(3_600);

/// The tries at all rooms.
pub(super) struct RoomTries {
    rate: Rate,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// When each name has its full quota again, as the time since `SiteTime(0)`. This is the theoretical arrival
    /// time of the generic cell rate algorithm (ITU-T I.371), as in `governor`, which cannot give a cell back.
    names: HashMap<String, Duration>,
    people: HashMap<(UserId, String), PersonTries>,
}

/// The tries of one person at one room.
#[derive(Default)]
struct PersonTries {
    /// The number of tries that have no outcome yet.
    pending: usize,
    /// The times of the latest wrong tries, oldest first; at most [`FREE_TRIES`].
    wrong: VecDeque<SiteTime>,
}

impl PersonTries {
    fn drop_old(&mut self, now: SiteTime) {
        self.wrong.retain(|at| now < at.plus(WINDOW));
    }

    fn is_empty(&self) -> bool {
        self.pending == 0 && self.wrong.is_empty()
    }
}

impl RoomTries {
    /// Makes the counts, with the rate of wrong tries of all people together at one name.
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            counts: Mutex::default(),
        }
    }

    /// Begins a try of `user` at `name`. Each try that was begun is ended by [`RoomTries::end`].
    ///
    /// # Errors
    /// When there were too many wrong tries at that name, and [`FREE_TRIES`] of them by this person in the last
    /// hour.
    pub(super) fn begin(&self, user: UserId, name: &str, now: SiteTime) -> Result<(), TooMany> {
        let mut counts = self.lock();
        if counts.names.len().max(counts.people.len()) >= MAX_KEYS {
            counts.evict(now);
        }
        let elapsed = now.since(SiteTime(0));
        let full_at = counts.names.get(name).copied().unwrap_or_default();
        let burst = self.rate.each * (self.rate.at_once.get() - 1);
        let name_wait = full_at.saturating_sub(elapsed + burst);
        let tries = counts.people.entry((user, name.to_owned())).or_default();
        tries.drop_old(now);
        if !name_wait.is_zero() && tries.pending + tries.wrong.len() >= FREE_TRIES {
            let oldest = tries.wrong.front();
            let own_wait = oldest.map_or(name_wait, |at| at.plus(WINDOW).since(now));
            return Err(TooMany::wait(name_wait.min(own_wait)));
        }
        tries.pending += 1;
        let full_at = full_at.max(elapsed) + self.rate.each;
        counts.names.insert(name.to_owned(), full_at);
        Ok(())
    }

    /// Ends a try. Gives it back unless the password was wrong.
    pub(super) fn end(&self, user: UserId, name: String, is_wrong: bool, now: SiteTime) {
        let mut counts = self.lock();
        if !is_wrong && let Some(full_at) = counts.names.get_mut(&name) {
            *full_at = full_at.saturating_sub(self.rate.each);
        }
        let key = (user, name);
        let Some(tries) = counts.people.get_mut(&key) else {
            return;
        };
        tries.pending = tries.pending.saturating_sub(1);
        if is_wrong {
            tries.wrong.push_back(now);
            if tries.wrong.len() > FREE_TRIES {
                tries.wrong.pop_front();
            }
        }
        if tries.is_empty() {
            counts.people.remove(&key);
        }
    }

    /// Frees the counts that no longer matter.
    pub(super) fn sweep(&self, now: SiteTime) {
        let mut counts = self.lock();
        counts.drop_old(now);
        counts.names.shrink_to_fit();
        counts.people.shrink_to_fit();
    }

    /// Returns how many names are counted, and how many people with a name that they tried.
    #[must_use]
    pub(super) fn size(&self) -> (usize, usize) {
        let counts = self.lock();
        (counts.names.len(), counts.people.len())
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn drop_old(&mut self, now: SiteTime) {
        let elapsed = now.since(SiteTime(0));
        self.names.retain(|_, full_at| elapsed < *full_at);
        self.people.retain(|_, tries| {
            tries.drop_old(now);
            !tries.is_empty()
        });
    }

    /// Frees the counts that no longer matter. If most remain, frees all, so that memory is bounded.
    fn evict(&mut self, now: SiteTime) {
        self.drop_old(now);
        if self.names.len().max(self.people.len()) > MAX_KEYS / 2 {
            tracing::warn!("rate limiter reset: too many keys");
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZero;

    const NOW: SiteTime = SiteTime(1_795_352_700_000);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Allows `at_once` wrong tries, and then one per minute.
    fn room_tries(at_once: u32) -> RoomTries {
        RoomTries::new(Rate {
            at_once: NonZero::new(at_once).unwrap(),
            each: MINUTE,
        })
    }

    fn attempt(tries: &RoomTries, user: i64, is_wrong: bool, now: SiteTime) -> Result<(), TooMany> {
        tries.begin(UserId(user), "tea", now)?;
        tries.end(UserId(user), "tea".to_owned(), is_wrong, now);
        Ok(())
    }

    /// Counts how many wrong tries of `user` in a row are looked at, at most 100.
    fn wrong(tries: &RoomTries, user: i64, now: SiteTime) -> usize {
        let looked_at = |_: &i32| attempt(tries, user, true, now).is_ok();
        (0..100).take_while(looked_at).count()
    }

    #[test]
    fn when_a_name_is_used_up_each_person_still_has_three_wrong_tries_an_hour() {
        let tries = room_tries(60);

        assert_eq!(wrong(&tries, 1, NOW), 60);
        assert_eq!(wrong(&tries, 2, NOW), 3);
        assert_eq!(wrong(&tries, 3, NOW), 3);
        let refused = attempt(&tries, 2, false, NOW);
        assert_eq!(refused, Err(TooMany { wait_s: 420 }));
        assert_eq!(wrong(&tries, 1, NOW), 0);
        let later = NOW.plus(6 * MINUTE);
        assert_eq!(wrong(&tries, 1, later), 0);
        assert_eq!(wrong(&tries, 1, NOW.plus(7 * MINUTE)), 1);
    }

    #[test]
    fn a_person_who_gave_three_wrong_passwords_waits_an_hour_at_most() {
        let tries = room_tries(1);
        for user in 0..100 {
            assert_eq!(wrong(&tries, user, NOW), 3);
        }

        let refused = attempt(&tries, 0, true, NOW);
        assert_eq!(refused, Err(TooMany { wait_s: 3_600 }));
        assert_eq!(wrong(&tries, 0, NOW.plus(WINDOW)), 3);
    }

    #[test]
    fn right_passwords_and_tries_without_an_answer_are_given_back() {
        let tries = room_tries(3);
        for _ in 0..1_000 {
            assert_eq!(attempt(&tries, 1, false, NOW), Ok(()));
        }
        assert_eq!(tries.size().1, 0);

        assert_eq!(wrong(&tries, 2, NOW), 3);
        for _ in 0..1_000 {
            assert_eq!(attempt(&tries, 1, false, NOW), Ok(()));
        }
        assert_eq!(wrong(&tries, 2, NOW), 0, "nothing more was given back");
    }

    #[test]
    fn concurrent_tries_count_from_their_start() {
        let tries = room_tries(3);
        for _ in 0..3 {
            tries.begin(UserId(1), "tea", NOW).unwrap();
        }

        assert!(tries.begin(UserId(1), "tea", NOW).is_err());
        assert!(tries.begin(UserId(1), "cake", NOW).is_ok());
        assert!(tries.begin(UserId(2), "tea", NOW).is_ok());
    }

    #[test]
    fn made_up_names_use_little_memory_and_are_freed() {
        let tries = room_tries(60);
        for number in 0..300_000 {
            tries.begin(UserId(1), &number.to_string(), NOW).unwrap();
            tries.end(UserId(1), number.to_string(), true, NOW);
            assert!(tries.size().0 <= MAX_KEYS);
        }

        tries.sweep(NOW.plus(WINDOW));

        assert_eq!(tries.size(), (0, 0));
    }
}
