//! The log of one room: checks conditions, numbers events, applies them and wakes readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use super::append::{Appended, Wish};
use super::event::Event;
use super::message::Renderer;
use super::quota::Counters;
use super::reports::{Report, Reported, Reports};
use super::state::RoomState;
use super::subscription::Subscription;
use super::tally::Tally;
use crate::domain::{Lifespan, MessageId, Reason, SiteTime, UserId};

/// The log of one room in this process's memory.
///
/// The methods take a time from [`RoomLog::advance`]. A deletion that would remove nothing, and a
/// shortening that would move no deadline, append no event.
pub(super) struct RoomLog {
    state: RoomState,
    reports: Reports,
    counters: Counters,
    /// The greatest version of the room that the log was told.
    version: i64,
    /// Whether a version was read from the database while the room was held. Until then `version` may
    /// be too low: a greater one may have been told before the room was held.
    is_version_known: bool,
    /// The latest time of a read or an event.
    latest_time: SiteTime,
    readers: watch::Sender<()>,
    /// The number of subscriptions that have begun to wait.
    waiting: Arc<AtomicUsize>,
    renderer: Renderer,
}

impl RoomLog {
    /// Makes the log of a room that knows no version and has seen no time before `start`.
    pub(super) fn new(state: RoomState, start: SiteTime, renderer: &Renderer) -> Self {
        Self {
            state,
            reports: Reports::default(),
            counters: Counters::default(),
            version: 0,
            is_version_known: false,
            latest_time: start,
            readers: watch::Sender::new(()),
            waiting: Arc::default(),
            renderer: Arc::clone(renderer),
        }
    }

    /// Returns the time to go by: the latest of `now` and the times of all earlier calls. Threads read the
    /// clock before they get the room's lock, so `now` may be a moment before an earlier call's.
    pub(super) fn advance(&mut self, now: SiteTime) -> SiteTime {
        self.latest_time = self.latest_time.max(now);
        self.latest_time
    }

    pub(super) fn state(&self) -> &RoomState {
        &self.state
    }

    /// Returns what happened since the last call.
    pub(super) fn take_tally(&mut self) -> Tally {
        self.state.take_tally()
    }

    /// Posts a message unless a condition is against it. A full room evicts its oldest message first.
    pub(super) fn append(&mut self, wish: &Wish<'_>, at: SiteTime) -> Appended {
        let known_version = self.is_version_known.then_some(self.version);
        if let Some(refusal) = wish.refusal(known_version) {
            return refusal;
        }
        let new = &wish.message;
        match self.state.used_nonce(new.nonce, at) {
            Some(used) if used.is_for(&new.text) => return Appended::Repeated(used.message),
            Some(_) => return Appended::NonceReused,
            None => {}
        }
        // The last condition: from here on, the message is posted.
        if let Err(refusal) = self.counters.count(&wish.quota, new.author, at) {
            return refusal.into();
        }
        if self.state.is_full(at) {
            self.evict_oldest(at);
        }
        Appended::New(MessageId(self.push(Event::Posted(new.clone()), at)))
    }

    /// Evicts the oldest live message.
    fn evict_oldest(&mut self, at: SiteTime) {
        if let Some(through) = self.state.oldest(at) {
            self.push(Event::Evicted { through }, at);
        }
    }

    /// Gives up the oldest live message, or the oldest report if the reports take more memory than the messages: they
    /// cannot crowd out all messages.
    pub(super) fn shrink(&mut self, at: SiteTime) {
        if self.reports.bytes() > self.state.bytes() {
            self.reports.drop_oldest();
        } else {
            self.evict_oldest(at);
        }
    }

    /// Reports a live message.
    pub(super) fn report(
        &mut self,
        message: MessageId,
        reporter: UserId,
        reason: Reason,
        at: SiteTime,
    ) -> Reported {
        match self.state.find(message, at) {
            Some(message) => self.reports.file(message, reporter, reason),
            None => Reported::NoSuchMessage,
        }
    }

    /// Returns the open reports.
    pub(super) fn reports(&self, at: SiteTime) -> Vec<Report> {
        self.reports.open(at)
    }

    /// Closes the report of a message.
    pub(super) fn close_report(&mut self, message: MessageId) {
        self.reports.close(message);
    }

