//! The message buffer: what is said, held in memory until its time is up, and never anywhere else.
//!
//! Plain and synchronous: it takes the time as an argument and knows nothing of people's rights.
//! One ring a room (`room_buffer.rs`), a cap on the messages of each room and one on the bytes of
//! all; when the latter is reached, the room that uses most gives up its oldest.
//!
//! **Expiry is a property, not a job.** No answer made at time t holds a message whose deadline is
//! at or before t. [`Messages::sweep`] only frees memory.

mod cursor;
mod rendering;
mod room_buffer;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::{Lifespan, MessageId, MessageText, RoomId, Timestamp, UserId};

pub use cursor::Cursor;
pub use rendering::Message;
use room_buffer::RoomBuffer;

/// How many messages a room page shows, and how many a page that starts anew is given.
pub const PAGE: usize = 100;

/// How much the buffer holds.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Messages in one room.
    pub messages_a_room: usize,
    /// Bytes in all rooms together: texts, their renderings and what is kept around them.
    pub bytes: usize,
}

/// The random part of a form's nonce: names one sending of one form.
pub type NonceId = [u8; 16];

/// A message on its way into the buffer.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who wrote it.
    pub author: UserId,
    /// The author's name at the time of writing.
    pub author_name: Arc<str>,
    /// What it says.
    pub text: MessageText,
    /// Which sending of a form this is.
    pub nonce: NonceId,
    /// How long it is to live.
    pub lifespan: Lifespan,
}

/// What became of a [`Draft`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is a new message.
    New(MessageId),
    /// Its nonce had been used: this message came of it then.
    Before(MessageId),
    /// Its nonce had been used for another text: nothing came of it now.
    OtherText,
}

impl Posted {
    /// The message that the sending led to.
    #[must_use]
    pub fn message(self) -> Option<MessageId> {
        match self {
            Self::New(id) | Self::Before(id) => Some(id),
            Self::OtherText => None,
        }
    }
}

/// A stretch of a room's live messages, oldest first.
#[derive(Debug)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Arc<Message>>,
    /// Whether there are live messages before these.
    pub has_older: bool,
    /// From where to go on: everything up to here is in the room's pages.
    pub cursor: Cursor,
}

/// What happened in a room after a cursor.
#[derive(Debug)]
pub enum Since {
    /// Nothing to show.
    Nothing(Cursor),
    /// These messages came and these went.
    News {
        /// New live messages, oldest first.
        came: Vec<Arc<Message>>,
        /// Messages that were there at the cursor and went before their deadline.
        gone: Vec<MessageId>,
        /// Whether the room itself has changed: its name, say, or who may write.
        is_changed: bool,
        /// From where to go on.
        cursor: Cursor,
    },
    /// The cursor cannot be followed: this is what is there now.
    Reset(Page),
}

/// All rooms' messages. Shared by all workers.
pub struct Messages {
    /// Names this start of the server in cursors.
    start: u64,
    rooms: Mutex<Rooms>,
}

struct Rooms {
    capacity: Capacity,
    buffers: HashMap<RoomId, RoomBuffer>,
    /// The rooms by the bytes they hold, to find the largest.
    by_size: BTreeSet<(usize, RoomId)>,
    bytes: usize,
    /// The latest time seen. Time does not go back here, whatever the clock does: what has expired
    /// once stays expired, and a room's deadlines keep their order.
    latest: Timestamp,
    /// Where the event numbers of new buffers begin: after all that freed buffers have given out,
    /// so that a message's name is never given to another.
    first_event: u64,
}

