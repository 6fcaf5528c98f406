//! The state of one room: what applying the room's events in order gives.

use std::collections::{VecDeque, vec_deque};
use std::sync::Arc;

use super::cursor::Cursor;
use super::event::{Event, NewMessage, Replayed};
use super::ignored::Ignored;
use super::message::{Message, Renderer, lead_of};
use super::namesakes::Namesakes;
use super::nonces::{UsedNonce, UsedNonces};
use super::tally::Tally;
use crate::domain::{Lifespan, MessageId, NonceId, RoomId, SiteTime, UserId};

/// The most messages on a page of a room.
pub const PAGE_SIZE: usize = 100;
/// How many used nonces and tombstones are held, for each message that the room may hold.
pub(super) const REMEMBERED: usize = 2;
/// Later than any time.
pub(super) const NEVER: SiteTime = SiteTime(i64::MAX);

/// Consecutive live messages of a room, oldest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The messages, at most [`PAGE_SIZE`].
    pub messages: Vec<Arc<Message>>,
    /// Whether there are live messages before these.
    pub has_older: bool,
    /// The cursor from which the page follows the room.
    pub cursor: Cursor,
}

/// What happened in a room after a cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum Since {
    /// Nothing happened.
    Nothing(Cursor),
    /// Messages were added or removed, or the room itself changed.
    News {
        /// New live messages, oldest first.
        added: Vec<Arc<Message>>,
        /// Messages that were live at the cursor and went before their deadline.
        removed: Vec<MessageId>,
        /// Whether the room itself changed: its name, its settings or its members.
        is_changed: bool,
        /// The cursor from which the page follows the room now.
        cursor: Cursor,
    },
    /// The cursor cannot be followed. The page replaces its messages with these.
    Reset(Page),
}

impl Since {
    /// Returns the cursor from which the page follows the room now.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        match self {
            Self::Nothing(cursor) | Self::News { cursor, .. } => *cursor,
            Self::Reset(page) => page.cursor,
        }
    }
}

/// The newest live message of a room, for lists of rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) posted_at: SiteTime,
    pub(super) deadline: SiteTime,
}

/// The state of one room. Pure: no clock, no I/O, no lock.
///
/// Events must come with growing numbers and times that never go back, and no read or
/// [`RoomState::free_expired`] may name a time before that of an earlier call.
pub(super) struct RoomState {
    room: RoomId,
    /// The life of the log, for cursors.
    life: u64,
    max_messages: usize,
    /// The messages, oldest first. Their deadlines need not be in this order: a message may have been
    /// sent with the longer lifespan while the room's lifespan was being shortened.
    ring: VecDeque<Arc<Message>>,
    /// Counts the messages in the ring.
    namesakes: Namesakes,
    /// In the order of their events.
    tombstones: VecDeque<Tombstone>,
    nonces: UsedNonces,
    latest_event: u64,
    /// Cursors before this event cannot be followed: tombstones of later events were dropped.
    followable_from: u64,
    /// The latest event that changed the room itself.
    changed_at: u64,
    /// Nothing in this state expires before this time.
    first_deadline: SiteTime,
    bytes: usize,
    /// What happened since [`RoomState::take_tally`].
    tally: Tally,
}

/// A record of a message that was removed before its deadline. From the deadline on it is not needed, because pages
/// then remove the message by themselves.
struct Tombstone {
    event: u64,
    message: MessageId,
    deadline: SiteTime,
}

impl RoomState {
    /// Makes an empty room whose next event has a greater number than `first_event`.
    pub(super) fn new(room: RoomId, life: u64, first_event: u64, max_messages: usize) -> Self {
        Self {
            room,
            life,
            max_messages,
            ring: VecDeque::new(),
            namesakes: Namesakes::default(),
            tombstones: VecDeque::new(),
            nonces: UsedNonces::new(max_messages.saturating_mul(REMEMBERED)),
            latest_event: first_event,
            followable_from: first_event,
            changed_at: first_event,
            first_deadline: NEVER,
            bytes: 0,
            tally: Tally::default(),
        }
    }

    /// Returns what happened since the last call.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Returns the number of messages, with expired ones until they are freed.
    pub(super) fn size(&self) -> usize {
        self.ring.len()
    }

