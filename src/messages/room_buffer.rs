//! One room's ring of messages, and what happened in it.

use std::collections::{VecDeque, vec_deque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::watch;

use super::{Cursor, Draft, Message, NonceId, PAGE, Page, Posted, Since};
use crate::domain::{Lifespan, MessageId, MessageText, RoomId, Timestamp, UserId};

/// How many sendings and departures are remembered, for each message that the ring may hold.
pub(super) const REMEMBERED: usize = 2;
/// After every deadline.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// The messages of one room, oldest first. Deadlines need not be in that order: who sends while the
/// room's lifespan is being made shorter may still have read the longer one.
pub(super) struct RoomBuffer {
    ring: VecDeque<Arc<Message>>,
    /// Messages that went before their deadline, until that has passed: then pages drop them unasked.
    departures: VecDeque<Departure>,
    sendings: VecDeque<Sending>,
    /// The number of the latest event. A message's id is the number of its coming.
    latest_event: u64,
    /// Cursors before this event cannot be followed: departures since then were forgotten.
    followable_from: u64,
    /// The latest event that was a change of the room itself.
    changed_at: u64,
    /// Nothing held here has to go before this.
    first_deadline: Timestamp,
    bytes: usize,
    most_messages: usize,
    events: watch::Sender<()>,
}

/// A message that went before its time.
struct Departure {
    event: u64,
    message: MessageId,
    deadline: Timestamp,
}

/// A nonce that was used.
struct Sending {
    nonce: NonceId,
    /// Tells the text from others. Only their author can choose two that it does not tell apart.
    text: u64,
    message: MessageId,
    until: Timestamp,
}

impl RoomBuffer {
    /// An empty buffer for `most_messages`, whose events are numbered from the one after `first_event`.
    pub(super) fn new(first_event: u64, most_messages: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            departures: VecDeque::new(),
            sendings: VecDeque::new(),
            latest_event: first_event,
            followable_from: first_event,
            changed_at: first_event,
            first_deadline: NEVER,
            bytes: 0,
            most_messages,
            events: watch::Sender::new(()),
        }
    }

    pub(super) fn post(
        &mut self,
        room: RoomId,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<Posted, askama::Error> {
        self.expire(now);
        let before = self
            .sendings
            .iter()
            .find(|sending| sending.nonce == draft.nonce);
        let text = hash_of(&draft.text);
        match before {
            Some(sending) if sending.text == text => return Ok(Posted::Before(sending.message)),
            Some(_) => return Ok(Posted::OtherText),
            None => {}
        }
        while self.ring.len() >= self.most_messages {
            self.give_up_oldest();
        }
        let id = MessageId(self.next_event());
        let message = Message::render(room, id, draft, now)?;
        self.bytes += message.bytes();
        self.first_deadline = self.first_deadline.min(message.deadline);
        self.sendings.push_back(Sending {
            nonce: draft.nonce,
            text,
            message: id,
            until: message.deadline,
        });
        if self.sendings.len() > self.most_messages * REMEMBERED {
            self.sendings.pop_front();
        }
        self.ring.push_back(Arc::new(message));
        self.wake();
        Ok(Posted::New(id))
    }

    pub(super) fn has_used(&self, nonce: NonceId, now: Timestamp) -> bool {
        let is_it = |sending: &Sending| sending.nonce == nonce && now < sending.until;
        self.sendings.iter().any(is_it)
    }

    pub(super) fn page(&self, before: Option<MessageId>, start: u64, now: Timestamp) -> Page {
        let older_than = before.map_or(self.ring.len(), |before| self.place_of(before));
        let mut newest_first = self
            .ring
            .range(..older_than)
            .rev()
            .filter(|message| message.is_live(now));
        let mut messages: Vec<_> = newest_first.by_ref().take(PAGE).map(Arc::clone).collect();
        messages.reverse();
        Page {
            messages,
            has_older: newest_first.next().is_some(),
            cursor: Cursor {
                start,
                event: self.latest_event,
            },
        }
    }

    pub(super) fn since(&self, cursor: Option<Cursor>, start: u64, now: Timestamp) -> Since {
        let followable = self.followable_from..=self.latest_event;
        let Some(told) = cursor
            .map(|cursor| cursor.event)
            .filter(|event| followable.contains(event))
        else {
            return Since::Reset(self.page(None, start, now));
        };
        let cursor = Cursor {
            start,
            event: self.latest_event,
        };
        let came: Vec<_> = self
            .after(Some(MessageId(told)))
            .filter(|message| message.is_live(now))
            .map(Arc::clone)
            .collect();
        let from = self.departures.partition_point(|gone| gone.event <= told);
        let gone: Vec<_> = self
            .departures
            .range(from..)
            .filter(|departure| departure.message.0 <= told)
            .map(|departure| departure.message)
            .collect();
        let is_changed = told < self.changed_at;
        if came.is_empty() && gone.is_empty() && !is_changed {
            Since::Nothing(cursor)
        } else {
            Since::News {
                came,
                gone,
                is_changed,
                cursor,
            }
        }
    }

    pub(super) fn find(&self, message: MessageId, now: Timestamp) -> Option<Arc<Message>> {
        let found = self.ring.get(self.place_of(message))?;
        (found.id == message && found.is_live(now)).then(|| Arc::clone(found))
    }

    /// How many live messages by others than `reader` came after `after`.
    pub(super) fn new_for(
        &self,
        reader: UserId,
        after: Option<MessageId>,
        now: Timestamp,
    ) -> usize {
        self.after(after)
            .filter(|message| message.is_live(now) && message.author != reader)
            .count()
    }

    /// When the newest live message was sent.
    pub(super) fn latest_time(&self, now: Timestamp) -> Option<Timestamp> {
        let mut newest_first = self.ring.iter().rev();
        let newest = newest_first.find(|message| message.is_live(now))?;
        Some(newest.sent_at)
    }

    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.events.subscribe()
    }

    pub(super) fn waiting(&self) -> usize {
        self.events.receiver_count()
    }

    pub(super) fn wake(&self) {
        self.events.send_replace(());
    }

    pub(super) fn delete(&mut self, message: MessageId, now: Timestamp) -> bool {
        let place = self.place_of(message);
        if self.find(message, now).is_none() {
            return false;
        }
        if let Some(message) = self.ring.remove(place) {
            self.depart(&message);
        }
        true
    }

    /// Takes out the messages that `is_meant` says yes to.
    pub(super) fn delete_where(&mut self, is_meant: impl Fn(&Message) -> bool, now: Timestamp) {
        self.expire(now);
        let (going, staying) = std::mem::take(&mut self.ring)
            .into_iter()
            .partition(|message| is_meant(message));
        self.ring = staying;
        let going: VecDeque<Arc<Message>> = going;
        for message in going {
            self.depart(&message);
        }
    }

    /// Who has live messages here, each once.
    pub(super) fn authors(&self, now: Timestamp) -> Vec<(UserId, Arc<str>)> {
        let mut authors: Vec<(UserId, Arc<str>)> = Vec::new();
        for message in self.ring.iter().filter(|message| message.is_live(now)) {
            if !authors.iter().any(|(author, _)| *author == message.author) {
                authors.push((message.author, Arc::clone(&message.author_name)));
            }
        }
        authors
    }

    /// Notes a change of the room itself, and wakes who waits.
    pub(super) fn note_change(&mut self) {
        self.changed_at = self.next_event();
        self.wake();
    }

    /// Moves each deadline to `lifespan` after the sending, where that is earlier.
    pub(super) fn shorten(
        &mut self,
        room: RoomId,
        lifespan: Lifespan,
        now: Timestamp,
    ) -> Result<(), askama::Error> {
        self.expire(now);
        let deadline = |message: &Message| message.sent_at.plus(lifespan.0).min(message.deadline);
        if self.ring.iter().all(|m| deadline(m) == m.deadline) {
            return Ok(());
        }
        let ring: Result<VecDeque<_>, _> = self
            .ring
            .iter()
            .filter(|message| now < deadline(message))
            .map(|message| message.with_deadline(room, deadline(message)).map(Arc::new))
            .collect();
        self.ring = ring?;
        self.bytes = self.ring.iter().map(|message| message.bytes()).sum();
        // Pages know the deadlines they were given. For them to be given the new ones, no cursor from
        // before can be followed, and so nobody needs to be told what went before.
        self.followable_from = self.next_event();
        self.departures.clear();
        self.find_first_deadline();
        self.wake();
        Ok(())
    }

    /// Drops what has expired. Pages know the deadlines, so there is nothing to tell.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if now < self.first_deadline {
            return;
        }
        self.ring.retain(|message| {
            let is_live = message.is_live(now);
            if !is_live {
                self.bytes -= message.bytes();
            }
            is_live
        });
        self.departures.retain(|departure| now < departure.deadline);
        self.sendings.retain(|sending| now < sending.until);
        if self.ring.is_empty() {
            self.ring.shrink_to_fit();
            self.departures.shrink_to_fit();
            self.sendings.shrink_to_fit();
        }
        self.find_first_deadline();
    }

    fn find_first_deadline(&mut self) {
        let messages = self.ring.iter().map(|message| message.deadline);
        let departures = self.departures.iter().map(|departure| departure.deadline);
        let sendings = self.sendings.iter().map(|sending| sending.until);
        let first = messages.chain(departures).chain(sendings).min();
        self.first_deadline = first.unwrap_or(NEVER);
    }

    /// Gives up the oldest live message, to make room for others.
    pub(super) fn give_up_oldest(&mut self) {
        if let Some(message) = self.ring.pop_front() {
            self.depart(&message);
        }
    }

    /// Whether nothing is held and nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.ring.is_empty()
            && self.departures.is_empty()
            && self.sendings.is_empty()
            && self.waiting() == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn latest_event(&self) -> u64 {
        self.latest_event
    }

    /// The messages that came after `after`, or all.
    fn after(&self, after: Option<MessageId>) -> vec_deque::Iter<'_, Arc<Message>> {
        let from = self.ring.partition_point(|other| Some(other.id) <= after);
        self.ring.range(from..)
    }

    /// The place in the ring of `message`, or of the first after it.
    fn place_of(&self, message: MessageId) -> usize {
        self.ring.partition_point(|other| other.id < message)
    }

    fn next_event(&mut self) -> u64 {
        self.latest_event += 1;
        self.latest_event
    }

    /// Notes that `message` went, and wakes who waits.
    fn depart(&mut self, message: &Message) {
        self.bytes -= message.bytes();
        let event = self.next_event();
        self.departures.push_back(Departure {
            event,
            message: message.id,
            deadline: message.deadline,
        });
        if self.departures.len() > self.most_messages * REMEMBERED
            && let Some(forgotten) = self.departures.pop_front()
        {
            self.followable_from = forgotten.event;
        }
        self.wake();
    }
}

fn hash_of(text: &MessageText) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.as_str().hash(&mut hasher);
    hasher.finish()
}
