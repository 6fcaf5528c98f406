//! The messages of all rooms, as the rest of Mirage sees them.

use std::sync::Arc;

use super::activity::Activity;
use super::append::{Appended, Wish};
use super::cursor::Cursor;
use super::ignored::Ignored;
use super::memory::{Capacity, MemoryLog, Room};
use super::message::{Message, Renderer};
use super::pulse::Pulse;
use super::reports::{Report, Reported};
use super::state::{Page, RoomState, Since};
use super::subscription::Subscription;
use super::tally::{Held, Tally};
use crate::domain::{Lifespan, MessageId, NonceId, Reason, RoomId, SiteTime, UserId};

/// The messages of all rooms. Shared by all workers.
pub struct Messages {
    log: Log,
}

/// Where the rooms' logs are.
enum Log {
    Memory(MemoryLog),
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
}

impl Messages {
    /// Makes an empty log in this process's memory. `life` is a random number that cursors carry, `start`
    /// the site time now.
    #[must_use]
    pub fn in_memory(capacity: Capacity, life: u64, start: SiteTime, renderer: Renderer) -> Self {
        Self {
            log: Log::Memory(MemoryLog::new(capacity, life, start, renderer)),
        }
    }

    /// Returns the last message that a page with this cursor has seen, if the cursor is of this log.
    #[must_use]
    pub fn followed_through(&self, cursor: Cursor) -> Option<MessageId> {
        let Log::Memory(log) = &self.log;
        (cursor.life == log.life()).then_some(MessageId(cursor.event))
    }

    /// Returns the pulse of a room, which tells without a look-up whether the room's messages have changed.
    #[must_use]
    pub fn pulse(&self, room: RoomId, now: SiteTime) -> Arc<Pulse> {
        let Log::Memory(log) = &self.log;
        log.pulse(room, now)
    }

    /// Returns how many messages came and went so far, by the reason.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let Log::Memory(log) = &self.log;
        log.tally()
    }

    /// Counts the subscriptions to a room.
    #[must_use]
    pub fn subscriber_count(&self, room: RoomId) -> usize {
        let Log::Memory(log) = &self.log;
        log.subscriber_count(room)
    }
}

#[expect(clippy::unused_async, reason = "the log on Redis will wait for it")]
impl Messages {
    /// Posts a message and wakes the room's readers, unless the session has ended, the version is stale or
    /// the nonce was used. The conditions are checked in this order, under the room's lock.
    ///
    /// A caller that takes a right away calls [`Messages::raise_version`]; after this returns, nothing more is
    /// posted by that right. A caller that ends a session sets `session_ended`; no append that begins after that
    /// posts in that session.
    pub async fn append(&self, room: RoomId, wish: &Wish<'_>, now: SiteTime) -> Appended {
        let Log::Memory(log) = &self.log;
        log.append(room, wish, now)
    }

    /// Returns what all rooms hold now. Locks one room after the other.
    pub async fn held(&self) -> Held {
        let Log::Memory(log) = &self.log;
        log.held()
    }

    /// Opens a room, to tell the log the room's version.
    pub async fn open(&self, room: RoomId) -> RoomHandle {
        let Log::Memory(log) = &self.log;
        RoomHandle {
            room: HeldRoom::Memory(log.open(room)),
        }
    }

    /// Tells the log that a room's version is at least `version`, and wakes the room's readers.
    ///
    /// Does nothing for a room that is not held, and makes no version known: calls may come in any order,
    /// so only [`RoomHandle::raise_version`] shows that no greater version was told before.
    pub async fn raise_version(&self, room: RoomId, version: i64) {
        let Log::Memory(log) = &self.log;
        log.raise_version(room, version);
    }

    /// Returns whether a nonce has led to a message in a room whose first deadline is to come.
    pub async fn has_used(&self, room: RoomId, nonce: NonceId, now: SiteTime) -> bool {
        self.read(room, now, |state, at| state.used_nonce(nonce, at).is_some())
    }

    /// Returns the newest [`PAGE_SIZE`](super::PAGE_SIZE) live messages of a room, or the newest of those
    /// before `before`, for a reader who ignores these people.
    pub async fn page(
        &self,
        room: RoomId,
        before: Option<MessageId>,
        ignored: &Ignored,
        now: SiteTime,
    ) -> Page {
        self.read(room, now, |state, at| state.page(before, ignored, at))
    }

    /// Returns what happened in a room after `cursor`, for a reader who ignores these people.
    pub async fn since(
        &self,
        room: RoomId,
        cursor: Option<Cursor>,
        ignored: &Ignored,
        now: SiteTime,
    ) -> Since {
        self.read(room, now, |state, at| state.since(cursor, ignored, at))
    }

