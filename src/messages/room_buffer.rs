//! One room's ring of messages, and what happened in it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Cursor, Draft, Message, NonceId, PAGE, Page, Posted, Since};
use crate::domain::{MessageId, Timestamp};

/// How many sendings and departures are remembered, for each message that the ring may hold.
const REMEMBERED: usize = 2;

/// The messages of one room, oldest first, with deadlines that never go down along the ring: time
/// does not go back here, and a lifespan that is made shorter moves all deadlines at once.
pub(super) struct RoomBuffer {
    ring: VecDeque<Arc<Message>>,
    /// Messages that went before their deadline, until that has passed: then pages drop them unasked.
    departures: VecDeque<Departure>,
    sendings: VecDeque<Sending>,
    /// The number of the latest event. A message's id is the number of its coming.
    latest_event: u64,
    /// Cursors before this event cannot be followed: departures since then were forgotten.
    followable_from: u64,
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
            bytes: 0,
            most_messages,
            events: watch::Sender::new(()),
        }
    }

    pub(super) fn post(&mut self, draft: &Draft, now: Timestamp) -> Result<Posted, askama::Error> {
        self.expire(now);
        let before = self
            .sendings
            .iter()
            .find(|sending| sending.nonce == draft.nonce);
        if let Some(sending) = before.filter(|sending| now < sending.until) {
            return Ok(Posted::Before(sending.message));
        }
        while self.ring.len() >= self.most_messages {
            self.give_up_oldest();
        }
        let id = MessageId(self.next_event());
        let message = Message::render(id, draft, now)?;
        self.bytes += message.bytes();
        self.sendings.push_back(Sending {
            nonce: draft.nonce,
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

    pub(super) fn page(&self, before: Option<MessageId>, start: u64, now: Timestamp) -> Page {
        let live = self.live(now);
        let older_than = before.map_or(self.ring.len(), |before| self.place_of(before));
        let from = older_than.saturating_sub(PAGE).max(live);
        Page {
            messages: self
                .ring
                .range(from..older_than.max(from))
                .map(Arc::clone)
                .collect(),
            has_older: from > live,
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
        let from = self.place_of(MessageId(told + 1)).max(self.live(now));
        let came: Vec<_> = self.ring.range(from..).map(Arc::clone).collect();
        let gone: Vec<_> = self
            .departures
            .iter()
            .filter(|departure| departure.event > told && departure.message.0 <= told)
            .map(|departure| departure.message)
            .collect();
        if came.is_empty() && gone.is_empty() {
            Since::Nothing(cursor)
        } else {
            Since::News { came, gone, cursor }
        }
    }

    pub(super) fn find(&self, message: MessageId, now: Timestamp) -> Option<Arc<Message>> {
        let found = self.ring.get(self.place_of(message))?;
        (found.id == message && now < found.deadline).then(|| Arc::clone(found))
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

    /// Drops what has expired. Pages know the deadlines, so there is nothing to tell.
    pub(super) fn expire(&mut self, now: Timestamp) {
        for message in self.ring.drain(..self.live(now)) {
            self.bytes -= message.bytes();
        }
        while self
            .departures
            .pop_front_if(|departure| departure.deadline <= now)
            .is_some()
        {}
        while self
            .sendings
            .pop_front_if(|sending| sending.until <= now)
            .is_some()
        {}
        if self.ring.is_empty() {
            self.ring.shrink_to_fit();
            self.departures.shrink_to_fit();
            self.sendings.shrink_to_fit();
        }
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

    /// The place in the ring of the first message that is alive at `now`.
    fn live(&self, now: Timestamp) -> usize {
        self.ring.partition_point(|message| message.deadline <= now)
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
