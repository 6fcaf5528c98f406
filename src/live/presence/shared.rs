//! Presence in Redis: a sorted set for each room, with the time at which each person was last seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::HashSet;
use redis::{Cmd, cmd, pipe};

use super::super::outbox::{SharedOutbox, Ticket};
use super::super::redis::{Link, Unavailable};
use super::super::rooms::Room;
use super::memory::{PRESENT_FOR, Seen};
use crate::domain::{RoomId, SiteTime, UserId};

/// What was told is told again after this time. A page that polls all the time need not tell it each time.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

/// Presence that all processes of a site share.
pub(super) struct SharedPresence {
    link: Arc<Link>,
    outbox: Arc<SharedOutbox>,
    /// Whom this process has seen, and when it last told so.
    pub(super) told: Seen,
    /// The life of Redis's memory that was last told anything, or 0.
    life: AtomicU64,
}

impl SharedPresence {
    pub(super) fn new(link: Arc<Link>, outbox: Arc<SharedOutbox>) -> Self {
        Self {
            link,
            outbox,
            told: Seen::default(),
            life: AtomicU64::new(0),
        }
    }

    pub(super) fn mark_seen(&self, room: RoomId, user: UserId, now: SiteTime) -> Ticket {
        if let Some(life) = self.link.open_life()
            && self.life.swap(life, Ordering::AcqRel) != life
        {
            // A Redis that lost its memory knows nothing of what was told before.
            self.told.move_back_to(now.minus(TOLD_AGAIN));
        }
        if self.told.mark_after(room, user, now, TOLD_AGAIN) {
            self.outbox.put_seen(room, user, now)
        } else {
            Ticket::NONE
        }
    }

    pub(super) async fn counts(
        &self,
        rooms: &[Arc<Room>],
        now: SiteTime,
    ) -> Result<Vec<usize>, Unavailable> {
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = pipe();
        for room in rooms {
            pipeline.add_command(self.range(room.id, now));
        }
        let people: Vec<Vec<i64>> = self.link.run_all(&pipeline).await?;
        let members = |(room, people): (&Arc<Room>, Vec<i64>)| {
            let is_member = |person: &&i64| room.role_of(UserId(**person)).is_some();
            people.iter().filter(is_member).count()
        };
        Ok(rooms.iter().zip(people).map(members).collect())
    }

    pub(super) async fn people(
        &self,
        room: RoomId,
        now: SiteTime,
    ) -> Result<HashSet<UserId>, Unavailable> {
        let people: Vec<i64> = self.link.run(&self.range(room, now)).await?;
        Ok(people.into_iter().map(UserId).collect())
    }

    /// Returns the command that asks for the people who are present.
    fn range(&self, room: RoomId, now: SiteTime) -> Cmd {
        let mut range = cmd("ZRANGEBYSCORE");
        range.arg(self.link.keys().room(room, "here"));
        range.arg(format!("({}", now.minus(PRESENT_FOR).0));
        range.arg("+inf");
        range
    }
}
