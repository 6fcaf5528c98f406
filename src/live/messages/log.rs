//! The messages of all rooms, as the rest of Mirage sees them.

use std::sync::Arc;

use super::activity::Activity;
use super::append::{Appended, Wish};
use super::cursor::Cursor;
use super::ignored::Ignored;
use super::memory::{Capacity, MemoryLog, Room};
use super::message::{Message, Renderer};
use super::pulse::Pulse;
use super::redis_log::RedisLog;
use super::reports::{Report, Reported};
use super::state::{Page, RoomState, Since};
use super::subscription::Subscription;
use super::tally::{Held, Tally};
use crate::clock::Clock;
use crate::domain::{Lifespan, MessageId, Reason, RoomId, SiteTime, UserId};
use crate::live::redis::{Link, Session, Unavailable};

/// Greater than every version of a room.
pub const EVERY_VERSION: i64 = i64::MAX;

/// The messages of all rooms. Shared by all workers.
pub struct Messages {
    log: Log,
}

/// Where the rooms' logs are.
enum Log {
    Memory(Box<MemoryLog>),
    Redis(Arc<RedisLog>),
}

/// A room that stays held as long as this value lives.
///
/// A log that knows no version of a room refuses all appends. To tell it, open the room, read the
/// version from the database, and call [`RoomHandle::raise_version`], in this order: a greater version
/// that [`Messages::raise_version`] tells in between is not lost.
pub struct RoomHandle {
    room: HeldRoom,
}

enum HeldRoom {
    Memory(Arc<Room>),
    Redis(Arc<RedisLog>, RoomId, Session),
}

impl Messages {
    /// Makes an empty log in this process's memory. `life` is a random number that cursors carry, `start`
    /// the site time now.
    #[must_use]
    pub fn in_memory(capacity: Capacity, life: u64, start: SiteTime, renderer: Renderer) -> Self {
        Self {
            log: Log::Memory(Box::new(MemoryLog::new(capacity, life, start, renderer))),
        }
    }

    /// Follows the logs on Redis. No message lives longer than `longest`. All processes must have the same `key`, by which
    /// texts are compared. Must be called within a runtime.
    #[must_use]
    pub fn on_redis(
        link: Arc<Link>,
        clock: Arc<dyn Clock>,
        capacity: Capacity,
        longest: Lifespan,
        key: &[u8; 32],
        renderer: Renderer,
    ) -> Self {
        let log = RedisLog::new(link, clock, capacity, longest, key, renderer);
        Self {
            log: Log::Redis(log),
        }
    }

    /// Returns the last message that a page with this cursor has seen, if the cursor is of this log.
    #[must_use]
    pub fn followed_through(&self, cursor: Cursor) -> Option<MessageId> {
        let is_of_this_life = match &self.log {
            Log::Memory(log) => cursor.life == log.life(),
            Log::Redis(log) => log.is_of_this_life(cursor),
        };
        is_of_this_life.then_some(MessageId(cursor.event))
    }

    /// Returns the pulse of a room, which tells without a look-up whether the room's messages have changed.
    #[must_use]
    pub fn pulse(&self, room: RoomId, now: SiteTime) -> Arc<Pulse> {
        match &self.log {
            Log::Memory(log) => log.pulse(room, now),
            Log::Redis(log) => log.pulse(room, now),
        }
    }

    /// Returns the rooms with a pulse for which [`Pulse::has_changed`] is true, some of them more than once, or `None` if
    /// that is not known or if there are more than `most`. Takes as long as there are such rooms, however many others
    /// there are.
    #[must_use]
    pub fn changed(&self, since: SiteTime, now: SiteTime, most: usize) -> Option<Vec<RoomId>> {
        match &self.log {
            Log::Memory(log) => log.changed(since, now, most),
            Log::Redis(log) => log.changed(since, now, most),
        }
    }

    /// Returns how many messages this process has added and removed so far, by the reason.
    #[must_use]
    pub fn tally(&self) -> Tally {
        match &self.log {
            Log::Memory(log) => log.tally(),
            Log::Redis(log) => log.tally(),
        }
    }

    /// Returns what all rooms hold in this process now. Locks one room after the other.
    #[must_use]
    pub fn held(&self) -> Held {
        match &self.log {
            Log::Memory(log) => log.held(),
            Log::Redis(log) => log.held(),
        }
    }

    /// Counts the subscriptions to a room in this process that have begun to wait.
    #[must_use]
    pub fn waiting_count(&self, room: RoomId) -> usize {
        match &self.log {
            Log::Memory(log) => log.waiting_count(room),
            Log::Redis(log) => log.waiting_count(room),
        }
    }

    /// Wakes a room's readers in this process, who then look again at what they may be shown.
    pub fn wake(&self, room: RoomId) {
        match &self.log {
            Log::Memory(log) => log.wake(room),
            Log::Redis(log) => log.wake(room),
        }
    }
}

