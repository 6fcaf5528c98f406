//! Rate limits, measured in the site's steady time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::room_tries::RoomTries;
use super::too_many::{MAX_KEYS, TooMany};
use crate::clock::Clock;
use crate::config::{Rate, Rates};
use crate::domain::{ClientAddress, RoomId, SiteTime, SlowMode, UserId};
use crate::metrics::Counter;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, LimitsClock, NoOpMiddleware<Nanos>>;

/// The rate limits of a server.
pub struct Limits {
    is_on: bool,
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
    /// The attempts that [`RoomTries`] refused.
    join_name_refusals: Counter,
    /// The messages that slow mode refused.
    slow_mode_refusals: Counter,
    /// When each person last posted in a room in slow mode.
    last_posts: Mutex<HashMap<(UserId, RoomId), SiteTime>>,
}

impl Limits {
    /// Makes limits with these rates. Unless `is_on`, only slow mode limits anything.
    #[must_use]
    pub fn new(is_on: bool, rates: &Rates, clock: Arc<dyn Clock>) -> Self {
        let clock = LimitsClock(clock);
        Self {
            is_on,
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
            join_name_refusals: Counter::default(),
            slow_mode_refusals: Counter::default(),
            last_posts: Mutex::default(),
            clock,
        }
    }

    /// Counts an attempt at the password of the account whose folded name is `name`, at sign-in or when the
    /// password is asked for again.
    ///
    /// # Errors
    /// When there were too many attempts from that address, or from that address with that name. Attempts
    /// from elsewhere do not lock the account's owner out.
    pub fn password(&self, name: &str, from: ClientAddress) -> Result<(), TooMany> {
        // The address is counted first, so that an address that tries many names does not fill the memory of
        // the other limit.
        self.count(&self.password_address, &from)?;
        self.count(&self.password, &(name.to_owned(), from))
    }

    /// Counts a new password for an account, before its strength is estimated, as an attempt at a password.
    ///
    /// # Errors
    /// When there were too many attempts from that address.
    pub fn new_password(&self, from: ClientAddress) -> Result<(), TooMany> {
        self.count(&self.password_address, &from)
    }

    /// Counts an attempt to create an account.
    ///
    /// # Errors
    /// When there were too many attempts from that address.
    pub fn sign_up(&self, from: ClientAddress) -> Result<(), TooMany> {
        self.count(&self.sign_up, &from)
    }