    /// Applies the event `number`, which happened at `at`.
    pub(super) fn apply(&mut self, number: u64, at: SiteTime, event: Event, render: &Renderer) {
        self.free_expired(at);
        self.latest_event = number;
        match event {
            Event::Posted(new) => {
                let lead = lead_of(new.author, &new.text);
                let namesake = self.namesakes.add(lead, new.sent_at.minute_number());
                let id = MessageId(number);
                let deadline = self.add(id, at, &new, namesake, render);
                self.nonces.insert(new.nonce, &new.text, id, deadline);
            }
            // The log that took the message has numbered it, and remembers its nonce.
            Event::Replayed(Replayed { new, namesake }) => {
                self.add(MessageId(number), at, &new, namesake, render);
            }
            Event::Deleted(message) => self.remove(message),
            Event::Removed { message, deadline } => {
                if self.find(message, at).is_some() {
                    self.remove(message);
                } else if at < deadline {
                    self.bury(message, deadline);
                }
            }
            Event::AuthorDeleted(author) => self.remove_where(|message| message.author == author),
            Event::Cleared => self.remove_where(|_| true),
            Event::Shortened { lifespan, through } => {
                self.shorten(lifespan, through, at, render);
            }
            Event::RoomChanged => self.changed_at = number,
            Event::Evicted { through } => self.evict(through),
        }
    }

    /// Notes an event that happened before the messages were read that the state is about to be given, so that cursors
    /// before it can be followed if pages can be told what went.
    pub(super) fn remember(&mut self, number: u64, now: SiteTime, event: &Event) {
        self.latest_event = number;
        match *event {
            Event::Removed { message, deadline } if now < deadline => self.bury(message, deadline),
            Event::RoomChanged => self.changed_at = number,
            // Which messages went, and how many, was not read.
            Event::Deleted(_)
            | Event::AuthorDeleted(_)
            | Event::Cleared
            | Event::Shortened { .. }
            | Event::Evicted { .. } => self.forget_before(number),
            Event::Removed { .. } | Event::Posted(_) | Event::Replayed(_) => {}
        }
    }

    /// Goes on after the event `number`: the state has all that happened until then.
    pub(super) fn resume_at(&mut self, number: u64) {
        self.latest_event = self.latest_event.max(number);
    }

    /// Makes cursors before the event `number` unfollowable.
    pub(super) fn forget_before(&mut self, number: u64) {
        self.followable_from = self.followable_from.max(number);
    }

    /// Drops these messages, whose text is gone because they have expired by another process's clock.
    pub(super) fn forget_husks(&mut self, husks: &[MessageId]) {
        if husks.is_empty() {
            return;
        }
        self.ring.retain(|message| {
            let is_husk = husks.contains(&message.id);
            if is_husk {
                self.namesakes.remove(message.lead);
            }
            !is_husk
        });
        self.bytes = self.ring.iter().map(|message| message.bytes()).sum();
        self.find_first_deadline();
    }

    /// Frees what has expired. Changes no answer: reads pass over what has expired.
    pub(super) fn free_expired(&mut self, now: SiteTime) {
        if now < self.first_deadline {
            return;
        }
        self.ring.retain(|message| {
            let is_live = message.is_live(now);
            if !is_live {
                self.bytes -= message.bytes();
                self.namesakes.remove(message.lead);
                self.tally.expired.add(message);
            }
            is_live
        });
        self.tombstones.retain(|tombstone| now < tombstone.deadline);
        self.nonces.free_expired(now);
        if self.ring.is_empty() {
            self.ring.shrink_to_fit();
            self.namesakes.shrink();
            self.tombstones.shrink_to_fit();
        }
        self.find_first_deadline();
    }

    /// Returns the newest [`PAGE_SIZE`] live messages of people who are not ignored, or the newest of those before
    /// `before`.
    pub(super) fn page(&self, before: Option<MessageId>, ignored: &Ignored, now: SiteTime) -> Page {
        let end = before.map_or(self.ring.len(), |before| self.position(before));
        let mut newest_first = self
            .ring
            .range(..end)
            .rev()
            .filter(|message| message.is_live(now) && ignored.shows(message));
        let mut messages = Vec::with_capacity(end.min(PAGE_SIZE));
        messages.extend(newest_first.by_ref().take(PAGE_SIZE).map(Arc::clone));
        messages.reverse();
        Page {
            messages,
            has_older: newest_first.next().is_some(),
            cursor: self.cursor(ignored, now),
        }
    }