/// All of these fail when Redis does not answer, and never if the logs are in memory.
///
/// # Errors
/// When Redis does not answer. Nobody knows then whether a change was made; making it again does no harm.
impl Messages {
    /// Posts a message and wakes the room's readers, unless the session has ended, the version is stale or
    /// the nonce was used. The conditions are checked in this order, under the room's lock.
    ///
    /// A caller that takes a right away calls [`Messages::raise_version`]; after this returns, nothing more is
    /// posted by that right. A caller that ends a session sets `session_ended`; no append that begins after that
    /// posts in that session.
    pub async fn append(
        &self,
        room: RoomId,
        wish: &Wish<'_>,
        now: SiteTime,
    ) -> Result<Appended, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.append(room, wish, now)),
            Log::Redis(log) => log.append(room, wish, now).await,
        }
    }

    /// Opens a room, to tell the log the room's version.
    pub async fn open(&self, room: RoomId) -> Result<RoomHandle, Unavailable> {
        let room = match &self.log {
            Log::Memory(log) => HeldRoom::Memory(log.open(room)),
            Log::Redis(log) => HeldRoom::Redis(Arc::clone(log), room, log.open().await?),
        };
        Ok(RoomHandle { room })
    }

    /// Tells the log that a room's version is at least `version`. Wakes nobody: [`Messages::wake`] does.
    ///
    /// Does nothing for a room that is not held, and makes no version known: calls may come in any order,
    /// so only [`RoomHandle::raise_version`] shows that no greater version was told before.
    pub async fn raise_version(&self, room: RoomId, version: i64) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.raise_version(room, version);
                Ok(())
            }
            Log::Redis(log) => log.raise_version(room, version).await,
        }
    }

    /// Makes sure that the next read has all that other processes have added until now. Reads without this may be a
    /// moment behind.
    pub async fn catch_up(&self, room: RoomId) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(_) => Ok(()),
            Log::Redis(log) => log.catch_up(room).await,
        }
    }

    /// Returns the newest [`PAGE_SIZE`](super::PAGE_SIZE) live messages of a room, or the newest of those
    /// before `before`, for a reader who ignores these people.
    pub async fn page(
        &self,
        room: RoomId,
        before: Option<MessageId>,
        ignored: &Ignored,
        now: SiteTime,
    ) -> Result<Page, Unavailable> {
        self.read(room, now, |state, at| state.page(before, ignored, at))
            .await
    }

    /// Returns what happened in a room after `cursor`, for a reader who ignores these people.
    pub async fn since(
        &self,
        room: RoomId,
        cursor: Option<Cursor>,
        ignored: &Ignored,
        now: SiteTime,
    ) -> Result<Since, Unavailable> {
        if let Log::Redis(log) = &self.log {
            log.catch_up_with(room, cursor).await?;
        }
        self.read(room, now, |state, at| state.since(cursor, ignored, at))
            .await
    }

    /// Returns a live message of a room.
    pub async fn find(
        &self,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Result<Option<Arc<Message>>, Unavailable> {
        self.read(room, now, |state, at| state.find(message, at))
            .await
    }

    /// Counts the live messages after `after`, or all, by others than `reader` and the people whom they ignore.
    pub async fn new_for(
        &self,
        room: RoomId,
        reader: UserId,
        ignored: &Ignored,
        after: Option<MessageId>,
        now: SiteTime,
    ) -> Result<usize, Unavailable> {
        let count = |state: &RoomState, at| state.new_for(reader, ignored, after, at);
        match &self.log {
            // A room that is not held has no messages.
            Log::Memory(log) => Ok(log.read_held(room, now, count).unwrap_or(0)),
            Log::Redis(log) => log.read(room, now, count).await,
        }
    }

    /// Returns the authors of live messages in a room, each once, with the name they wrote under.
    pub async fn authors(
        &self,
        room: RoomId,
        now: SiteTime,
    ) -> Result<Vec<(UserId, Arc<str>)>, Unavailable> {
        self.read(room, now, |state, at| state.authors(at)).await
    }

    /// Runs `look` on the rooms with a live message. In this process's memory, no message is posted meanwhile.
    pub async fn activity<T>(
        &self,
        now: SiteTime,
        look: impl FnOnce(&Activity) -> T,
    ) -> Result<T, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.activity(now, look)),
            Log::Redis(log) => Ok(look(&log.activity(now).await?)),
        }
    }

    /// Subscribes to a room's events. Subscribe before calling [`Messages::since`], and no event is missed
    /// between the two.
    pub async fn subscribe(&self, room: RoomId) -> Result<Subscription, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.subscribe(room)),
            Log::Redis(log) => log.subscribe(room).await,
        }
    }

    /// Deletes a live message of a room. Returns whether there was one.
    pub async fn delete(
        &self,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Result<bool, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.delete(room, message, now)),
            Log::Redis(log) => log.delete(room, message, now).await,
        }
    }

    /// Deletes all messages of an author in a room.
    pub async fn delete_by(
        &self,
        author: UserId,
        room: RoomId,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.delete_by(author, room, now);
                Ok(())
            }
            Log::Redis(log) => log.delete_by(author, room, false, now).await,
        }
    }

    /// Deletes all messages and reports of a person whose account was deleted.
    pub async fn forget_person(&self, person: UserId, now: SiteTime) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.forget_person(person, now);
                Ok(())
            }
            Log::Redis(log) => log.forget_person(person, now).await,
        }
    }

    /// Reports a live message to the room's moderators.
    pub async fn report(
        &self,
        room: RoomId,
        message: MessageId,
        reporter: UserId,
        reason: Reason,
        now: SiteTime,
    ) -> Result<Reported, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.report(room, message, reporter, reason, now)),
            Log::Redis(log) => log.report(room, message, reporter, &reason, now).await,
        }
    }

    /// Returns the open reports of a room, oldest first.
    pub async fn reports(&self, room: RoomId, now: SiteTime) -> Result<Vec<Report>, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.reports(room, now)),
            Log::Redis(log) => log.reports(room, now).await,
        }
    }

    /// Returns the rooms with open reports, by their ids, and these reports.
    pub async fn reported(&self, now: SiteTime) -> Result<Vec<(RoomId, Vec<Report>)>, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.reported(now)),
            Log::Redis(log) => log.reported(now).await,
        }
    }

    /// Closes the report of a message, if there is one.
    pub async fn close_report(
        &self,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.close_report(room, message, now);
                Ok(())
            }
            Log::Redis(log) => log.close_report(room, message, now).await,
        }
    }

    /// Deletes the messages of a room that were posted while the log knew a smaller version than `before`, and the reports of
    /// such messages. [`EVERY_VERSION`] stands for all messages.
    ///
    /// A log in memory deletes all in any case: its process is the only one, and tells it of each of its changes once, right
    /// after the commit, and of none by others.
    pub async fn clear(&self, room: RoomId, before: i64, now: SiteTime) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.clear(room, now);
                Ok(())
            }
            Log::Redis(log) => log.clear(room, before, now).await,
        }
    }

    /// Moves the deadline of each message of a room to `lifespan` after its posting, where that is earlier, of the same
    /// messages as [`Messages::clear`]. If any deadline moves, pages that follow the room are reset.
    pub async fn shorten(
        &self,
        room: RoomId,
        lifespan: Lifespan,
        before: i64,
        now: SiteTime,
    ) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.shorten(room, lifespan, now);
                Ok(())
            }
            Log::Redis(log) => log.shorten(room, lifespan, before, now).await,
        }
    }

    /// Tells the pages that follow a room that the room itself changed.
    pub async fn note_room_change(&self, room: RoomId, version: i64) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.note_room_change(room);
                Ok(())
            }
            Log::Redis(log) => log.note_room_change(room, version).await,
        }
    }

    /// Frees all that is held of a deleted room and closes its subscriptions.
    pub async fn forget(&self, room: RoomId) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.forget(room);
                Ok(())
            }
            Log::Redis(log) => log.forget(room).await,
        }
    }

    /// Frees what has expired, and the rooms that hold nothing and that nobody uses.
    pub async fn sweep(&self, now: SiteTime) -> Result<(), Unavailable> {
        match &self.log {
            Log::Memory(log) => {
                log.sweep(now);
                Ok(())
            }
            Log::Redis(log) => log.sweep(now).await,
        }
    }

    /// Returns the bytes of all messages and reports, of expired ones too until they are freed.
    pub async fn bytes(&self) -> Result<usize, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.bytes()),
            Log::Redis(log) => log.bytes().await,
        }
    }

    async fn read<T>(
        &self,
        room: RoomId,
        now: SiteTime,
        read: impl Fn(&RoomState, SiteTime) -> T,
    ) -> Result<T, Unavailable> {
        match &self.log {
            Log::Memory(log) => Ok(log.read(room, now, read)),
            Log::Redis(log) => log.read(room, now, read).await,
        }
    }

    /// Waits until everything that was published before is heard.
    #[cfg(test)]
    pub(super) async fn settle(&self) {
        if let Log::Redis(log) = &self.log {
            log.settle().await;
        }
    }
}

impl RoomHandle {
    /// Tells the log the version that was read from the database after the room was opened. The log never
    /// lowers a version, and takes messages from now on.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn raise_version(&self, version: i64) -> Result<(), Unavailable> {
        match &self.room {
            HeldRoom::Memory(room) => {
                room.confirm_version(version);
                Ok(())
            }
            HeldRoom::Redis(log, room, session) => {
                log.confirm_version(*room, *session, version).await
            }
        }
    }
}
