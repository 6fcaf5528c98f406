//! The limits of messages in a room: of each person, of all together, and by slow mode. A message is counted exactly if
//! it is posted, so the log counts it when it posts it.
//!
//! A counter is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): the time at which the
//! quota is full again, in microseconds of the site's time.

use std::time::Duration;

use foldhash::HashMap;

use crate::config::Rate;
use crate::domain::{SiteTime, SlowMode, UserId};
use crate::live::too_many::TooMany;

/// How often messages may be posted in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRates {
    /// The messages of one person.
    pub person: Rate,
    /// The messages of all people together.
    pub room: Rate,
}

/// The limits that a message is counted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The rates, unless rate limits are off.
    pub rates: Option<MessageRates>,
    /// How long the author waits between two messages. Slow mode is the room owner's setting, so it also applies when
    /// rate limits are off.
    pub slow_mode: SlowMode,
}

impl Quota {
    /// Limits nothing.
    pub const UNLIMITED: Self = Self {
        rates: None,
        slow_mode: SlowMode::OFF,
    };
}

/// The limit that refuses a message, with the time to wait.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A rate.
    TooMany(TooMany),
    /// Slow mode.
    TooSoon(TooMany),
}

/// A counter that a message is counted with in Redis.
pub(super) struct Count {
    pub(super) counter: String,
    /// The time that one message takes of the quota, in microseconds.
    pub(super) cell: i64,
    /// The time that all messages of a burst but one take, in microseconds.
    pub(super) burst: i64,
    /// Whether a message sets the counter anew instead of adding to it: slow mode counts from the last message, so that
    /// another slow mode holds for those who have posted before.
    pub(super) is_slow_mode: bool,
}

impl Quota {
    /// Returns the counters of a message by `author`, in the order in which they may refuse it.
    pub(super) fn counts(&self, author: UserId) -> impl Iterator<Item = Count> {
        let rated = |counter, rate: Rate| Count {
            counter,
            cell: micros(rate.each),
            burst: burst_of(rate),
            is_slow_mode: false,
        };
        let rates = self.rates.map(|rates| {
            let person = rated(format!("m{author}"), rates.person);
            [person, rated("m".to_owned(), rates.room)]
        });
        let slow_mode = self.slow_mode.is_on().then(|| Count {
            counter: format!("s{author}"),
            cell: micros(SlowMode::LONGEST.0),
            burst: micros(SlowMode::LONGEST.0.saturating_sub(self.slow_mode.0)),
            is_slow_mode: true,
        });
        rates.into_iter().flatten().chain(slow_mode)
    }

    /// Returns how long a counter can take until the quota is full again.
    pub(super) fn longest(&self) -> Duration {
        let of = |rate: Rate| rate.each * rate.at_once.get();
        let rates = self
            .rates
            .map_or(Duration::ZERO, |rates| of(rates.person).max(of(rates.room)));
        rates.max(SlowMode::LONGEST.0)
    }
}

/// The counters of a room in this process's memory.
#[derive(Debug, Default)]
pub(super) struct Counters {
    room_full_at: i64,
    people: HashMap<UserId, Person>,
    /// The time, in microseconds, before which nobody has their full quota again. It may be too early.
    first_full_at: i64,
}

/// The counters of a person in a room.
#[derive(Debug, Default, Clone, Copy)]
struct Person {
    full_at: i64,
    /// When the person last posted in slow mode.
    last_slow_post: Option<SiteTime>,
}

impl Person {
    /// Returns when the person has their full quota again, in microseconds.
    fn full_at(&self) -> i64 {
        let may_post = |last: SiteTime| micros_of(last.plus(SlowMode::LONGEST.0));
        self.full_at.max(self.last_slow_post.map_or(0, may_post))
    }
}

impl Counters {
    /// Counts a message that is posted unless this refuses it. One that is refused is not counted by any limit.
    pub(super) fn count(
        &mut self,
        quota: &Quota,
        author: UserId,
        at: SiteTime,
    ) -> Result<(), Refusal> {
        if *quota == Quota::UNLIMITED {
            return Ok(());
        }
        let mut person = self.people.get(&author).copied().unwrap_or_default();
        let mut room_full_at = self.room_full_at;
        if let Some(rates) = quota.rates {
            take(&mut person.full_at, rates.person, at).map_err(Refusal::TooMany)?;
            take(&mut room_full_at, rates.room, at).map_err(Refusal::TooMany)?;
        }
        if quota.slow_mode.is_on() {
            if let Some(last) = person.last_slow_post {
                let left = last.plus(quota.slow_mode.0).since(at);
                if !left.is_zero() {
                    return Err(Refusal::TooSoon(TooMany::wait(left)));
                }
            }
            person.last_slow_post = Some(at);
        }
        self.room_full_at = room_full_at;
        self.first_full_at = self.first_full_at.min(person.full_at());
        self.people.insert(author, person);
        Ok(())
    }

    /// Frees the counters of those who have their full quota again.
    pub(super) fn free_full(&mut self, at: SiteTime) {
        let now = micros_of(at);
        if self.room_full_at <= now {
            self.room_full_at = 0;
        }
        if now < self.first_full_at {
            return;
        }
        self.people.retain(|_, person| now < person.full_at());
        self.people.shrink_to_fit();
        let first = self.people.values().map(Person::full_at).min();
        self.first_full_at = first.unwrap_or(i64::MAX);
    }

    /// Returns whether everybody has their full quota, as of the last call of [`Counters::free_full`].
    pub(super) fn is_empty(&self) -> bool {
        self.people.is_empty() && self.room_full_at == 0
    }
}

/// Takes one of a quota, unless it is used up.
fn take(full_at: &mut i64, rate: Rate, at: SiteTime) -> Result<(), TooMany> {
    let now = micros_of(at);
    let from = (*full_at).max(now);
    let wait = from.saturating_sub(burst_of(rate)).saturating_sub(now);
    if wait > 0 {
        return Err(too_many(wait.unsigned_abs()));
    }
    *full_at = from.saturating_add(micros(rate.each));
    Ok(())
}

/// Returns the refusal of a message that could be posted after so many microseconds.
pub(super) fn too_many(wait: u64) -> TooMany {
    TooMany::wait(Duration::from_micros(wait))
}

fn burst_of(rate: Rate) -> i64 {
    micros(rate.each * (rate.at_once.get() - 1))
}

fn micros_of(time: SiteTime) -> i64 {
    time.0.saturating_mul(1_000)
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
