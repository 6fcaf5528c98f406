//! Presence in this process's memory.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::{HashMap, HashSet, HashSetExt};

pub(super) use super::super::outbox::PRESENT_FOR;
use super::super::rooms::Room;
use crate::domain::{RoomId, SiteTime, UserId};

/// When the page of each room was last requested for each person.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rooms: Mutex<HashMap<RoomId, HashMap<UserId, SiteTime>>>,
}

impl Seen {
    pub(super) fn mark(&self, room: RoomId, user: UserId, now: SiteTime) {
        self.lock().entry(room).or_default().insert(user, now);
    }

    /// Marks `user` as present if that was not done in this `span` before. Returns whether it was not.
    pub(super) fn mark_after(
        &self,
        room: RoomId,
        user: UserId,
        now: SiteTime,
        span: Duration,
    ) -> bool {
        let mut rooms = self.lock();
        let people = rooms.entry(room).or_default();
        let is_due = people.get(&user).is_none_or(|seen| seen.plus(span) <= now);
        if is_due {
            people.insert(user, now);
        }
        is_due
    }

    /// Lets nobody have been marked after `latest`.
    pub(super) fn move_back_to(&self, latest: SiteTime) {
        let mut rooms = self.lock();
        let marks = rooms.values_mut().flat_map(HashMap::values_mut);
        for seen in marks {
            *seen = (*seen).min(latest);
        }
    }

    pub(super) fn count(&self, room: &Room, now: SiteTime) -> usize {
        let is_present = |(person, seen): &(&UserId, &SiteTime)| {
            room.role_of(**person).is_some() && now < seen.plus(PRESENT_FOR)
        };
        self.lock()
            .get(&room.id)
            .map_or(0, |people| people.iter().filter(is_present).count())
    }

    pub(super) fn rooms_of(&self, user: UserId) -> Vec<RoomId> {
        let rooms = self.lock();
        let theirs = rooms
            .iter()
            .filter(|(_, people)| people.contains_key(&user));
        theirs.map(|(room, _)| *room).collect()
    }

    pub(super) fn people(&self, room: RoomId, now: SiteTime) -> HashSet<UserId> {
        let is_present = |(_, seen): &(&UserId, &SiteTime)| now < seen.plus(PRESENT_FOR);
        let mut present = HashSet::new();
        if let Some(people) = self.lock().get(&room) {
            present.reserve(people.len());
            present.extend(people.iter().filter(is_present).map(|(&user, _)| user));
        }
        present
    }

    pub(super) fn sweep(&self, now: SiteTime) {
        let mut rooms = self.lock();
        rooms.retain(|_, people| {
            people.retain(|_, seen| now < seen.plus(PRESENT_FOR));
            !people.is_empty()
        });
        rooms.shrink_to_fit();
    }

    pub(super) fn size(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, HashMap<UserId, SiteTime>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
