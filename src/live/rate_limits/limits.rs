//! The rate limits, as the rest of Mirage sees them.

use std::sync::Arc;

use super::super::detached;
use super::super::messages::{Appended, MessageRates, Quota};
use super::super::redis::{Link, Unavailable};
use super::super::too_many::Limited;
use super::act::Act;
use super::memory::MemoryCounters;
use super::refusals::Refusals;
use super::shared::SharedCounters;
use crate::clock::Clock;
use crate::config::Rates;
use crate::domain::{ClientAddress, RoomId, SlowMode, UserId};

/// The rate limits of a server.
pub struct Limits {
    is_on: bool,
    /// The rates of messages, if limits are on.
    messages: Option<MessageRates>,
    counters: Counters,
    refusals: Refusals,
}

/// Where the counters are.
enum Counters {
    Memory(Box<MemoryCounters>),
    Redis(Arc<SharedCounters>),
}

impl Limits {
    /// Makes limits with these rates, which count in this process's memory. Unless `is_on`, only slow mode limits
    /// anything.
    #[must_use]
    pub fn in_memory(is_on: bool, rates: &Rates, clock: Arc<dyn Clock>) -> Self {
        Self {
            is_on,
            messages: message_rates(is_on, rates),
            counters: Counters::Memory(Box::new(MemoryCounters::new(rates, clock))),
            refusals: Refusals::default(),
        }
    }

    /// Makes limits like [`Limits::in_memory`] that all processes of a site count together.
    #[must_use]
    pub fn on_redis(is_on: bool, rates: &Rates, clock: Arc<dyn Clock>, link: Arc<Link>) -> Self {
        Self {
            is_on,
            messages: message_rates(is_on, rates),
            counters: Counters::Redis(Arc::new(SharedCounters::new(link, rates, clock))),
            refusals: Refusals::default(),
        }
    }

    /// Counts an attempt at the password of the account whose folded name is `name`, at sign-in or when the
    /// password is asked for again.
    ///
    /// # Errors
    /// When there were too many attempts from that address, or from that address with that name. Attempts
    /// from elsewhere do not lock the account's owner out.
    pub async fn password(&self, name: &str, from: ClientAddress) -> Result<(), Limited> {
        self.count(Act::Password(name, from)).await
    }

    /// Counts a new password for an account, before its strength is estimated, as an attempt at a password.
    ///
    /// # Errors
    /// When there were too many attempts from that address.
    pub async fn new_password(&self, from: ClientAddress) -> Result<(), Limited> {
        self.count(Act::NewPassword(from)).await
    }

    /// Counts an attempt to create an account.
    ///
    /// # Errors
    /// When there were too many attempts from that address.
    pub async fn sign_up(&self, from: ClientAddress) -> Result<(), Limited> {
        self.count(Act::SignUp(from)).await
    }