    /// Counts an attempt of `user` to join the private room whose folded name is `name`; `None` is a name
    /// that no room can have. Attempts count whether or not the room exists, so that a refusal does not
    /// reveal it. The name's count is given back unless the caller says that the password was wrong.
    ///
    /// # Errors
    /// When there were too many attempts by that person, or too many wrong ones with that name, three of them
    /// by that person in the last hour.
    pub fn join(&self, user: UserId, name: Option<String>) -> Result<JoinAttempt<'_>, TooMany> {
        self.count(&self.join, &user)?;
        let name = name.filter(|_| self.is_on);
        if let Some(name) = &name {
            let now = self.clock.0.site_time();
            let begun = self.join_name.begin(user, name, now);
            begun.inspect_err(|_| self.join_name_refusals.increment())?;
        }
        Ok(JoinAttempt {
            limits: self,
            user,
            name,
        })
    }

    /// Counts an attempt of `user` to create a room.
    ///
    /// # Errors
    /// When there were too many attempts by that person.
    pub fn new_room(&self, user: UserId) -> Result<(), TooMany> {
        self.count(&self.rooms, &user)
    }

    /// Counts a new password that `user` sets for a room.
    ///
    /// # Errors
    /// When there were too many room passwords by that person.
    pub fn room_password(&self, user: UserId) -> Result<(), TooMany> {
        self.count(&self.room_passwords, &user)
    }

    /// Counts a change that `user` makes and that has no limit of its own, such as joining or leaving a room,
    /// saving settings, or banning a person. Each change is a write transaction, and wakes those who wait in
    /// the room.
    ///
    /// # Errors
    /// When there were too many changes by that person.
    pub fn change(&self, user: UserId) -> Result<(), TooMany> {
        self.count(&self.changes, &user)
    }

    /// Counts a request for a secret link.
    ///
    /// # Errors
    /// When there were too many attempts from that address.
    pub fn link(&self, from: ClientAddress) -> Result<(), TooMany> {
        self.count(&self.links, &from)
    }

    /// Counts a message of `user` in `room`.
    ///
    /// # Errors
    /// When there were too many messages by that person in the room, or by everybody in the room.
    pub fn message(&self, user: UserId, room: RoomId) -> Result<(), TooMany> {
        self.count(&self.messages, &(user, room))?;
        self.count(&self.messages_room, &room)
    }

    /// Counts a report of `user` in `room`. Reports have the limits of messages, but are counted by themselves:
    /// neither keeps anybody from the other.
    ///
    /// # Errors
    /// When there were too many reports by that person in the room, or by everybody in the room.
    pub fn report(&self, user: UserId, room: RoomId) -> Result<(), TooMany> {
        self.count(&self.reports, &(user, room))?;
        self.count(&self.reports_room, &room)
    }

    /// Counts a message of `user` in `room`, whose slow mode is `wait`. This is the room owner's setting, so
    /// it also applies when rate limits are off.
    ///
    /// # Errors
    /// When the person's last message in the room is less than `wait` ago.
    pub fn slow_mode(&self, user: UserId, room: RoomId, wait: SlowMode) -> Result<(), TooMany> {
        if !wait.is_on() {
            return Ok(());
        }
        let now = self.clock.0.site_time();
        let mut last_posts = self.last_posts();
        if let Some(last) = last_posts.get(&(user, room)) {
            let left = last.plus(wait.0).since(now);
            if !left.is_zero() {
                self.slow_mode_refusals.increment();
                return Err(TooMany::wait(left));
            }
        }
        last_posts.insert((user, room), now);
        Ok(())
    }

    /// Frees the counters of keys that have their full quota again.
    pub fn sweep(&self) {
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
        let longest = SlowMode::CHOICES.map(|choice| choice.0).into_iter().max();
        let mut last_posts = self.last_posts();
        last_posts.retain(|_, last| now < last.plus(longest.unwrap_or_default()));
        last_posts.shrink_to_fit();
    }

    /// Returns the number of keys that all limits count.
    #[must_use]
    pub fn size(&self) -> usize {
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

    /// Returns how often each limit has refused somebody, by the name of its setting.
    #[must_use]
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("sign-in", self.password.refusals.get()),
            ("sign-in-address", self.password_address.refusals.get()),
            ("sign-up", self.sign_up.refusals.get()),
            ("join", self.join.refusals.get()),
            ("join-name", self.join_name_refusals.get()),
            ("rooms", self.rooms.refusals.get()),
            ("room-passwords", self.room_passwords.refusals.get()),
            ("changes", self.changes.refusals.get()),
            ("messages", self.messages.refusals.get()),
            ("messages-room", self.messages_room.refusals.get()),
            ("reports", self.reports.refusals.get()),
            ("reports-room", self.reports_room.refusals.get()),
            ("links", self.links.refusals.get()),
            ("slow-mode", self.slow_mode_refusals.get()),
        ]
    }

    fn count<K: Hash + Eq + Clone>(&self, limit: &Limit<K>, key: &K) -> Result<(), TooMany> {
        if self.is_on { limit.count(key) } else { Ok(()) }
    }

    fn last_posts(&self) -> MutexGuard<'_, HashMap<(UserId, RoomId), SiteTime>> {
        self.last_posts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt to join a private room, which counts for the room's name until it is dropped.
#[must_use]
pub struct JoinAttempt<'a> {
    limits: &'a Limits,
    user: UserId,
    /// `None` if the name is not counted.
    name: Option<String>,
}

