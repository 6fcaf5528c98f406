//! The outbox to Redis.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::{Pipeline, Script, cmd, pipe};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::super::marks::{ReadMark, encode};
use super::super::redis::{KEY_MARGIN, Link, Unavailable};
use super::ticket::Ticket;
use crate::clock::{Clock, millis};
use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

/// The longest time until something is written that nobody waits for.
const BEAT: Duration = Duration::from_millis(250);
/// The longest wait for something to be written. Longer than a link that does not answer takes to say so.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How long a person counts as present after the last request of their page.
pub(in super::super) const PRESENT_FOR: Duration = Duration::from_secs(60);
/// How many read marks are published at once.
const MARKS_AT_ONCE: usize = 1_000;

/// What this process has to tell the others through Redis.
pub struct SharedOutbox {
    link: Arc<Link>,
    clock: Arc<dyn Clock>,
    /// The longest lifespan of a message.
    longest: Lifespan,
    read: Script,
    batch: Mutex<Batch>,
    /// Somebody waits for the batch.
    urgent: Notify,
    /// The number of the latest batch that was written.
    written: watch::Sender<u64>,
}

/// What is written next.
struct Batch {
    number: u64,
    seen: HashMap<RoomId, HashMap<UserId, SiteTime>>,
    /// The life of Redis's memory in which the messages have their numbers.
    life: u64,
    read: HashMap<(UserId, RoomId), (MessageId, SiteTime)>,
}

impl Batch {
    fn new(number: u64) -> Self {
        Self {
            number,
            seen: HashMap::new(),
            life: 0,
            read: HashMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.read.is_empty()
    }
}

impl SharedOutbox {
    /// Makes an outbox. [`SharedOutbox::run`] writes what is put into it.
    #[must_use]
    pub fn new(link: Arc<Link>, clock: Arc<dyn Clock>, longest: Lifespan) -> Self {
        Self {
            link,
            clock,
            longest,
            read: Script::new(include_str!("read.lua")),
            batch: Mutex::new(Batch::new(1)),
            urgent: Notify::new(),
            written: watch::Sender::new(0),
        }
    }

    /// Tells that `user` was seen in `room`.
    pub(in super::super) fn put_seen(&self, room: RoomId, user: UserId, now: SiteTime) -> Ticket {
        let mut batch = self.batch();
        batch.seen.entry(room).or_default().insert(user, now);
        Ticket(batch.number)
    }

    /// Tells that `user` has read `room` up to `message`, which has this number in this `life` of Redis's memory.
    pub(in super::super) fn put_read(&self, life: u64, mark: ReadMark) -> Ticket {
        let mut batch = self.batch();
        if batch.life != life {
            batch.read.clear();
            batch.life = life;
        }
        let (user, room) = (mark.user, mark.room);
        batch
            .read
            .insert((user, room), (mark.message, mark.moved_at));
        Ticket(batch.number)
    }

    /// Waits until what was told is written, or Redis does not answer.
    pub(super) async fn written(&self, ticket: Ticket) {
        if *self.written.borrow() >= ticket.0 {
            return;
        }
        self.urgent.notify_one();
        let mut written = self.written.subscribe();
        let is_written = written.wait_for(|written| *written >= ticket.0);
        // The sender lives as long as this outbox, and the task that writes ends with the server.
        drop(timeout(MAX_WAIT, is_written).await);
    }

    /// Writes what is told, a few times a second, and at once if somebody waits for it. Runs until aborted.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = self.urgent.notified() => {}
            }
            let Some(batch) = self.take() else {
                continue;
            };
            let number = batch.number;
            if self.write(&batch).await.is_err() {
                tracing::debug!("what polls told is written later");
                self.put_back(batch);
            }
            self.written.send_replace(number);
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut batch = self.batch();
        if batch.is_empty() {
            return None;
        }
        let next = Batch::new(batch.number + 1);
        Some(std::mem::replace(&mut *batch, next))
    }

    /// Writes with the next batch what could not be written, because no poll tells it again.
    fn put_back(&self, unwritten: Batch) {
        let mut batch = self.batch();
        for (room, people) in unwritten.seen {
            let newer = batch.seen.entry(room).or_default();
            for (user, seen) in people {
                newer.entry(user).or_insert(seen);
            }
        }
        if batch.read.is_empty() {
            batch.life = unwritten.life;
        }
        if batch.life == unwritten.life {
            for (mark, read) in unwritten.read {
                batch.read.entry(mark).or_insert(read);
            }
        }
    }

    async fn write(&self, batch: &Batch) -> Result<(), Unavailable> {
        let session = self.link.ready().await?;
        if !batch.seen.is_empty() {
            let _: () = self.link.run_all(&self.presence(batch)).await?;
        }
        // A Redis that lost its memory gives other numbers to messages.
        if batch.life == session.life && !batch.read.is_empty() {
            self.write_marks(batch).await?;
        }
        Ok(())
    }

    fn presence(&self, batch: &Batch) -> Pipeline {
        let now = self.clock.site_time();
        let mut pipeline = pipe();
        for (room, people) in &batch.seen {
            let key = self.link.keys().room(*room, "here");
            let mut add = cmd("ZADD");
            add.arg(key.as_str()).arg("GT");
            for (user, seen) in people {
                add.arg(seen.0).arg(user.0);
            }
            pipeline.add_command(add).ignore();
            let mut drop_old = cmd("ZREMRANGEBYSCORE");
            drop_old.arg(key.as_str()).arg("-inf");
            drop_old.arg(now.minus(PRESENT_FOR).0);
            pipeline.add_command(drop_old).ignore();
            let mut expire = cmd("PEXPIRE");
            expire.arg(key).arg(millis(PRESENT_FOR + KEY_MARGIN));
            pipeline.add_command(expire).ignore();
        }
        pipeline
    }

    async fn write_marks(&self, batch: &Batch) -> Result<(), Unavailable> {
        let mut by_person: HashMap<UserId, Vec<ReadMark>> = HashMap::new();
        for (&(user, room), &(message, moved_at)) in &batch.read {
            let mark = ReadMark {
                user,
                room,
                message,
                moved_at,
            };
            by_person.entry(user).or_default().push(mark);
        }
        let now = self.clock.site_time();
        // The connection sends all of them before it waits for the first answer.
        let moves = by_person.iter().map(async |(user, marks)| {
            let mut call = self.read.prepare_invoke();
            call.key(self.link.keys().person(*user, "read"));
            call.arg(now.0).arg(millis(self.longest.0));
            call.arg(millis(self.longest.0 + KEY_MARGIN));
            for mark in marks {
                call.arg(mark.room.0).arg(mark.message.0);
                call.arg(mark.moved_at.0);
            }
            self.link.script::<()>(&call).await
        });
        try_join_all(moves).await?;
        let marks: Vec<ReadMark> = by_person.into_values().flatten().collect();
        let mut pipeline = pipe();
        for marks in marks.chunks(MARKS_AT_ONCE) {
            let mut publish = cmd("PUBLISH");
            publish.arg(self.link.keys().site("read"));
            publish.arg(encode(marks));
            pipeline.add_command(publish).ignore();
        }
        self.link.run_all(&pipeline).await
    }

    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
