//! A room that this process follows: its own copy of the state.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wire::Entry;
use crate::domain::{MessageId, RoomId, SiteTime};
use crate::live::messages::event::{Event, Replayed};
use crate::live::messages::message::Renderer;
use crate::live::messages::room_log::RoomLog;
use crate::live::messages::state::RoomState;
use crate::live::redis::Session;

/// A room that this process follows, or has followed a moment ago.
pub(super) struct Followed {
    pub(super) id: RoomId,
    copy: Mutex<LocalCopy>,
    /// The greatest number of an event that this process knows to exist.
    heard: AtomicU64,
    /// Held by the one who brings the copy up to date.
    pub(super) loading: tokio::sync::Mutex<()>,
    /// Whether the room's channel is heard in this session and all later ones.
    pub(super) is_subscribed: AtomicBool,
    /// The number of the session in which the room's version was told from the database.
    pub(super) told_in: AtomicU64,
    pub(super) was_used: AtomicBool,
}

/// This process's copy of the state.
struct LocalCopy {
    log: Option<RoomLog>,
    /// The session in which the copy was last brought up to date.
    session: Option<Session>,
    /// The latest event when the copy was opened. Messages may have gone by events until then that the copy did not see.
    opened_at: u64,
    /// Messages whose text was gone when their events were read, until all later events are read.
    husks: Vec<MessageId>,
    /// How often the copy was let go.
    times_let_go: u64,
}

/// A piece of a room, as the script that opens it returns it. See `open.lua`.
pub(super) type Piece = (
    u64,
    u8,
    u64,
    u64,
    u64,
    u64,
    Vec<(u64, String)>,
    Vec<(u64, String, i64, u32, String)>,
);

/// Events, as the script that reads them returns them. See `read.lua`.
pub(super) type Events = (u8, u64, u64, Vec<(u64, String, u32, String)>);

/// A copy that is being opened, piece by piece.
pub(super) struct Opening {
    state: Option<RoomState>,
    room: RoomId,
    life: u64,
    most: usize,
    /// The event as of which the room is read, or 0 before the first piece.
    pub(super) through: u64,
    /// The last event and the last message of the pieces so far.
    pub(super) read_through: (u64, u64),
    /// The latest event when the last piece was read.
    latest: u64,
}

impl Opening {
    pub(super) fn new(room: RoomId, session: Session, most: usize) -> Self {
        Self {
            state: None,
            room,
            life: session.life,
            most,
            through: 0,
            read_through: (0, 0),
            latest: 0,
        }
    }

    /// Adds a piece that was read at `now`. Returns whether it is the last one, or `None` if it cannot be parsed.
    pub(super) fn add(&mut self, piece: Piece, now: SiteTime, renderer: &Renderer) -> Option<bool> {
        let (through, is_last, latest, base, event, message, events, messages) = piece;
        let (room, life, most) = (self.room, self.life, self.most);
        let new = || RoomState::new(room, life, base, most);
        let state = self.state.get_or_insert_with(new);
        // Events that were not read may have left the stream since the piece before.
        state.forget_before(base);
        for (number, record) in events {
            let entry = Entry::parse(&record, 0, "")?;
            state.remember(number, now, &entry.event);
        }
        for (number, record, deadline, namesake, text) in messages {
            let mut entry = Entry::parse(&record, namesake, &text)?;
            set_deadline(&mut entry, SiteTime(deadline));
            state.apply(number, entry.at, entry.event, renderer);
        }
        (self.through, self.read_through, self.latest) = (through, (event, message), latest);
        Some(is_last == 1)
    }
}

impl Followed {
    pub(super) fn new(id: RoomId) -> Self {
        Self {
            id,
            copy: Mutex::new(LocalCopy {
                log: None,
                session: None,
                opened_at: 0,
                husks: Vec::new(),
                times_let_go: 0,
            }),
            heard: AtomicU64::new(0),
            loading: tokio::sync::Mutex::new(()),
            is_subscribed: AtomicBool::new(false),
            told_in: AtomicU64::new(0),
            was_used: AtomicBool::new(true),
        }
    }

    /// Runs `work` on the copy, if there is one.
    pub(super) fn with_log<T>(&self, work: impl FnOnce(&mut RoomLog) -> T) -> Option<T> {
        self.lock().log.as_mut().map(work)
    }

    /// Returns whether the copy has all events that this process knows to exist, and the session has heard all.
    pub(super) fn is_current(&self, session: Session) -> bool {
        let copy = self.lock();
        let heard = self.heard.load(Ordering::Acquire);
        let has_all = |log: &RoomLog| log.state().latest_event() >= heard;
        copy.session == Some(session)
            && copy.husks.is_empty()
            && copy.log.as_ref().is_some_and(has_all)
    }

    /// Notes that there is an event with this number.
    pub(super) fn hear_of(&self, number: u64) {
        self.heard.fetch_max(number, Ordering::AcqRel);
    }

