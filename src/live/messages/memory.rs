//! The logs of all rooms in this process's memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::{HashMap, HashMapExt};

use super::activity::Activity;
use super::append::{Appended, Wish};
use super::budget::Budget;
use super::message::Renderer;
use super::pulse::{Pulse, Pulses};
use super::reports::{Report, Reported};
use super::room_log::RoomLog;
use super::state::RoomState;
use super::subscription::Subscription;
use super::tally::{Held, Tally, Totals};
use crate::domain::{Lifespan, MessageId, Reason, RoomId, SiteTime, UserId};

/// How much a log in memory holds.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// The most messages of one room.
    pub messages_per_room: usize,
    /// The most bytes of all rooms together: the messages with their HTML, and what is held with each.
    pub bytes: usize,
}

/// The logs of all rooms.
///
/// Locks are taken in this order, and none is held while one to its left is taken: `eviction`, a room's
/// log, `rooms`, `budget`, `activity` or `pulses`. Nobody holds the logs of two rooms, so rooms do not wait for
/// each other.
pub(super) struct MemoryLog {
    capacity: Capacity,
    life: u64,
    start: SiteTime,
    renderer: Renderer,
    /// Held by the thread that evicts messages for the budget.
    eviction: Mutex<()>,
    rooms: RwLock<Rooms>,
    budget: Mutex<Budget>,
    activity: Mutex<Activity>,
    pulses: Mutex<Pulses>,
    totals: Totals,
}

struct Rooms {
    held: HashMap<RoomId, Arc<Room>>,
    /// The number that the events of a newly held room follow. No removed log has given out a greater one,
    /// so no id is given out twice.
    first_event: u64,
}

/// A held room. A room that was removed from the map has no log: a thread that finds none looks the room
/// up again.
pub(super) struct Room {
    log: Mutex<Option<RoomLog>>,
}

impl Room {
    /// Notes the version that was read from the database since the room was opened.
    pub(super) fn confirm_version(&self, version: i64) {
        if let Some(log) = lock(&self.log).as_mut() {
            log.confirm_version(version);
        }
    }
}

impl MemoryLog {
    pub(super) fn new(capacity: Capacity, life: u64, start: SiteTime, renderer: Renderer) -> Self {
        // Site time starts at the wall clock's time, so a restart gives out no id of an earlier life, as
        // long as a room has under a thousand events a millisecond on average. JavaScript's numbers hold
        // these ids exactly.
        let first_event = u64::try_from(start.0).unwrap_or(0).saturating_mul(1_000);
        Self {
            capacity,
            life,
            start,
            renderer,
            eviction: Mutex::new(()),
            rooms: RwLock::new(Rooms {
                held: HashMap::new(),
                first_event,
            }),
            budget: Mutex::new(Budget::new(capacity.bytes)),
            activity: Mutex::new(Activity::default()),
            pulses: Mutex::new(Pulses::default()),
            totals: Totals::default(),
        }
    }

    pub(super) fn life(&self) -> u64 {
        self.life
    }

    /// Returns the room. The sweeper does not remove the room while the caller holds it.
    pub(super) fn open(&self, room: RoomId) -> Arc<Room> {
        if let Some(entry) = self.find(room) {
            return entry;
        }
        let mut rooms = self.rooms_mut();
        let state = self.empty_state(room, rooms.first_event);
        let entry = rooms.held.entry(room).or_insert_with(|| {
            let log = RoomLog::new(state, self.start, &self.renderer);
            Arc::new(Room {
                log: Mutex::new(Some(log)),
            })
        });
        Arc::clone(entry)
    }

    /// Posts a message. When this returns, all rooms are within the capacity.
    pub(super) fn append(&self, room: RoomId, wish: &Wish<'_>, now: SiteTime) -> Appended {
        let appended = self.change(room, now, |log, at| log.append(wish, at));
        self.evict(now);
        appended
            .or_else(|| wish.refusal(None))
            .unwrap_or(Appended::Stale)
    }

    /// Runs `read` on a room's state and the time to go by. A room that is not held has an empty state.
    pub(super) fn read<T>(
        &self,
        room: RoomId,
        now: SiteTime,
        read: impl FnOnce(&RoomState, SiteTime) -> T,
    ) -> T {
        loop {
            let rooms = self.rooms();
            let Some(entry) = rooms.held.get(&room).map(Arc::clone) else {
                return read(&self.empty_state(room, rooms.first_event), now);
            };
            drop(rooms);
            if let Some(log) = lock(&entry.log).as_mut() {
                let at = log.advance(now);
                return read(log.state(), at);
            }
        }
    }

    /// Runs `read` on the state of a held room and the time to go by.
    pub(super) fn read_held<T>(
        &self,
        room: RoomId,
        now: SiteTime,
        read: impl FnOnce(&RoomState, SiteTime) -> T,
    ) -> Option<T> {
        self.with_log(room, |log| {
            let at = log.advance(now);
            read(log.state(), at)
        })
    }