    /// Returns what happened after `cursor`, without messages of people who are ignored.
    pub(super) fn since(&self, cursor: Option<Cursor>, ignored: &Ignored, now: SiteTime) -> Since {
        let followable = self.followable_from..=self.latest_event;
        let Some(cursor) = cursor.filter(|cursor| {
            cursor.life == self.life
                && cursor.ignored == ignored.stamp()
                && followable.contains(&cursor.event)
        }) else {
            return Since::Reset(self.page(None, ignored, now));
        };
        let told = cursor.event;
        let added: Vec<_> = self
            .after(Some(MessageId(told)))
            .filter(|message| message.is_live(now) && ignored.shows(message))
            .map(Arc::clone)
            .collect();
        let start = self
            .tombstones
            .partition_point(|tombstone| tombstone.event <= told);
        let removed: Vec<_> = self
            .tombstones
            .range(start..)
            .filter(|tombstone| tombstone.message.0 <= told && now < tombstone.deadline)
            .map(|tombstone| tombstone.message)
            .collect();
        let is_changed = told < self.changed_at;
        let cursor = self.cursor(ignored, now);
        if added.is_empty() && removed.is_empty() && !is_changed {
            Since::Nothing(cursor)
        } else {
            Since::News {
                added,
                removed,
                is_changed,
                cursor,
            }
        }
    }

    /// Returns a live message.
    pub(super) fn find(&self, message: MessageId, now: SiteTime) -> Option<Arc<Message>> {
        let found = self.ring.get(self.position(message))?;
        (found.id == message && found.is_live(now)).then(|| Arc::clone(found))
    }

    /// Counts the live messages after `after`, or all, by others than `reader` and the people whom they ignore.
    pub(super) fn new_for(
        &self,
        reader: UserId,
        ignored: &Ignored,
        after: Option<MessageId>,
        now: SiteTime,
    ) -> usize {
        let by_others = self.after(after).filter(|message| message.author != reader);
        if now < self.first_deadline && ignored.is_empty() {
            // The usual case, in a third of the time.
            return by_others.count();
        }
        let is_new = |message: &&Arc<Message>| message.is_live(now) && ignored.shows(message);
        by_others.filter(is_new).count()
    }

    /// Returns the newest live message's times.
    pub(super) fn latest(&self, now: SiteTime) -> Option<Newest> {
        let mut newest_first = self.ring.iter().rev();
        let newest = newest_first.find(|message| message.is_live(now))?;
        Some(Newest {
            posted_at: newest.posted_at,
            deadline: newest.deadline,
        })
    }

    /// Returns the authors of live messages, each once, with the name they wrote under.
    pub(super) fn authors(&self, now: SiteTime) -> Vec<(UserId, Arc<str>)> {
        let mut authors: Vec<(UserId, Arc<str>)> = Vec::new();
        for message in self.live(now) {
            if !authors.iter().any(|(author, _)| *author == message.author) {
                authors.push((message.author, Arc::clone(&message.author_name)));
            }
        }
        authors
    }

    /// Returns what a nonce led to, until that message's first deadline.
    pub(super) fn used_nonce(&self, nonce: NonceId, now: SiteTime) -> Option<UsedNonce> {
        self.nonces.find(nonce, now)
    }

    /// Returns whether `author` has live messages.
    pub(super) fn has_message_by(&self, author: UserId, now: SiteTime) -> bool {
        self.live(now).any(|message| message.author == author)
    }

    /// Returns whether `lifespan` would move the deadline of a live message.
    pub(super) fn is_shortened_by(&self, lifespan: Lifespan, now: SiteTime) -> bool {
        self.live(now)
            .any(|message| shortened(message, lifespan) < message.deadline)
    }

    /// Returns the oldest live message.
    pub(super) fn oldest(&self, now: SiteTime) -> Option<MessageId> {
        self.live(now).next().map(|message| message.id)
    }

    /// Returns whether a message must be evicted before another is posted.
    pub(super) fn is_full(&self, now: SiteTime) -> bool {
        if now < self.first_deadline {
            return self.ring.len() >= self.max_messages;
        }
        self.ring.len() >= self.max_messages && self.live(now).count() >= self.max_messages
    }

