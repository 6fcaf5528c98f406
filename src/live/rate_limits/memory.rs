//! The counters of rate limits in this process's memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::super::too_many::{MAX_KEYS, TooMany};
use super::act::{Act, MessageCount};
use super::room_tries::RoomTries;
use crate::clock::Clock;
use crate::config::{Rate, Rates};
use crate::domain::{ClientAddress, RoomId, SiteTime, SlowMode, UserId};

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, LimitsClock, NoOpMiddleware<Nanos>>;

/// The counters of all limits.
pub(super) struct MemoryCounters {
    clock: LimitsClock,
    password: Limit<(String, ClientAddress)>,
    password_address: Limit<ClientAddress>,
    sign_up: Limit<ClientAddress>,
    join: Limit<UserId>,
    join_name: RoomTries,
    rooms: Limit<UserId>,
    room_passwords: Limit<UserId>,
    changes: Limit<UserId>,
    messages: Limit<(UserId, RoomId)>,
    messages_room: Limit<RoomId>,
    reports: Limit<(UserId, RoomId)>,
    reports_room: Limit<RoomId>,
    links: Limit<ClientAddress>,
    /// When each person last posted in a room in slow mode.
    last_posts: Mutex<HashMap<(UserId, RoomId), SiteTime>>,
}

impl MemoryCounters {
    pub(super) fn new(rates: &Rates, clock: Arc<dyn Clock>) -> Self {
        let clock = LimitsClock(clock);
        Self {
            password: Limit::new(rates.limit_sign_in, &clock),
            password_address: Limit::new(rates.limit_sign_in_address, &clock),
            sign_up: Limit::new(rates.limit_sign_up, &clock),
            join: Limit::new(rates.limit_join, &clock),
            join_name: RoomTries::new(rates.limit_join_name),
            rooms: Limit::new(rates.limit_rooms, &clock),
            room_passwords: Limit::new(rates.limit_room_passwords, &clock),
            changes: Limit::new(rates.limit_changes, &clock),
            messages: Limit::new(rates.limit_messages, &clock),
            messages_room: Limit::new(rates.limit_messages_room, &clock),
            reports: Limit::new(rates.limit_messages, &clock),
            reports_room: Limit::new(rates.limit_messages_room, &clock),
            links: Limit::new(rates.limit_links, &clock),
            last_posts: Mutex::default(),
            clock,
        }
    }

    /// Counts an act with each of its limits in turn, until one refuses it.
    pub(super) fn count(&self, act: Act<'_>) -> Result<(), TooMany> {
        match act {
            Act::Password(name, from) => {
                self.password_address.count(&from)?;
                self.password.count(&(name.to_owned(), from))
            }
            Act::NewPassword(from) => self.password_address.count(&from),
            Act::SignUp(from) => self.sign_up.count(&from),
            Act::Join(user) => self.join.count(&user),
            Act::NewRoom(user) => self.rooms.count(&user),
            Act::RoomPassword(user) => self.room_passwords.count(&user),
            Act::Change(user) => self.changes.count(&user),
            Act::Link(from) => self.links.count(&from),
            Act::Report(user, room) => {
                self.reports.count(&(user, room))?;
                self.reports_room.count(&room)
            }
        }
    }

    /// Counts a message, unless it is refused. Slow mode holds even if limits are not `is_on`.
    pub(super) fn count_message(
        &self,
        user: UserId,
        room: RoomId,
        slow_mode: SlowMode,
        is_on: bool,
    ) -> MessageCount {
        if is_on && let Err(too_many) = self.message(user, room) {
            return MessageCount::TooMany(too_many);
        }
        let counted = self.slow_mode(user, room, slow_mode);
        counted.map_or_else(MessageCount::TooSoon, |()| MessageCount::Allowed)
    }

    fn message(&self, user: UserId, room: RoomId) -> Result<(), TooMany> {
        self.messages.count(&(user, room))?;
        self.messages_room.count(&room)
    }

    fn slow_mode(&self, user: UserId, room: RoomId, wait: SlowMode) -> Result<(), TooMany> {
        if !wait.is_on() {
            return Ok(());
        }
        let now = self.clock.0.site_time();
        let mut last_posts = self.last_posts();
        if let Some(last) = last_posts.get(&(user, room)) {
            let left = last.plus(wait.0).since(now);
            if !left.is_zero() {
                return Err(TooMany::wait(left));
            }
        }
        last_posts.insert((user, room), now);
        Ok(())
    }

