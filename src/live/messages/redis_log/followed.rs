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
}

/// What the read script returns: whether it is everything, the latest number, the number from which the stream goes
/// on, messages that are older than the stream, and events.
pub(super) type Read = (
    u8,
    u64,
    u64,
    Vec<(u64, String, i64, String)>,
    Vec<(u64, String, String)>,
);

impl Followed {
    pub(super) fn new(id: RoomId) -> Self {
        Self {
            id,
            copy: Mutex::new(LocalCopy {
                log: None,
                session: None,
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
        copy.session == Some(session) && copy.log.as_ref().is_some_and(has_all)
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
        let is_of_session = session.is_some() && copy.session == session;
        let Some(log) = &mut copy.log else {
            return SiteTime(i64::MIN);
        };
        let latest = log.state().latest_event();
        if is_of_session && number == latest + 1 {
            log.follow(number, entry.at, entry.event);
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
    /// the log is read, so that nothing is forgotten that the read may not contain.
    pub(super) fn begin_read(&self, session: Session) {
        let copy = self.lock();
        if copy.session.is_none_or(|of| of.life != session.life) {
            self.heard.store(0, Ordering::Release);
        }
    }

    /// Brings the copy up to date.
    pub(super) fn update(
        &self,
        read: Read,
        session: Session,
        most: usize,
        renderer: &Renderer,
    ) -> Option<()> {
        let (is_full, latest, base, mut kept, entries) = read;
        // Redis keeps them in no order.
        kept.sort_unstable_by_key(|(number, ..)| *number);
        let mut copy = self.lock();
        if is_full == 0 && copy.log.is_none() {
            // The room was deleted in the meantime: the next reader reads all.
            return Some(());
        }
        if is_full == 1 {
            let mut state = RoomState::new(self.id, session.life, base, most);
            for (number, record, deadline, text) in kept {
                let mut entry = Entry::parse(&record, &text)?;
                set_deadline(&mut entry, SiteTime(deadline));
                if !entry.is_husk {
                    state.apply(number, entry.at, entry.event, renderer);
                }
            }
            state.resume_at(base);
            match &mut copy.log {
                Some(log) => log.replace_state(state),
                None => copy.log = Some(RoomLog::new(state, SiteTime(0), renderer)),
            }
        }
        let log = copy.log.as_mut()?;
        let mut husks = Vec::new();
        for (number, record, text) in entries {
            let entry = Entry::parse(&record, &text)?;
            if number <= log.state().latest_event() {
                continue;
            }
            if entry.is_husk {
                husks.push(MessageId(number));
            }
            log.follow(number, entry.at, entry.event);
        }
        log.forget_husks(&husks);
        // A later event may have been heard of in the meantime.
        self.heard.fetch_max(latest, Ordering::AcqRel);
        copy.session = Some(session);
        Some(())
    }

    /// Lets the copy go, and closes its subscriptions.
    pub(super) fn let_go(&self) {
        let mut copy = self.lock();
        copy.log = None;
        copy.session = None;
        self.heard.store(0, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, LocalCopy> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the deadline of a message that may have been shortened since it was posted.
fn set_deadline(entry: &mut Entry, deadline: SiteTime) {
    let at = entry.at;
    if let Event::Replayed(Replayed { new, .. }) = &mut entry.event {
        new.lifespan.0 = deadline.since(at);
    }
}