    /// Counts an attempt of `user` to join the private room whose folded name is `name`; `None` is a name
    /// that no room can have. Attempts count whether or not the room exists, so that a refusal does not
    /// reveal it. The name's count is given back unless the caller says that the password was wrong.
    ///
    /// # Errors
    /// When there were too many attempts by that person, or too many wrong ones with that name, three of them
    /// by that person in the last hour.
    pub async fn join(
        &self,
        user: UserId,
        name: Option<String>,
    ) -> Result<JoinAttempt<'_>, Limited> {
        self.count(Act::Join(user)).await?;
        let name = name.filter(|_| self.is_on);
        if let Some(name) = &name {
            let begun = match &self.counters {
                Counters::Memory(memory) => memory.begin_try(user, name).map_err(Limited::from),
                Counters::Redis(shared) => shared.begin_try(user, name).await,
            };
            if let Err(Limited::TooMany(_)) = begun {
                self.refusals.note_join_name();
            }
            begun?;
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
    pub async fn new_room(&self, user: UserId) -> Result<(), Limited> {
        self.count(Act::NewRoom(user)).await
    }

    /// Counts a new password that `user` sets for a room.
    ///
    /// # Errors
    /// When there were too many room passwords by that person.
    pub async fn room_password(&self, user: UserId) -> Result<(), Limited> {
        self.count(Act::RoomPassword(user)).await
    }

    /// Counts a change that `user` makes and that has no limit of its own, such as joining or leaving a room,
    /// saving settings, or banning a person. Each change is a write transaction, and wakes those who wait in
    /// the room.
    ///
    /// # Errors
    /// When there were too many changes by that person.
    pub async fn change(&self, user: UserId) -> Result<(), Limited> {
        self.count(Act::Change(user)).await
    }

    /// Counts a request for a secret link.
    ///
    /// # Errors
    /// When there were too many attempts from that address.
    pub async fn link(&self, from: ClientAddress) -> Result<(), Limited> {
        self.count(Act::Link(from)).await
    }

    /// Counts a report of `user` in `room`. Reports have the limits of messages, but are counted by themselves:
    /// neither keeps anybody from the other.
    ///
    /// # Errors
    /// When there were too many reports by that person in the room, or by everybody in the room.
    pub async fn report(&self, user: UserId, room: RoomId) -> Result<(), Limited> {
        self.count(Act::Report(user, room)).await
    }

    /// Returns the limits of a message whose author waits for `slow_mode` between two. The log that posts the message counts
    /// it.
    #[must_use]
    pub fn of_message(&self, slow_mode: SlowMode) -> Quota {
        Quota {
            rates: self.messages,
            slow_mode,
        }
    }

    /// Notes that a log refused a message, if it did so because of a limit.
    pub fn note_message(&self, appended: Appended) {
        self.refusals.note_message(appended);
    }

    /// Returns how often each limit has refused somebody in this process, by the name of what was refused.
    #[must_use]
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.refusals.list()
    }

    /// Frees the counters of keys that have their full quota again. On Redis, each count does that.
    pub fn sweep(&self) {
        if let Counters::Memory(memory) = &self.counters {
            memory.sweep();
        }
    }

    /// Returns the number of keys that all limits count in this process's memory.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.counters {
            Counters::Memory(memory) => memory.size(),
            Counters::Redis(_) => 0,
        }
    }

    async fn count(&self, act: Act<'_>) -> Result<(), Limited> {
        if !self.is_on {
            return Ok(());
        }
        let counted = match &self.counters {
            Counters::Memory(memory) => memory.count(act).map_err(Limited::from),
            Counters::Redis(shared) => shared.count(act).await,
        };
        if let Err(Limited::TooMany(_)) = counted {
            self.refusals.note(act);
        }
        counted
    }
}

fn message_rates(is_on: bool, rates: &Rates) -> Option<MessageRates> {
    is_on.then_some(MessageRates {
        person: rates.limit_messages,
        room: rates.limit_messages_room,
    })
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
    pub async fn count_as_wrong(self) {
        self.end(true).await;
    }

    /// Gives the count back, because the password was right.
    pub async fn give_back(self) {
        self.end(false).await;
    }

    async fn end(mut self, is_wrong: bool) {
        let Some(name) = self.name.take() else {
            return;
        };
        match &self.limits.counters {
            Counters::Memory(memory) => memory.end_try(self.user, name, is_wrong),
            Counters::Redis(shared) => {
                // If Redis does not answer now, the attempt counts for an hour.
                let _: Result<(), Unavailable> = shared.end_try(self.user, &name, is_wrong).await;
            }
        }
    }
}

impl Drop for JoinAttempt<'_> {
    /// Gives the count back, because there was no answer.
    fn drop(&mut self) {
        let (user, Some(name)) = (self.user, self.name.take()) else {
            return;
        };
        match &self.limits.counters {
            Counters::Memory(memory) => memory.end_try(user, name, false),
            Counters::Redis(shared) => {
                let shared = Arc::clone(shared);
                detached::spawn(async move {
                    let _: Result<(), Unavailable> = shared.end_try(user, &name, false).await;
                });
            }
        }
    }
}