    /// Returns a live message of a room.
    pub async fn find(
        &self,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Option<Arc<Message>> {
        self.read(room, now, |state, at| state.find(message, at))
    }

    /// Counts the live messages after `after`, or all, by others than `reader` and the people whom they ignore.
    pub async fn new_for(
        &self,
        room: RoomId,
        reader: UserId,
        ignored: &Ignored,
        after: Option<MessageId>,
        now: SiteTime,
    ) -> usize {
        let Log::Memory(log) = &self.log;
        // A room that is not held has no messages.
        let count = log.read_held(room, now, |state, at| {
            state.new_for(reader, ignored, after, at)
        });
        count.unwrap_or(0)
    }

    /// Returns the authors of live messages in a room, each once, with the name they wrote under.
    pub async fn authors(&self, room: RoomId, now: SiteTime) -> Vec<(UserId, Arc<str>)> {
        self.read(room, now, |state, at| state.authors(at))
    }

    /// Runs `look` on the rooms with a live message. No message is posted meanwhile.
    pub async fn activity<T>(&self, now: SiteTime, look: impl FnOnce(&Activity) -> T) -> T {
        let Log::Memory(log) = &self.log;
        log.activity(now, look)
    }

    /// Subscribes to a room's events. Subscribe before calling [`Messages::since`], and no event is missed
    /// between the two.
    pub async fn subscribe(&self, room: RoomId) -> Subscription {
        let Log::Memory(log) = &self.log;
        log.subscribe(room)
    }

    /// Wakes a room's readers, who then look again at what they may be shown.
    pub async fn wake(&self, room: RoomId) {
        let Log::Memory(log) = &self.log;
        log.wake(room);
    }

    /// Deletes a live message of a room. Returns whether there was one.
    pub async fn delete(&self, room: RoomId, message: MessageId, now: SiteTime) -> bool {
        let Log::Memory(log) = &self.log;
        log.delete(room, message, now)
    }

    /// Deletes all messages of an author in a room.
    pub async fn delete_by(&self, author: UserId, room: RoomId, now: SiteTime) {
        let Log::Memory(log) = &self.log;
        log.delete_by(author, room, now);
    }

    /// Deletes all messages and reports of a person whose account was deleted.
    pub async fn forget_person(&self, person: UserId, now: SiteTime) {
        let Log::Memory(log) = &self.log;
        log.forget_person(person, now);
    }

    /// Reports a live message to the room's moderators.
    pub async fn report(
        &self,
        room: RoomId,
        message: MessageId,
        reporter: UserId,
        reason: Reason,
        now: SiteTime,
    ) -> Reported {
        let Log::Memory(log) = &self.log;
        log.report(room, message, reporter, reason, now)
    }

    /// Returns the open reports of a room, oldest first.
    pub async fn reports(&self, room: RoomId, now: SiteTime) -> Vec<Report> {
        let Log::Memory(log) = &self.log;
        log.reports(room, now)
    }

    /// Returns the rooms with open reports, by their ids, and these reports.
    pub async fn reported(&self, now: SiteTime) -> Vec<(RoomId, Vec<Report>)> {
        let Log::Memory(log) = &self.log;
        log.reported(now)
    }

    /// Closes the report of a message, if there is one.
    pub async fn close_report(&self, room: RoomId, message: MessageId, now: SiteTime) {
        let Log::Memory(log) = &self.log;
        log.close_report(room, message, now);
    }

    /// Deletes all messages and reports of a room.
    pub async fn clear(&self, room: RoomId, now: SiteTime) {
        let Log::Memory(log) = &self.log;
        log.clear(room, now);
    }

    /// Moves the deadline of each message of a room to `lifespan` after its posting, where that is earlier.
    /// If any deadline moves, pages that follow the room are reset.
    pub async fn shorten(&self, room: RoomId, lifespan: Lifespan, now: SiteTime) {
        let Log::Memory(log) = &self.log;
        log.shorten(room, lifespan, now);
    }

    /// Tells the pages that follow a room that the room itself changed.
    pub async fn note_room_change(&self, room: RoomId) {
        let Log::Memory(log) = &self.log;
        log.note_room_change(room);
    }

    /// Frees all that is held of a deleted room and closes its subscriptions.
    pub async fn forget(&self, room: RoomId) {
        let Log::Memory(log) = &self.log;
        log.forget(room);
    }

    /// Frees what has expired, and the rooms that hold nothing and that nobody uses.
    pub async fn sweep(&self, now: SiteTime) {
        let Log::Memory(log) = &self.log;
        log.sweep(now);
    }

    /// Returns the bytes of all messages and reports, of expired ones too until they are freed.
    pub async fn bytes(&self) -> usize {
        let Log::Memory(log) = &self.log;
        log.bytes()
    }

    fn read<T>(
        &self,
        room: RoomId,
        now: SiteTime,
        read: impl FnOnce(&RoomState, SiteTime) -> T,
    ) -> T {
        let Log::Memory(log) = &self.log;
        log.read(room, now, read)
    }
}

#[expect(clippy::unused_async, reason = "the log on Redis will wait for it")]
impl RoomHandle {
    /// Tells the log the version that was read from the database after the room was opened. The log never
    /// lowers a version, and takes messages from now on.
    pub async fn raise_version(&self, version: i64) {
        let HeldRoom::Memory(room) = &self.room;
        room.confirm_version(version);
    }
}
