//! The counters of rate limits in Redis: one limit for the site, whichever process is asked.
//!
//! A limit is a sorted set of the keys that do not have their full quota, with the time at which they have. So a limit
//! forgets by the site's time, as the limits in memory do, and Redis's clock decides nothing. The limits of reports are in
//! the set of the room's messages, which its log counts.

use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::super::redis::{KEY_MARGIN, Link, Unavailable};
use super::super::too_many::{Limited, MAX_KEYS, TooMany};
use super::act::Act;
use super::room_tries::{FREE_TRIES, WINDOW};
use crate::clock::{Clock, millis};
use crate::config::{Rate, Rates};
use crate::domain::{SiteTime, UserId};

/// The counters of all limits.
pub(super) struct SharedCounters {
    link: Arc<Link>,
    clock: Arc<dyn Clock>,
    rates: Rates,
    count: Script,
    begin_try: Script,
    end_try: Script,
}

/// A limit that an act is counted with.
struct Count {
    /// The key of the limit's set in Redis.
    set: String,
    /// The key that is counted.
    key: String,
    /// The time that one act takes of the quota.
    cell: Duration,
    /// The time that all acts of a burst but one take.
    burst: Duration,
}

impl Count {
    fn new(set: String, key: &impl ToString, rate: Rate) -> Self {
        Self {
            set,
            key: key.to_string(),
            cell: rate.each,
            burst: rate.each * (rate.at_once.get() - 1),
        }
    }
}

impl SharedCounters {
    pub(super) fn new(link: Arc<Link>, rates: &Rates, clock: Arc<dyn Clock>) -> Self {
        let tries = |script| Script::new(&[include_str!("tries.lua"), script].concat());
        Self {
            link,
            clock,
            rates: rates.clone(),
            count: Script::new(include_str!("count.lua")),
            begin_try: tries(include_str!("begin_try.lua")),
            end_try: tries(include_str!("end_try.lua")),
        }
    }

    pub(super) async fn count(&self, act: Act<'_>) -> Result<(), Limited> {
        let counts = self.counts_of(act);
        let mut call = self.count.prepare_invoke();
        call.arg(self.now()).arg(MAX_KEYS);
        // Until all in the set have their full quota again.
        let longest = counts.iter().map(|count| count.burst + count.cell).max();
        call.arg(millis(longest.unwrap_or_default() + KEY_MARGIN));
        for count in counts {
            call.key(count.set).arg(count.key);
            call.arg(micros(count.cell)).arg(micros(count.burst));
        }
        let (wait, was_reset): (u64, bool) = self.link.script(&call).await?;
        warn_of_reset(was_reset);
        outcome(wait)
    }

    /// Begins a try at a room's password, which [`SharedCounters::end_try`] ends.
    pub(super) async fn begin_try(&self, user: UserId, name: &str) -> Result<(), Limited> {
        let rate = self.rates.limit_join_name;
        let mut call = self.try_at(&self.begin_try, user, name);
        call.arg(micros(rate.each * (rate.at_once.get() - 1)));
        call.arg(MAX_KEYS);
        let (wait, was_reset): (u64, bool) = self.link.script(&call).await?;
        warn_of_reset(was_reset);
        outcome(wait)
    }

    pub(super) async fn end_try(
        &self,
        user: UserId,
        name: &str,
        is_wrong: bool,
    ) -> Result<(), Unavailable> {
        let mut call = self.try_at(&self.end_try, user, name);
        call.arg(u8::from(is_wrong));
        self.link.script(&call).await
    }

    fn try_at<'a>(&self, script: &'a Script, user: UserId, name: &str) -> ScriptInvocation<'a> {
        let keys = self.link.keys();
        let mut call = script.prepare_invoke();
        call.key(keys.site("limit:join-name"));
        call.key(keys.site("limit:join-name:people"));
        call.key(keys.site("limit:join-name:tries"));
        let rate = self.rates.limit_join_name;
        let longest = WINDOW.max(rate.each * rate.at_once.get());
        call.arg(self.now()).arg(millis(longest + KEY_MARGIN));
        call.arg(name).arg(format!("{user} {name}"));
        call.arg(micros(rate.each));
        call.arg(micros(WINDOW)).arg(FREE_TRIES);
        call
    }

    fn counts_of(&self, act: Act<'_>) -> Vec<Count> {
        let rates = &self.rates;
        let site = |limit| self.link.keys().site(limit);
        let address = "limit:sign-in-address";
        match act {
            Act::Password(name, from) => vec![
                Count::new(site(address), &from, rates.limit_sign_in_address),
                Count::new(
                    site("limit:sign-in"),
                    &format!("{from} {name}"),
                    rates.limit_sign_in,
                ),
            ],
            Act::NewPassword(from) => {
                vec![Count::new(
                    site(address),
                    &from,
                    rates.limit_sign_in_address,
                )]
            }
            Act::SignUp(from) => vec![Count::new(
                site("limit:sign-up"),
                &from,
                rates.limit_sign_up,
            )],
            Act::Join(user) => vec![Count::new(site("limit:join"), &user, rates.limit_join)],
            Act::NewRoom(user) => vec![Count::new(site("limit:rooms"), &user, rates.limit_rooms)],
            Act::RoomPassword(user) => {
                let set = site("limit:room-passwords");
                vec![Count::new(set, &user, rates.limit_room_passwords)]
            }
            Act::Change(user) => {
                vec![Count::new(
                    site("limit:changes"),
                    &user,
                    rates.limit_changes,
                )]
            }
            Act::Link(from) => vec![Count::new(site("limit:links"), &from, rates.limit_links)],
            Act::Report(user, room) => {
                let set = self.link.keys().room(room, "limits");
                vec![
                    Count::new(set.clone(), &format!("r{user}"), rates.limit_messages),
                    Count::new(set, &"r", rates.limit_messages_room),
                ]
            }
        }
    }

    fn now(&self) -> u64 {
        micros(self.clock.site_time().since(SiteTime(0)))
    }
}

/// Returns the outcome of a script that says how many microseconds one has to wait.
fn outcome(wait: u64) -> Result<(), Limited> {
    if wait == 0 {
        Ok(())
    } else {
        Err(TooMany::wait(Duration::from_micros(wait)).into())
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn warn_of_reset(was_reset: bool) {
    if was_reset {
        tracing::warn!("rate limiter reset: too many keys");
    }
}
