//! The rate limits, as the rest of Mirage sees them.

use std::sync::Arc;

use super::super::redis::Unavailable;
use super::super::too_many::{Limited, TooMany};
use super::act::Act;
use super::memory::MemoryCounters;
use crate::clock::Clock;
use crate::config::Rates;
use crate::domain::{ClientAddress, RoomId, SlowMode, UserId};

/// The rate limits of a server.
pub struct Limits {
    is_on: bool,
    counters: Counters,
}

/// Where the counters are.
enum Counters {
    Memory(Box<MemoryCounters>),
}

/// Whether a message may be posted, according to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageCount {
    /// The message was counted, and may be posted.
    Allowed,
    /// There were too many messages by that person in the room, or by everybody in the room.
    TooMany(TooMany),
    /// The room is in slow mode, and the person's last message is too recent.
    TooSoon(TooMany),
}

impl Limits {
    /// Makes limits with these rates, which count in this process's memory. Unless `is_on`, only slow mode limits
    /// anything.
    #[must_use]
    pub fn in_memory(is_on: bool, rates: &Rates, clock: Arc<dyn Clock>) -> Self {
        Self {
            is_on,
            counters: Counters::Memory(Box::new(MemoryCounters::new(rates, clock))),
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
            let Counters::Memory(memory) = &self.counters;
            memory.begin_try(user, name)?;
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

    /// Counts a message of `user` in `room`, whose slow mode for that person is `slow_mode`. Slow mode is the room
    /// owner's setting, so it also applies when rate limits are off.
    ///
    /// # Errors
    /// When the counters cannot be reached. The message must not be posted then.
    pub async fn message(
        &self,
        user: UserId,
        room: RoomId,
        slow_mode: SlowMode,
    ) -> Result<MessageCount, Unavailable> {
        let Counters::Memory(memory) = &self.counters;
        if self.is_on
            && let Err(too_many) = memory.message(user, room)
        {
            return Ok(MessageCount::TooMany(too_many));
        }
        let counted = memory.slow_mode(user, room, slow_mode);
        Ok(counted.map_or_else(MessageCount::TooSoon, |()| MessageCount::Allowed))
    }

    /// Frees the counters of keys that have their full quota again.
    pub fn sweep(&self) {
        let Counters::Memory(memory) = &self.counters;
        memory.sweep();
    }

    /// Returns the number of keys that all limits count.
    #[must_use]
    pub fn size(&self) -> usize {
        let Counters::Memory(memory) = &self.counters;
        memory.size()
    }

    async fn count(&self, act: Act<'_>) -> Result<(), Limited> {
        if !self.is_on {
            return Ok(());
        }
        let Counters::Memory(memory) = &self.counters;
        Ok(memory.count(act)?)
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
    pub async fn count_as_wrong(mut self) {
        self.end(true);
    }

    fn end(&mut self, is_wrong: bool) {
        if let Some(name) = self.name.take() {
            let Counters::Memory(memory) = &self.limits.counters;
            memory.end_try(self.user, name, is_wrong);
        }
    }
}

impl Drop for JoinAttempt<'_> {
    fn drop(&mut self) {
        self.end(false);
    }
}