impl Messages {
    /// An empty buffer. `start` is random, `now` the time of the start.
    #[must_use]
    pub fn new(capacity: Capacity, start: u64, now: Timestamp) -> Self {
        // Beginning at the time makes names of messages that no earlier start has given out, as long
        // as rooms see fewer than a thousand events a millisecond in the mean. JavaScript's numbers
        // hold them exactly.
        let first_event = u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000);
        let rooms = Rooms {
            capacity,
            buffers: HashMap::new(),
            by_size: BTreeSet::new(),
            bytes: 0,
            latest: now,
            first_event,
        };
        Self {
            start,
            rooms: Mutex::new(rooms),
        }
    }

    /// Puts a message into a room, or finds the one that its nonce led to before, and wakes who waits.
    ///
    /// `is_allowed` is asked while nothing else can happen in the buffer. If not, nothing is done, and
    /// the answer is none. So who takes a right away, and then calls anything here about the room
    /// ([`Messages::wake`], say), knows that nothing comes in by that right any more.
    ///
    /// # Errors
    /// When the template fails.
    pub fn post_if(
        &self,
        is_allowed: impl FnOnce() -> bool,
        room: RoomId,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<Option<Posted>, askama::Error> {
        let mut rooms = self.lock();
        if !is_allowed() {
            return Ok(None);
        }
        let now = rooms.time(now);
        let posted = rooms.change(room, |buffer| buffer.post(room, draft, now))?;
        rooms.make_way(now);
        Ok(Some(posted))
    }

    /// Whether a sending has led to a message in a room whose first deadline has not come.
    pub fn has_used(&self, room: RoomId, nonce: NonceId, now: Timestamp) -> bool {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        let buffer = rooms.buffers.get(&room);
        buffer.is_some_and(|buffer| buffer.has_used(nonce, now))
    }

    /// The newest [`PAGE`] messages of a room, or of those before `before`.
    pub fn page(&self, room: RoomId, before: Option<MessageId>, now: Timestamp) -> Page {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        let start = self.start;
        match rooms.buffers.get(&room) {
            Some(buffer) => buffer.page(before, start, now),
            None => {
                let cursor = Cursor {
                    start,
                    event: rooms.first_event,
                };
                Page {
                    messages: Vec::new(),
                    has_older: false,
                    cursor,
                }
            }
        }
    }

    /// What happened in a room after `cursor`.
    pub fn since(&self, room: RoomId, cursor: Option<Cursor>, now: Timestamp) -> Since {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        let cursor = cursor.filter(|cursor| cursor.start == self.start);
        if let Some(buffer) = rooms.buffers.get(&room) {
            return buffer.since(cursor, self.start, now);
        }
        let cursor_now = Cursor {
            start: self.start,
            event: rooms.first_event,
        };
        if cursor == Some(cursor_now) {
            Since::Nothing(cursor_now)
        } else {
            Since::Reset(Page {
                messages: Vec::new(),
                has_older: false,
                cursor: cursor_now,
            })
        }
    }

    /// Up to which message a page with this cursor has followed its room.
    #[must_use]
    pub fn followed_to(&self, cursor: Cursor) -> Option<MessageId> {
        (cursor.start == self.start).then_some(MessageId(cursor.event))
    }

    /// A message of a room, while it lives.
    pub fn find(&self, room: RoomId, message: MessageId, now: Timestamp) -> Option<Arc<Message>> {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        rooms.buffers.get(&room)?.find(message, now)
    }

    /// How many live messages by others came into a room after `after`, or ever.
    #[must_use]
    pub fn new_for(
        &self,
        room: RoomId,
        reader: UserId,
        after: Option<MessageId>,
        now: Timestamp,
    ) -> usize {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        let buffer = rooms.buffers.get(&room);
        buffer.map_or(0, |buffer| buffer.new_for(reader, after, now))
    }

    /// When the newest live message of each room was sent. Rooms without one are left out.
    #[must_use]
    pub fn latest_times(&self, now: Timestamp) -> Vec<(RoomId, Timestamp)> {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        let times = rooms.buffers.iter();
        times
            .filter_map(|(&room, buffer)| Some((room, buffer.latest_time(now)?)))
            .collect()
    }

    /// A receiver that changes at every event of a room, and when somebody's right to be there does.
    ///
    /// Take it before asking [`Messages::since`], and nothing falls between the two. When the room
    /// is forgotten, it closes.
    pub fn watch(&self, room: RoomId) -> watch::Receiver<()> {
        self.lock().buffer(room).watch()
    }

    /// Wakes who waits in a room, for them to see whether they may still be there.
    pub fn wake(&self, room: RoomId) {
        if let Some(buffer) = self.lock().buffers.get(&room) {
            buffer.wake();
        }
    }

    /// How many wait in a room.
    #[must_use]
    pub fn waiting(&self, room: RoomId) -> usize {
        self.lock()
            .buffers
            .get(&room)
            .map_or(0, RoomBuffer::waiting)
    }

    /// Takes a message out of a room. Says whether it was there.
    pub fn delete(&self, room: RoomId, message: MessageId, now: Timestamp) -> bool {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        rooms.buffers.contains_key(&room)
            && rooms.change(room, |buffer| buffer.delete(message, now))
    }

    /// Takes all messages of `author` out of a room.
    pub fn delete_by(&self, author: UserId, room: RoomId, now: Timestamp) {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        if rooms.buffers.contains_key(&room) {
            rooms.change(room, |buffer| {
                buffer.delete_where(|m| m.author == author, now)
            });
        }
    }

    /// Takes all messages of `author` out of all rooms.
    pub fn delete_everywhere_by(&self, author: UserId, now: Timestamp) {
        let rooms: Vec<RoomId> = self.lock().buffers.keys().copied().collect();
        for room in rooms {
            self.delete_by(author, room, now);
        }
    }

    /// Takes all messages out of a room.
    pub fn clear(&self, room: RoomId, now: Timestamp) {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        if rooms.buffers.contains_key(&room) {
            rooms.change(room, |buffer| buffer.delete_where(|_| true, now));
        }
    }

    /// Who has live messages in a room, each once, by the name they wrote under.
    #[must_use]
    pub fn authors(&self, room: RoomId, now: Timestamp) -> Vec<(UserId, Arc<str>)> {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        let buffer = rooms.buffers.get(&room);
        buffer.map_or_else(Vec::new, |buffer| buffer.authors(now))
    }

    /// Tells the open pages of a room that the room itself has changed.
    pub fn note_change(&self, room: RoomId) {
        self.lock().buffer(room).note_change();
    }

    /// Makes a room's lifespan act on the messages it holds. Deadlines only move earlier: a longer
    /// lifespan changes nothing. Whoever follows the room is given its messages anew.
    ///
    /// # Errors
    /// When the template fails. Nothing has changed then.
    pub fn shorten(
        &self,
        room: RoomId,
        lifespan: Lifespan,
        now: Timestamp,
    ) -> Result<(), askama::Error> {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        if !rooms.buffers.contains_key(&room) {
            return Ok(());
        }
        rooms.change(room, |buffer| buffer.shorten(room, lifespan, now))
    }

    /// Drops all that is held of a room: the room itself is gone.
    pub fn forget(&self, room: RoomId) {
        let mut rooms = self.lock();
        rooms.remove(room);
        // No page's cursor can be followed: what it shows did not go event by event.
        rooms.first_event += 1;
    }

    /// Frees what has expired, and the buffers of rooms in which there is nothing and nobody waits.
    pub fn sweep(&self, now: Timestamp) {
        let mut rooms = self.lock();
        let now = rooms.time(now);
        let all: Vec<RoomId> = rooms.buffers.keys().copied().collect();
        for room in all {
            rooms.change(room, |buffer| buffer.expire(now));
            if rooms.buffers.get(&room).is_some_and(RoomBuffer::is_idle) {
                rooms.remove(room);
            }
        }
        rooms.buffers.shrink_to_fit();
    }

    /// The bytes held now, expired messages that were not yet freed included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        // What a panic could leave half done is a room's size, not a message that should not be seen.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    /// The time to go by: the later of `now` and the latest seen.
    fn time(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn buffer(&mut self, room: RoomId) -> &mut RoomBuffer {
        let (first_event, most) = (self.first_event, self.capacity.messages_a_room);
        self.buffers
            .entry(room)
            .or_insert_with(|| RoomBuffer::new(first_event, most))
    }

    /// Runs `work` on a room's buffer and keeps the sums.
    fn change<T>(&mut self, room: RoomId, work: impl FnOnce(&mut RoomBuffer) -> T) -> T {
        let buffer = self.buffer(room);
        let before = buffer.bytes();
        let result = work(buffer);
        let after = buffer.bytes();
        if before != after {
            self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
            self.by_size.remove(&(before, room));
            if after > 0 {
                self.by_size.insert((after, room));
            }
        }
        result
    }

    /// Lets the largest room give up its oldest messages until all fit in again.
    fn make_way(&mut self, now: Timestamp) {
        while self.bytes > self.capacity.bytes {
            let Some(&(_, largest)) = self.by_size.last() else {
                return;
            };
            self.change(largest, |buffer| {
                let before = buffer.bytes();
                buffer.expire(now);
                if buffer.bytes() == before {
                    buffer.give_up_oldest();
                }
            });
        }
    }

    fn remove(&mut self, room: RoomId) {
        if let Some(buffer) = self.buffers.remove(&room) {
            self.bytes = self.bytes.saturating_sub(buffer.bytes());
            self.by_size.remove(&(buffer.bytes(), room));
            self.first_event = self.first_event.max(buffer.latest_event());
        }
    }
}

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod tests;
