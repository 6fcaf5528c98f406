//! Read marks in Redis: a hash for each person.
//!
//! Polls look at them without a round trip. So a process holds a copy of the marks of the people whose polls it answers,
//! and each process tells all others which marks it moves. A copy holds as long as the link's session.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use redis::cmd;

use super::super::marks::{ReadMark, decode};
use super::super::outbox::{SharedOutbox, Ticket};
use super::super::redis::{Handler, Link, Session, Unavailable};
use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

/// Read marks that all processes of a site share.
pub(super) struct SharedMarks {
    link: Arc<Link>,
    outbox: Arc<SharedOutbox>,
    copies: Arc<Copies>,
}

/// The marks of the people whom this process serves.
#[derive(Default)]
struct Copies(Mutex<HashMap<UserId, Held>>);

#[derive(Default)]
struct Held {
    /// The life of Redis's memory that the marks are of.
    life: u64,
    /// The session in which all marks were read and followed since, or 0.
    session: u64,
    used_at: Option<SiteTime>,
    marks: BTreeMap<RoomId, Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    message: MessageId,
    moved_at: SiteTime,
}

impl Held {
    /// Drops what is of another life of Redis's memory, in which messages have other numbers.
    fn enter(&mut self, life: u64) {
        if self.life != life {
            *self = Self {
                life,
                used_at: self.used_at,
                ..Self::default()
            };
        }
    }

    /// Moves a mark forward. Returns whether it moved.
    fn raise(&mut self, room: RoomId, mark: Mark) -> bool {
        let known = self.marks.get(&room);
        let moves = known.is_none_or(|known| known.message < mark.message);
        if moves {
            self.marks.insert(room, mark);
        }
        moves
    }
}

impl Copies {
    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes marks that a process has moved.
    fn hear(&self, payload: &[u8]) {
        let mut copies = self.lock();
        for mark in decode(payload) {
            if let Some(copy) = copies.get_mut(&mark.user) {
                let (message, moved_at) = (mark.message, mark.moved_at);
                copy.raise(mark.room, Mark { message, moved_at });
            }
        }
    }
}

impl SharedMarks {
    /// Hears from now on which marks other processes move.
    pub(super) async fn new(
        link: Arc<Link>,
        outbox: Arc<SharedOutbox>,
    ) -> Result<Self, Unavailable> {
        let copies = Arc::new(Copies::default());
        let heard = Arc::clone(&copies);
        let handler: Handler = Arc::new(move |payload| heard.hear(payload));
        let channel = link.keys().site("read");
        link.subscribe(&channel, handler).await?;
        Ok(Self {
            link,
            outbox,
            copies,
        })
    }

    pub(super) fn mark_read(
        &self,
        user: UserId,
        room: RoomId,
        message: MessageId,
        now: SiteTime,
    ) -> Ticket {
        // Without a session, nothing is shown either.
        let Some(life) = self.link.open_life() else {
            return Ticket::NONE;
        };
        let moved_at = now;
        let moves = {
            let mut copies = self.copies.lock();
            let copy = copies.entry(user).or_default();
            copy.enter(life);
            copy.used_at = Some(now);
            copy.raise(room, Mark { message, moved_at })
        };
        if !moves {
            return Ticket::NONE;
        }
        let mark = ReadMark {
            user,
            room,
            message,
            moved_at,
        };
        self.outbox.put_read(life, mark)
    }

    pub(super) fn find(&self, user: UserId, room: RoomId) -> Option<MessageId> {
        let copies = self.copies.lock();
        let mark = copies.get(&user)?.marks.get(&room)?;
        Some(mark.message)
    }

    pub(super) fn all_of(&self, user: UserId) -> HashMap<RoomId, MessageId> {
        let copies = self.copies.lock();
        let marks = copies.get(&user).map(|copy| &copy.marks);
        let marks = marks.into_iter().flatten();
        marks.map(|(room, mark)| (*room, mark.message)).collect()
    }

    pub(super) fn moved_since(&self, user: UserId, since: SiteTime) -> Vec<RoomId> {
        let copies = self.copies.lock();
        let marks = copies.get(&user).map(|copy| &copy.marks);
        let moved = marks.into_iter().flatten();
        moved
            .filter(|(_, mark)| since <= mark.moved_at)
            .map(|(room, _)| *room)
            .collect()
    }

    pub(super) async fn load(&self, user: UserId, now: SiteTime) -> Result<(), Unavailable> {
        let session = self.link.ready().await?;
        let is_held = {
            let mut copies = self.copies.lock();
            let copy = copies.get_mut(&user);
            copy.is_some_and(|copy| {
                copy.used_at = Some(now);
                copy.session == session.number
            })
        };
        if is_held {
            return Ok(());
        }
        self.read(user, session, now).await
    }

    pub(super) async fn refresh(&self, user: UserId, now: SiteTime) -> Result<(), Unavailable> {
        let session = self.link.ready().await?;
        self.read(user, session, now).await
    }

    /// Reads all marks of a person. What is heard meanwhile is kept.
    async fn read(&self, user: UserId, session: Session, now: SiteTime) -> Result<(), Unavailable> {
        {
            let mut copies = self.copies.lock();
            let copy = copies.entry(user).or_default();
            copy.enter(session.life);
            copy.used_at = Some(now);
        }
        let mut read = cmd("HGETALL");
        read.arg(self.link.keys().person(user, "read"));
        let marks: Vec<(i64, String)> = self.link.run(&read).await?;
        if self.link.session() != Some(session) {
            return Err(Unavailable);
        }
        let mut copies = self.copies.lock();
        let copy = copies.entry(user).or_default();
        copy.enter(session.life);
        for (room, mark) in marks {
            if let Some(mark) = parse(&mark) {
                copy.raise(RoomId(room), mark);
            }
        }
        copy.session = session.number;
        Ok(())
    }

    /// Frees the copies that were not used for the longest lifespan, and the marks that did not move for that long: all
    /// messages up to them have expired.
    pub(super) fn sweep(&self, longest: Lifespan, now: SiteTime) {
        let is_recent = |at: SiteTime| now < at.plus(longest.0);
        let mut copies = self.copies.lock();
        copies.retain(|_, copy| copy.used_at.is_some_and(is_recent));
        for copy in copies.values_mut() {
            copy.marks.retain(|_, mark| is_recent(mark.moved_at));
        }
        copies.shrink_to_fit();
    }
}

fn parse(mark: &str) -> Option<Mark> {
    let (message, moved_at) = mark.split_once(' ')?;
    Some(Mark {
        message: MessageId(message.parse().ok()?),
        moved_at: SiteTime(moved_at.parse().ok()?),
    })
}