    /// Applies an event that the room's channel told, if it is the next one. Otherwise readers are woken, and bring the
    /// copy up to date. Returns the time before which nothing expires.
    pub(super) fn hear(&self, number: u64, entry: Entry, session: Option<Session>) -> SiteTime {
        self.hear_of(number);
        let mut copy = self.lock();
        let copy = &mut *copy;
        let is_of_session = session.is_some() && copy.session == session;
        let Some(log) = &mut copy.log else {
            return SiteTime(i64::MIN);
        };
        let latest = log.state().latest_event();
        if is_of_session && number == latest + 1 {
            follow(log, number, entry, copy.opened_at);
        } else if number > latest || !is_of_session {
            log.wake();
        }
        log.state().first_deadline()
    }

    /// Returns the number of the latest event that the copy has, if it is of the same life as `session`, or else 0.
    pub(super) fn latest_in(&self, session: Session) -> u64 {
        let copy = self.lock();
        let is_same_life = copy.session.is_some_and(|of| of.life == session.life);
        let latest = copy.log.as_ref().map(|log| log.state().latest_event());
        latest.filter(|_| is_same_life).unwrap_or(0)
    }

    /// Forgets which events were heard of in another life of Redis: their numbers are not comparable. Must be called before
    /// the log is read, so that nothing is forgotten that the read may not contain. Returns what [`Followed::install`]
    /// must be told.
    pub(super) fn begin_read(&self, session: Session) -> u64 {
        let copy = self.lock();
        if copy.session.is_none_or(|of| of.life != session.life) {
            self.heard.store(0, Ordering::Release);
        }
        copy.times_let_go
    }

    /// Takes a copy that was opened since [`Followed::begin_read`] returned `begun`, unless the room was deleted meanwhile.
    /// The copy is current when it has all events until the last piece was read.
    pub(super) fn install(
        &self,
        opened: Opening,
        session: Session,
        begun: u64,
        renderer: &Renderer,
    ) {
        let mut copy = self.lock();
        let Some(mut state) = opened.state.filter(|_| copy.times_let_go == begun) else {
            return;
        };
        state.resume_at(opened.through);
        match &mut copy.log {
            Some(log) => log.replace_state(state),
            None => copy.log = Some(RoomLog::new(state, SiteTime(0), renderer)),
        }
        copy.husks.clear();
        copy.opened_at = opened.latest;
        // A later event may have been heard of in the meantime.
        self.hear_of(opened.latest);
        copy.session = Some(session);
    }

    /// Brings the copy up to date with events that were read at `now`. Returns whether these were all, or `None` if they
    /// cannot be parsed.
    pub(super) fn update(&self, events: Events, session: Session, now: SiteTime) -> Option<bool> {
        let (_, latest, through, events) = events;
        let mut copy = self.lock();
        let copy = &mut *copy;
        let Some(log) = &mut copy.log else {
            // The room was deleted in the meantime: the next reader opens it again.
            return Some(true);
        };
        // Before any event is applied: until the last one is, nobody is shown the copy.
        self.hear_of(latest);
        // Once, instead of with each event.
        let now = log.advance(now);
        log.free_expired(now);
        for (number, record, namesake, text) in events {
            let entry = Entry::parse(&record, namesake, &text)?;
            if number <= log.state().latest_event() {
                continue;
            }
            if entry.is_husk {
                copy.husks.push(MessageId(number));
            }
            follow(log, number, entry, copy.opened_at);
        }
        log.resume_at(through);
        let is_all = through >= latest;
        if is_all {
            log.forget_husks(&std::mem::take(&mut copy.husks));
            copy.session = Some(session);
        }
        Some(is_all)
    }

    /// Lets the copy go, and closes its subscriptions.
    pub(super) fn let_go(&self) {
        let mut copy = self.lock();
        copy.log = None;
        copy.session = None;
        copy.husks.clear();
        copy.times_let_go += 1;
        self.heard.store(0, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, LocalCopy> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies the next event to a copy that was opened when `opened_at` was the latest event.
fn follow(log: &mut RoomLog, number: u64, entry: Entry, opened_at: u64) {
    let is_of_many = matches!(
        entry.event,
        Event::AuthorDeleted(_) | Event::Cleared | Event::Evicted { .. }
    );
    log.follow(number, entry.at, entry.event);
    if is_of_many && number <= opened_at {
        // Some of the messages may have gone before they were read: no page can be told which.
        log.forget_before(number);
    }
}

/// Sets the deadline of a message that may have been shortened since it was posted.
fn set_deadline(entry: &mut Entry, deadline: SiteTime) {
    let at = entry.at;
    if let Event::Replayed(Replayed { new, .. }) = &mut entry.event {
        new.lifespan.0 = deadline.since(at);
    }
}
