//! The counters of rate limits in this process's memory.

use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::super::too_many::{MAX_KEYS, TooMany};
use super::act::Act;
use super::room_tries::RoomTries;
use crate::clock::Clock;
use crate::config::{Rate, Rates};
use crate::domain::{ClientAddress, RoomId, SiteTime, UserId};

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
    reports: Limit<(UserId, RoomId)>,
    reports_room: Limit<RoomId>,
    links: Limit<ClientAddress>,
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
            reports: Limit::new(rates.limit_messages, &clock),
            reports_room: Limit::new(rates.limit_messages_room, &clock),
            links: Limit::new(rates.limit_links, &clock),
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
        self.reports.sweep();
        self.reports_room.sweep();
        self.links.sweep();
        let now = self.clock.0.site_time();
        self.join_name.sweep(now);
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
            + self.reports.size()
            + self.reports_room.size()
            + self.links.size()
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
