//! Rate limits, each with a name. They go by the server's clock.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;
use crate::domain::{RoomId, SlowMode, UserId};

/// Messages of one person in one room: so many at once, then one a second.
const MESSAGES_A_PERSON: NonZero<u32> = NonZero::new(5).unwrap();
/// Messages of everybody in one room: so many at once.
const MESSAGES_A_ROOM: NonZero<u32> = NonZero::new(20).unwrap();
/// Messages of everybody in one room, after that: so many a second.
const MESSAGES_A_ROOM_A_SECOND: NonZero<u32> = NonZero::new(10).unwrap();
const ONE: NonZero<u32> = NonZero::new(1).unwrap();

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, LimitsClock, NoOpMiddleware<Nanos>>;

/// The limits of a server.
pub struct Limits {
    is_on: bool,
    clock: LimitsClock,
    messages_of_person: Limiter<(UserId, RoomId)>,
    messages_in_room: Limiter<RoomId>,
    /// When each person last wrote in a room in slow mode, by the server's uptime.
    slow: Mutex<HashMap<(UserId, RoomId), Duration>>,
}

/// That something was asked for too often: when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Whole seconds to wait, at least 1.
    pub wait_s: u64,
}

impl Limits {
    /// Limits that go by `clock`; off, they let everything pass.
    #[must_use]
    pub fn new(is_on: bool, clock: Arc<dyn Clock>) -> Self {
        let clock = LimitsClock(clock);
        let person = Quota::per_second(ONE).allow_burst(MESSAGES_A_PERSON);
        let room = Quota::per_second(MESSAGES_A_ROOM_A_SECOND).allow_burst(MESSAGES_A_ROOM);
        Self {
            is_on,
            messages_of_person: RateLimiter::new(
                person,
                DashMapStateStore::default(),
                clock.clone(),
            ),
            messages_in_room: RateLimiter::new(room, DashMapStateStore::default(), clock.clone()),
            slow: Mutex::default(),
            clock,
        }
    }

    /// Counts a message of `user` in `room`.
    ///
    /// # Errors
    /// When it is one too many, of that person or of all in the room.
    pub fn message(&self, user: UserId, room: RoomId) -> Result<(), TooMany> {
        if !self.is_on {
            return Ok(());
        }
        let now = self.clock.now();
        let too_many = |until: governor::NotUntil<Nanos>| TooMany::wait(until.wait_time_from(now));
        self.messages_of_person
            .check_key(&(user, room))
            .map_err(too_many)?;
        self.messages_in_room.check_key(&room).map_err(too_many)
    }

    /// Counts a message of `user` in `room`, where a person waits so long between two. This is the
    /// owner's wish, so it holds with limits off as well.
    ///
    /// # Errors
    /// When their last one was not so long ago.
    pub fn slow_mode(&self, user: UserId, room: RoomId, wait: SlowMode) -> Result<(), TooMany> {
        if !wait.is_on() {
            return Ok(());
        }
        let now = self.clock.0.uptime();
        let mut slow = self.slow();
        if let Some(last) = slow.get(&(user, room)) {
            let left = (*last + wait.0).saturating_sub(now);
            if !left.is_zero() {
                return Err(TooMany::wait(left));
            }
        }
        slow.insert((user, room), now);
        Ok(())
    }

    /// Frees what is about people and rooms that have all their tries back.
    pub fn sweep(&self) {
        self.messages_of_person.retain_recent();
        self.messages_of_person.shrink_to_fit();
        self.messages_in_room.retain_recent();
        self.messages_in_room.shrink_to_fit();
        let now = self.clock.0.uptime();
        let longest = SlowMode::CHOICES.map(|choice| choice.0).into_iter().max();
        let mut slow = self.slow();
        slow.retain(|_, last| now < *last + longest.unwrap_or_default());
        slow.shrink_to_fit();
    }

    fn slow(&self) -> MutexGuard<'_, HashMap<(UserId, RoomId), Duration>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TooMany {
    fn wait(wait: Duration) -> Self {
        Self {
            wait_s: wait
                .as_millis()
                .div_ceil(1_000)
                .max(1)
                .try_into()
                .unwrap_or(u64::MAX),
        }
    }
}

/// The server's clock, as governor reads it.
#[derive(Clone)]
struct LimitsClock(Arc<dyn Clock>);

impl GovernorClock for LimitsClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.uptime().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;
    use crate::domain::Timestamp;

    const ADA: UserId = UserId(1);
    const TEA: RoomId = RoomId(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn limits(is_on: bool) -> (Limits, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(Timestamp(1_795_352_700_000)));
        (Limits::new(is_on, clock.clone()), clock)
    }

    fn passed(limits: &Limits, user: UserId, room: RoomId) -> usize {
        (0..100)
            .take_while(|_| limits.message(user, room).is_ok())
            .count()
    }

    #[test]
    fn a_person_sends_five_messages_at_once_and_then_one_a_second() {
        let (limits, clock) = limits(true);

        assert_eq!(passed(&limits, ADA, TEA), 5);
        assert_eq!(limits.message(ADA, TEA), Err(TooMany { wait_s: 1 }));
        clock.advance(3 * SECOND);
        assert_eq!(passed(&limits, ADA, TEA), 3);
        assert_eq!(passed(&limits, ADA, RoomId(2)), 5);
    }

    #[test]
    fn a_room_takes_twenty_messages_at_once_and_then_ten_a_second() {
        let (limits, clock) = limits(true);
        let all = |people: std::ops::Range<i64>| -> usize {
            people.map(|user| passed(&limits, UserId(user), TEA)).sum()
        };

        assert_eq!(all(0..10), 20);
        clock.advance(SECOND);
        assert_eq!(all(10..20), 10);
    }

    #[test]
    fn in_slow_mode_a_person_waits_between_two_messages() {
        let (limits, clock) = limits(false);
        let slow = SlowMode(30 * SECOND);
        let write = |user, room| limits.slow_mode(user, room, slow);

        assert_eq!(write(ADA, TEA), Ok(()));
        clock.advance(SECOND);
        assert_eq!(write(ADA, TEA), Err(TooMany { wait_s: 29 }));
        assert_eq!(write(UserId(2), TEA), Ok(()));
        assert_eq!(write(ADA, RoomId(2)), Ok(()));
        assert_eq!(limits.slow_mode(ADA, TEA, SlowMode::OFF), Ok(()));
        clock.advance(29 * SECOND);
        assert_eq!(write(ADA, TEA), Ok(()));
    }

    #[test]
    fn switched_off_everything_passes() {
        let (limits, _) = limits(false);

        assert_eq!(passed(&limits, ADA, TEA), 100);
    }

    #[test]
    fn what_is_full_again_is_freed() {
        let (limits, clock) = limits(true);
        passed(&limits, ADA, TEA);
        limits.slow_mode(ADA, TEA, SlowMode(30 * SECOND)).unwrap();

        clock.advance(120 * SECOND);
        limits.sweep();

        assert!(limits.messages_of_person.is_empty() && limits.messages_in_room.is_empty());
        assert!(limits.slow().is_empty());
    }
}