impl JoinAttempt<'_> {
    /// Counts the attempt as wrong: the password was, or there is no such room.
    pub fn count_as_wrong(mut self) {
        self.end(true);
    }

    fn end(&mut self, is_wrong: bool) {
        if let Some(name) = self.name.take() {
            let now = self.limits.clock.0.site_time();
            self.limits.join_name.end(self.user, name, is_wrong, now);
        }
    }
}

impl Drop for JoinAttempt<'_> {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// One limit, with a quota for each key.
struct Limit<K: Hash + Eq + Clone> {
    quota: Quota,
    clock: LimitsClock,
    limiter: RwLock<Limiter<K>>,
    refusals: Counter,
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
            refusals: Counter::default(),
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
        counted.map_err(|until| {
            self.refusals.increment();
            TooMany::wait(until.wait_time_from(now))
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use crate::clock::FixedClock;
    use crate::config::Command;
    use crate::domain::Timestamp;

    const ADA: UserId = UserId(1);
    const TEA: RoomId = RoomId(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn limits(is_on: bool) -> (Limits, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(Timestamp(1_795_352_700_000)));
        let Ok(Command::Serve(config)) = Command::parse(["mirage"]) else {
            panic!("there are no default settings")
        };
        (Limits::new(is_on, &config.rates, clock.clone()), clock)
    }

    fn address(number: u32) -> ClientAddress {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    /// Counts how often `pass` succeeds in a row, at most 1,000 times.
    fn tries(pass: impl Fn() -> Result<(), TooMany>) -> usize {
        (0..1000).take_while(|_| pass().is_ok()).count()
    }

    fn passed(limits: &Limits, user: UserId, room: RoomId) -> usize {
        tries(|| limits.message(user, room))
    }

    #[test]
    fn a_person_can_send_a_burst_of_five_messages_and_then_one_per_second() {
        let (limits, clock) = limits(true);

        assert_eq!(passed(&limits, ADA, TEA), 5);
        assert_eq!(limits.message(ADA, TEA), Err(TooMany { wait_s: 1 }));
        clock.advance(3 * SECOND);
        assert_eq!(passed(&limits, ADA, TEA), 3);
        assert_eq!(passed(&limits, ADA, RoomId(2)), 5);
    }

    #[test]
    fn a_room_accepts_a_burst_of_twenty_messages_and_then_ten_per_second() {
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
        let slow_mode = SlowMode(30 * SECOND);
        let write = |user, room| limits.slow_mode(user, room, slow_mode);

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
    fn disabled_limits_let_everything_pass() {
        let (limits, _) = limits(false);

        assert_eq!(passed(&limits, ADA, TEA), 1000);
        assert_eq!(tries(|| limits.password("ada", address(1))), 1000);
        assert_eq!(tries(|| limits.sign_up(address(1))), 1000);
        assert_eq!(tries(|| limits.join(ADA, None).map(drop)), 1000);
        assert_eq!(tries(|| limits.new_room(ADA)), 1000);
        assert_eq!(tries(|| limits.room_password(ADA)), 1000);
        assert_eq!(tries(|| limits.change(ADA)), 1000);
        assert_eq!(tries(|| limits.link(address(1))), 1000);
    }

    #[test]
    fn an_address_can_try_one_name_ten_times_and_then_every_thirty_seconds() {
        let (limits, clock) = limits(true);

        assert_eq!(tries(|| limits.password("ada", address(1))), 10);
        let refused = limits.password("ada", address(1));
        assert_eq!(refused, Err(TooMany { wait_s: 30 }));
        assert_eq!(tries(|| limits.password("bob", address(1))), 10);
        assert_eq!(tries(|| limits.password("ada", address(2))), 10);
        clock.advance(60 * SECOND);
        assert_eq!(tries(|| limits.password("ada", address(1))), 2);
    }

    #[test]
    fn an_address_can_try_all_names_sixty_times_and_then_once_per_second() {
        let (limits, clock) = limits(true);
        let all = |names: std::ops::Range<u32>| {
            names
                .take_while(|name| limits.password(&name.to_string(), address(1)).is_ok())
                .count()
        };

        assert_eq!(all(0..100), 60);
        clock.advance(3 * SECOND);
        assert_eq!(all(100..200), 3);
        assert_eq!(tries(|| limits.password("1", address(2))), 10);
    }

    #[test]
    fn each_person_and_each_address_has_a_burst_and_then_a_rate_of_their_own() {
        type Count<'a> = &'a dyn Fn(u32) -> Result<(), TooMany>;
        let (limits, clock) = limits(true);
        let person = |number: u32| UserId(number.into());
        // What is counted, how often it is allowed at once, and how often again after that many seconds.
        let counts: [(&str, Count<'_>, usize, usize, u32); 6] = [
            ("accounts", &|by| limits.sign_up(address(by)), 10, 10, 3600),
            ("links", &|by| limits.link(address(by)), 30, 30, 60),
            (
                "joins",
                &|by| limits.join(person(by), None).map(drop),
                10,
                2,
                120,
            ),
            ("rooms", &|by| limits.new_room(person(by)), 20, 20, 3600),
            (
                "room passwords",
                &|by| limits.room_password(person(by)),
                10,
                2,
                120,
            ),
            ("changes", &|by| limits.change(person(by)), 30, 3, 3),
        ];
        for (what, count, burst, again, seconds) in counts {
            assert_eq!(tries(|| count(1)), burst, "{what}");
            assert_eq!(tries(|| count(2)), burst, "{what}");
            clock.advance(seconds * SECOND);
            assert_eq!(tries(|| count(1)), again, "{what}");
        }
    }

    #[test]
    fn everybody_together_can_give_sixty_wrong_passwords_of_a_private_room_per_hour() {
        let (limits, clock) = limits(true);
        let wrong = |user| {
            let attempt = limits.join(UserId(user), Some("tea".to_owned()))?;
            attempt.count_as_wrong();
            Ok(())
        };
        for user in 0..6 {
            assert_eq!(tries(|| wrong(user)), 10);
        }
        clock.advance(600 * SECOND);

        // Ten tries of the name and of each person are back.
        assert_eq!(tries(|| wrong(0)), 10);
        assert_eq!(tries(|| wrong(1)), 0);
        let right = |user| limits.join(UserId(user), Some("tea".to_owned())).map(drop);
        assert_eq!(tries(|| right(7)), 10);
        assert_eq!(tries(|| wrong(8)), 3);
    }

    #[test]
    fn a_million_addresses_use_little_memory() {
        let (limits, clock) = limits(true);
        for number in 0..1_000_000 {
            // After every 200,000 addresses, all earlier ones get their full quota back.
            if number % 200_000 == 0 {
                clock.advance(3600 * SECOND);
            }
            limits.sign_up(address(number)).unwrap();
            assert!(limits.size() < MAX_KEYS);
        }

        let entry = size_of::<(ClientAddress, u64)>();
        assert!(entry * MAX_KEYS < 4 << 20, "{entry} bytes a key");
    }

    #[test]
    fn an_exhausted_key_stays_limited_when_others_are_evicted() {
        let (limits, clock) = limits(true);
        let old = u32::try_from(MAX_KEYS).unwrap() - 10;
        for number in 1..old {
            limits.sign_up(address(number)).unwrap();
        }
        clock.advance(3600 * SECOND);
        assert_eq!(tries(|| limits.sign_up(address(0))), 10);

        for number in old..old + 100 {
            limits.sign_up(address(number)).unwrap();
        }

        assert!(limits.size() <= 101);
        assert!(limits.sign_up(address(0)).is_err());
    }

    #[test]
    fn sweeping_frees_keys_with_their_full_quota() {
        let (limits, clock) = limits(true);
        passed(&limits, ADA, TEA);
        limits.slow_mode(ADA, TEA, SlowMode(30 * SECOND)).unwrap();

        clock.advance(120 * SECOND);
        limits.sweep();

        assert_eq!(limits.size(), 0);
    }
}