    /// Begins a try at a room's password, which [`MemoryCounters::end_try`] ends.
    pub(super) fn begin_try(&self, user: UserId, name: &str) -> Result<(), TooMany> {
        self.join_name.begin(user, name, self.clock.0.site_time())
    }

    pub(super) fn end_try(&self, user: UserId, name: String, is_wrong: bool) {
        let now = self.clock.0.site_time();
        self.join_name.end(user, name, is_wrong, now);
    }

    /// Frees the counters of keys that have their full quota again.
    pub(super) fn sweep(&self) {
        self.password.sweep();
        self.password_address.sweep();
        self.sign_up.sweep();
        self.join.sweep();
        self.rooms.sweep();
        self.room_passwords.sweep();
        self.changes.sweep();
        self.messages.sweep();
        self.messages_room.sweep();
        self.reports.sweep();
        self.reports_room.sweep();
        self.links.sweep();
        let now = self.clock.0.site_time();
        self.join_name.sweep(now);
        let mut last_posts = self.last_posts();
        last_posts.retain(|_, last| now < last.plus(SlowMode::LONGEST.0));
        last_posts.shrink_to_fit();
    }

    /// Returns the number of keys that all limits count.
    #[must_use]
    pub(super) fn size(&self) -> usize {
        let (names, people) = self.join_name.size();
        self.password.size()
            + self.password_address.size()
            + self.sign_up.size()
            + self.join.size()
            + names
            + people
            + self.rooms.size()
            + self.room_passwords.size()
            + self.changes.size()
            + self.messages.size()
            + self.messages_room.size()
            + self.reports.size()
            + self.reports_room.size()
            + self.links.size()
            + self.last_posts().len()
    }

    fn last_posts(&self) -> MutexGuard<'_, HashMap<(UserId, RoomId), SiteTime>> {
        self.last_posts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One limit, with a quota for each key.
struct Limit<K: Hash + Eq + Clone> {
    quota: Quota,
    clock: LimitsClock,
    limiter: RwLock<Limiter<K>>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(rate: Rate, clock: &LimitsClock) -> Self {
        // A period of zero would not be a rate; the settings do not allow it.
        let quota = Quota::with_period(rate.each).unwrap_or(Quota::per_second(rate.at_once));
        let quota = quota.allow_burst(rate.at_once);
        Self {
            quota,
            clock: clock.clone(),
            limiter: RwLock::new(Self::fresh(quota, clock)),
        }
    }

    fn fresh(quota: Quota, clock: &LimitsClock) -> Limiter<K> {
        RateLimiter::new(quota, DashMapStateStore::default(), clock.clone())
    }

    fn count(&self, key: &K) -> Result<(), TooMany> {
        let now = self.clock.now();
        let (counted, is_full) = {
            let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
            (limiter.check_key(key), limiter.len() >= MAX_KEYS)
        };
        if is_full {
            self.evict();
        }
        counted.map_err(|until| TooMany::wait(until.wait_time_from(now)))
    }

    /// Frees the keys that have their full quota again. If most keys remain, resets the limiter, so that
    /// memory is bounded; somebody with that many addresses gains nothing from the reset.
    fn evict(&self) {
        let mut limiter = self.limiter.write().unwrap_or_else(PoisonError::into_inner);
        if limiter.len() < MAX_KEYS {
            // Another caller has evicted already.
            return;
        }
        limiter.retain_recent();
        if limiter.len() > MAX_KEYS / 2 {
            tracing::warn!("rate limiter reset: too many keys");
            *limiter = Self::fresh(self.quota, &self.clock);
        }
    }

    fn sweep(&self) {
        let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
        limiter.retain_recent();
        limiter.shrink_to_fit();
    }

    fn size(&self) -> usize {
        let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
        limiter.len()
    }
}

/// The site's time as a clock for `governor`.
#[derive(Clone)]
struct LimitsClock(Arc<dyn Clock>);

impl GovernorClock for LimitsClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.site_time().since(SiteTime(0)).into()
    }
}