    /// Runs `look` on the rooms with a live message.
    pub(super) fn activity<T>(&self, now: SiteTime, look: impl FnOnce(&Activity) -> T) -> T {
        let expired = lock(&self.activity).expired(now);
        for room in expired {
            self.change(room, now, |_, _| ());
        }
        look(&lock(&self.activity))
    }

    /// Returns the pulse of a room.
    pub(super) fn pulse(&self, room: RoomId, now: SiteTime) -> Arc<Pulse> {
        let pulse = lock(&self.pulses).of(room, now);
        // A room that holds messages says when they expire.
        self.change(room, now, |_, _| ());
        pulse
    }

    /// Returns what [`Pulses::changed`] returns.
    pub(super) fn changed(
        &self,
        since: SiteTime,
        now: SiteTime,
        most: usize,
    ) -> Option<Vec<RoomId>> {
        lock(&self.pulses).changed(since, now, most)
    }

    /// Subscribes to a room's events.
    pub(super) fn subscribe(&self, room: RoomId) -> Subscription {
        loop {
            let _held = self.open(room);
            if let Some(subscription) = self.with_log(room, |log| log.subscribe()) {
                return subscription;
            }
        }
    }

    pub(super) fn waiting_count(&self, room: RoomId) -> usize {
        self.with_log(room, |log| log.waiting_count()).unwrap_or(0)
    }

    /// Wakes all subscribers of a room.
    pub(super) fn wake(&self, room: RoomId) {
        self.with_log(room, |log| log.wake());
    }

    /// Notes that the version of a room is at least `version`, if the room is held.
    pub(super) fn raise_version(&self, room: RoomId, version: i64) {
        self.with_log(room, |log| log.raise_version(version));
    }

    /// Deletes a live message. Returns whether there was one.
    pub(super) fn delete(&self, room: RoomId, message: MessageId, now: SiteTime) -> bool {
        self.change(room, now, |log, at| log.delete(message, at))
            .unwrap_or(false)
    }

    /// Deletes all messages of an author in a room.
    pub(super) fn delete_by(&self, author: UserId, room: RoomId, now: SiteTime) {
        self.change(room, now, |log, at| log.delete_by(author, at));
    }

    /// Deletes all messages and reports of a person in all rooms.
    pub(super) fn forget_person(&self, person: UserId, now: SiteTime) {
        for room in self.held_ids() {
            self.change(room, now, |log, at| log.forget_person(person, at));
        }
    }

    /// Reports a live message. When this returns, all rooms are within the capacity.
    pub(super) fn report(
        &self,
        room: RoomId,
        message: MessageId,
        reporter: UserId,
        reason: Reason,
        now: SiteTime,
    ) -> Reported {
        let report = |log: &mut RoomLog, at| log.report(message, reporter, reason, at);
        let reported = self.change(room, now, report);
        self.evict(now);
        reported.unwrap_or(Reported::NoSuchMessage)
    }

    /// Returns the open reports of a room.
    pub(super) fn reports(&self, room: RoomId, now: SiteTime) -> Vec<Report> {
        let open = self.with_log(room, |log| {
            let at = log.advance(now);
            log.reports(at)
        });
        open.unwrap_or_default()
    }

    /// Returns the rooms with open reports, by their ids, and these reports.
    pub(super) fn reported(&self, now: SiteTime) -> Vec<(RoomId, Vec<Report>)> {
        let rooms = self.held_ids().into_iter();
        let reports = rooms.map(|room| (room, self.reports(room, now)));
        let mut open: Vec<_> = reports.filter(|(_, open)| !open.is_empty()).collect();
        open.sort_unstable_by_key(|(room, _)| *room);
        open
    }

    /// Closes the report of a message.
    pub(super) fn close_report(&self, room: RoomId, message: MessageId, now: SiteTime) {
        self.change(room, now, |log, _| log.close_report(message));
    }

    /// Deletes all messages of a room.
    pub(super) fn clear(&self, room: RoomId, now: SiteTime) {
        self.change(room, now, RoomLog::clear);
    }

    /// Moves the deadlines of a room to `lifespan` after posting, where that is earlier.
    pub(super) fn shorten(&self, room: RoomId, lifespan: Lifespan, now: SiteTime) {
        self.change(room, now, |log, at| log.shorten(lifespan, at));
    }

    /// Notes that the room itself changed. Holds the room, for pages that follow it while it is empty.
    pub(super) fn note_room_change(&self, room: RoomId) {
        let _held = self.open(room);
        // No answer depends on the time of this event: the latest time that the room has seen will do.
        self.change(room, self.start, RoomLog::note_room_change);
    }