    /// Deletes a live message. Returns whether there was one.
    pub(super) fn delete(&mut self, message: MessageId, at: SiteTime) -> bool {
        let is_there = self.state.find(message, at).is_some();
        if is_there {
            self.push(Event::Deleted(message), at);
        }
        is_there
    }

    /// Deletes all messages of an author.
    pub(super) fn delete_by(&mut self, author: UserId, at: SiteTime) {
        if self.state.has_message_by(author, at) {
            self.push(Event::AuthorDeleted(author), at);
        }
    }

    /// Deletes all messages and reports of a person whose account was deleted.
    pub(super) fn forget_person(&mut self, person: UserId, at: SiteTime) {
        self.reports.forget(person);
        self.delete_by(person, at);
    }

    /// Deletes all messages and reports.
    pub(super) fn clear(&mut self, at: SiteTime) {
        self.reports.clear();
        if self.state.oldest(at).is_some() {
            self.push(Event::Cleared, at);
        }
    }

    /// Moves deadlines to `lifespan` after posting, where that is earlier.
    pub(super) fn shorten(&mut self, lifespan: Lifespan, at: SiteTime) {
        self.reports.shorten(lifespan);
        if self.state.is_shortened_by(lifespan, at) {
            let through = MessageId(self.state.latest_event());
            self.push(Event::Shortened { lifespan, through }, at);
        }
    }

    /// Notes that the room itself changed.
    pub(super) fn note_room_change(&mut self, at: SiteTime) {
        self.push(Event::RoomChanged, at);
    }

    /// Frees what has expired.
    pub(super) fn free_expired(&mut self, at: SiteTime) {
        self.state.free_expired(at);
        self.reports.free_expired(at);
        self.counters.free_full(at);
    }

    /// Returns the bytes of all messages and reports, of expired ones too until they are freed.
    pub(super) fn bytes(&self) -> usize {
        self.state.bytes() + self.reports.bytes()
    }

    /// Notes that the room's version is at least `version`.
    pub(super) fn raise_version(&mut self, version: i64) {
        self.version = self.version.max(version);
    }

    /// Notes the version that was read from the database while the room was held. From now on the log
    /// knows the room's version: the greatest one that was told since the room is held.
    pub(super) fn confirm_version(&mut self, version: i64) {
        self.raise_version(version);
        self.is_version_known = true;
    }

    pub(super) fn subscribe(&self) -> Subscription {
        Subscription::new(self.readers.subscribe(), Arc::clone(&self.waiting))
    }

    /// Counts the subscriptions that have begun to wait: what they look at before, they have looked at.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn subscriber_count(&self) -> usize {
        self.readers.receiver_count()
    }

    /// Wakes all subscribers.
    pub(super) fn wake(&self) {
        self.readers.send_replace(());
    }

    /// Returns whether the log holds nothing and nobody subscribes to it.
    pub(super) fn is_idle(&self) -> bool {
        self.state.is_empty()
            && self.reports.bytes() == 0
            && self.counters.is_empty()
            && self.subscriber_count() == 0
    }

    /// Applies an event that another log has numbered.
    pub(super) fn follow(&mut self, number: u64, at: SiteTime, event: Event) {
        self.advance(at);
        self.state.apply(number, at, event, &self.renderer);
        self.wake();
    }

    /// Goes on after the event `number` of another log: the state has all that happened until then.
    pub(super) fn resume_at(&mut self, number: u64) {
        self.state.resume_at(number);
    }

    /// Makes cursors before the event `number` unfollowable.
    pub(super) fn forget_before(&mut self, number: u64) {
        self.state.forget_before(number);
    }

    /// Takes another state, which was read from another log.
    pub(super) fn replace_state(&mut self, state: RoomState) {
        self.state = state;
        self.wake();
    }

    /// Drops messages whose text is gone.
    pub(super) fn forget_husks(&mut self, husks: &[MessageId]) {
        self.state.forget_husks(husks);
    }

    /// Gives an event the next number, which it returns, and applies the event.
    fn push(&mut self, event: Event, at: SiteTime) -> u64 {
        let number = self.state.latest_event() + 1;
        self.state.apply(number, at, event, &self.renderer);
        self.wake();
        number
    }
}