    /// Returns whether freeing this state would lose nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.tombstones.is_empty() && self.nonces.is_empty()
    }

    /// Returns a time before which no message expires.
    pub(super) fn first_deadline(&self) -> SiteTime {
        self.first_deadline
    }

    /// Returns the bytes of all messages, of expired ones too until they are freed.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of the latest event.
    pub(super) fn latest_event(&self) -> u64 {
        self.latest_event
    }

    /// Adds a message, and returns its deadline.
    fn add(
        &mut self,
        id: MessageId,
        at: SiteTime,
        new: &NewMessage,
        namesake: u32,
        render: &Renderer,
    ) -> SiteTime {
        let message = Message::new(self.room, id, at, new, namesake, render);
        let deadline = message.deadline;
        self.bytes += message.bytes();
        self.first_deadline = self.first_deadline.min(deadline);
        self.tally.added.add(&message);
        self.ring.push_back(Arc::new(message));
        deadline
    }

    fn remove(&mut self, message: MessageId) {
        let position = self.position(message);
        if self.ring.get(position).is_some_and(|m| m.id == message)
            && let Some(message) = self.ring.remove(position)
        {
            self.tally.deleted.add(&message);
            self.add_tombstone(&message);
        }
    }

    fn remove_where(&mut self, is_meant: impl Fn(&Message) -> bool) {
        let messages = std::mem::take(&mut self.ring);
        for message in messages {
            if is_meant(&message) {
                self.tally.deleted.add(&message);
                self.add_tombstone(&message);
            } else {
                self.ring.push_back(message);
            }
        }
    }

    fn evict(&mut self, through: MessageId) {
        while let Some(message) = self.ring.pop_front_if(|message| message.id <= through) {
            self.tally.evicted.add(&message);
            self.add_tombstone(&message);
        }
    }

    fn shorten(&mut self, lifespan: Lifespan, through: MessageId, at: SiteTime, render: &Renderer) {
        let messages = std::mem::take(&mut self.ring);
        for message in messages {
            let deadline = shortened(&message, lifespan);
            if deadline == message.deadline || through < message.id {
                self.ring.push_back(message);
            } else if at < deadline {
                let message = message.with_deadline(deadline, render);
                self.ring.push_back(Arc::new(message));
            } else {
                self.namesakes.remove(message.lead);
                self.tally.expired.add(&message);
            }
        }
        self.bytes = self.ring.iter().map(|message| message.bytes()).sum();
        // Pages know the deadlines they were given. They get the new ones because no earlier cursor can
        // be followed, which makes tombstones needless.
        self.followable_from = self.latest_event;
        self.tombstones.clear();
        self.find_first_deadline();
    }

    /// Remembers that `message`, which is out of the ring, went with the latest event.
    fn add_tombstone(&mut self, message: &Message) {
        self.bytes -= message.bytes();
        self.namesakes.remove(message.lead);
        self.bury(message.id, message.deadline);
    }

    /// Remembers that a message went with the latest event, before its deadline.
    fn bury(&mut self, message: MessageId, deadline: SiteTime) {
        self.first_deadline = self.first_deadline.min(deadline);
        self.tombstones.push_back(Tombstone {
            event: self.latest_event,
            message,
            deadline,
        });
        if self.tombstones.len() > self.max_messages.saturating_mul(REMEMBERED)
            && let Some(dropped) = self.tombstones.pop_front()
        {
            self.forget_before(dropped.event);
        }
    }

    fn find_first_deadline(&mut self) {
        let messages = self.ring.iter().map(|message| message.deadline);
        let tombstones = self.tombstones.iter().map(|tombstone| tombstone.deadline);
        let nonces = self.nonces.first_deadline();
        let first = messages.chain(tombstones).chain(nonces).min();
        self.first_deadline = first.unwrap_or(NEVER);
    }

    fn live(&self, now: SiteTime) -> impl Iterator<Item = &Arc<Message>> {
        self.ring.iter().filter(move |message| message.is_live(now))
    }

    /// Returns the messages after `after`, or all.
    fn after(&self, after: Option<MessageId>) -> vec_deque::Iter<'_, Arc<Message>> {
        let start = self.ring.partition_point(|other| Some(other.id) <= after);
        self.ring.range(start..)
    }

    /// Returns the position in the ring of `message`, or of the first message after it.
    fn position(&self, message: MessageId) -> usize {
        self.ring.partition_point(|other| other.id < message)
    }

    fn cursor(&self, ignored: &Ignored, now: SiteTime) -> Cursor {
        Cursor {
            life: self.life,
            event: self.latest_event,
            made_at: now,
            ignored: ignored.stamp(),
        }
    }
}

/// Returns the deadline of `message` in a room of this lifespan. A deadline never moves later.
fn shortened(message: &Message, lifespan: Lifespan) -> SiteTime {
    message.posted_at.plus(lifespan.0).min(message.deadline)
}