    /// Frees all that is held of a room and closes its subscriptions. No earlier cursor of the room can be
    /// followed, because the room's messages did not go event by event.
    pub(super) fn forget(&self, room: RoomId) {
        let entry = self.open(room);
        let mut held = lock(&entry.log);
        let Some(log) = held.take() else {
            // Another thread has just forgotten the room.
            return;
        };
        lock(&self.budget).resize(room, log.bytes(), 0);
        lock(&self.activity).set(room, None);
        let mut rooms = self.rooms_mut();
        rooms.remove(room, &log);
        rooms.first_event += 1;
    }

    /// Frees what has expired, and removes the rooms that hold nothing and that nobody uses.
    pub(super) fn sweep(&self, now: SiteTime) {
        for room in self.held_ids() {
            self.change(room, now, RoomLog::free_expired);
            self.remove_if_idle(room);
        }
        self.rooms_mut().held.shrink_to_fit();
        lock(&self.pulses).sweep();
    }

    /// Returns the bytes of all messages, of expired ones too until they are freed.
    pub(super) fn bytes(&self) -> usize {
        lock(&self.budget).total()
    }

    /// Returns what all rooms hold now.
    pub(super) fn held(&self) -> Held {
        let mut held = Held {
            bytes: self.bytes(),
            ..Held::default()
        };
        for room in self.held_ids() {
            self.with_log(room, |log| {
                held.rooms += 1;
                held.messages += log.state().size();
                held.waiting += log.waiting_count();
            });
        }
        held
    }

    /// Returns what came and went so far.
    pub(super) fn tally(&self) -> Tally {
        self.totals.get()
    }

    /// Takes the oldest messages or reports of the largest room until all rooms are within the capacity.
    fn evict(&self, now: SiteTime) {
        if lock(&self.budget).room_to_shrink().is_none() {
            return;
        }
        // One thread at a time, so that no two evict for the same bytes.
        let _turn = lock(&self.eviction);
        loop {
            let Some(largest) = lock(&self.budget).room_to_shrink() else {
                return;
            };
            self.change(largest, now, |log, at| {
                let before = log.bytes();
                log.free_expired(at);
                if log.bytes() == before {
                    log.shrink(at);
                }
            });
        }
    }

    fn remove_if_idle(&self, room: RoomId) {
        let Some(entry) = self.find(room) else {
            return;
        };
        let mut log = lock(&entry.log);
        let Some(idle) = log.take_if(|log| log.is_idle()) else {
            return;
        };
        let mut rooms = self.rooms_mut();
        // The map has one reference and this function the other. While the map is locked, nobody can
        // get a third.
        if Arc::strong_count(&entry) == 2 {
            rooms.remove(room, &idle);
        } else {
            *log = Some(idle);
        }
    }

    /// Runs `work` on the log of a held room and the time to go by, and accounts for what it changes.
    fn change<T>(
        &self,
        room: RoomId,
        now: SiteTime,
        work: impl FnOnce(&mut RoomLog, SiteTime) -> T,
    ) -> Option<T> {
        self.with_log(room, |log| {
            let at = log.advance(now);
            let (event, before) = (log.state().latest_event(), log.bytes());
            let result = work(log, at);
            self.totals.add(&log.take_tally());
            let (state, bytes) = (log.state(), log.bytes());
            lock(&self.budget).resize(room, before, bytes);
            lock(&self.activity).set(room, state.latest(at));
            let has_changed = (state.latest_event(), bytes) != (event, before);
            lock(&self.pulses).note(room, at, has_changed, state.first_deadline());
            result
        })
    }

    /// Runs `work` on the log of a room under the room's lock, if the room is held.
    fn with_log<T>(&self, room: RoomId, work: impl FnOnce(&mut RoomLog) -> T) -> Option<T> {
        loop {
            let entry = self.find(room)?;
            if let Some(log) = lock(&entry.log).as_mut() {
                return Some(work(log));
            }
        }
    }

    fn find(&self, room: RoomId) -> Option<Arc<Room>> {
        self.rooms().held.get(&room).map(Arc::clone)
    }

    fn held_ids(&self) -> Vec<RoomId> {
        self.rooms().held.keys().copied().collect()
    }

    fn empty_state(&self, room: RoomId, first_event: u64) -> RoomState {
        RoomState::new(
            room,
            self.life,
            first_event,
            self.capacity.messages_per_room,
        )
    }

    fn rooms(&self) -> RwLockReadGuard<'_, Rooms> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rooms_mut(&self) -> RwLockWriteGuard<'_, Rooms> {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    fn remove(&mut self, room: RoomId, log: &RoomLog) {
        self.held.remove(&room);
        self.first_event = self.first_event.max(log.state().latest_event());
    }
}

/// Locks a mutex, even after a panic: what a panic could leave half done is a room's size, not a message
/// that nobody should see.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
