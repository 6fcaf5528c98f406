//! When each room's messages last changed, for polls that tell how many messages are new in a reader's other rooms.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use foldhash::HashMap;

use super::state::NEVER;
use crate::domain::{RoomId, SiteTime};

/// When the messages of one room last changed, and when they will next expire. Read without any lock.
#[derive(Debug)]
pub struct Pulse {
    changed_at: AtomicI64,
    first_deadline: AtomicI64,
}

impl Pulse {
    fn new(now: SiteTime) -> Self {
        Self {
            changed_at: AtomicI64::new(now.0),
            first_deadline: AtomicI64::new(NEVER.0),
        }
    }

    /// Returns whether the room's messages may have changed between `since` and `now`, by an event or because some
    /// have expired. A change may become visible here a moment after its time.
    #[must_use]
    pub fn has_changed(&self, since: SiteTime, now: SiteTime) -> bool {
        since.0 <= self.changed_at.load(Ordering::Acquire)
            || self.first_deadline.load(Ordering::Acquire) <= now.0
    }
}

/// How many changes are remembered.
const REMEMBERED: usize = 1_024;

/// The pulses of the rooms in somebody's held list of rooms.
#[derive(Default)]
pub(super) struct Pulses {
    rooms: HashMap<RoomId, Arc<Pulse>>,
    /// The rooms that changed and when, oldest first, so that nobody has to look at the pulses of very many rooms.
    recent: VecDeque<(SiteTime, RoomId)>,
    /// When the latest change was that `recent` does not tell of.
    forgotten: Option<SiteTime>,
    /// The rooms whose messages expire, the soonest first.
    by_deadline: BTreeSet<(SiteTime, RoomId)>,
}

impl Pulses {
    /// Returns the pulse of a room. A new pulse says that the room has changed at `now`, since nobody knows when it
    /// did.
    pub(super) fn of(&mut self, room: RoomId, now: SiteTime) -> Arc<Pulse> {
        if let Some(pulse) = self.rooms.get(&room) {
            return Arc::clone(pulse);
        }
        let pulse = Arc::new(Pulse::new(now));
        self.rooms.insert(room, Arc::clone(&pulse));
        self.remember(room, now);
        pulse
    }

    /// Notes that the messages of a room were looked at, and whether they changed at `at`.
    pub(super) fn note(
        &mut self,
        room: RoomId,
        at: SiteTime,
        has_changed: bool,
        first_deadline: SiteTime,
    ) {
        let Some(pulse) = self.rooms.get(&room) else {
            return;
        };
        let before = pulse
            .first_deadline
            .swap(first_deadline.0, Ordering::AcqRel);
        // The deadline says so until it is replaced, and not every reader has heard of it by then.
        let has_expired = before <= at.0 && before != first_deadline.0;
        let has_changed = has_changed || has_expired;
        if has_changed {
            pulse.changed_at.fetch_max(at.0, Ordering::Release);
        }
        if before != first_deadline.0 {
            self.by_deadline.remove(&(SiteTime(before), room));
            if first_deadline != NEVER {
                self.by_deadline.insert((first_deadline, room));
            }
        }
        if has_changed {
            self.remember(room, at);
        }
    }

    /// Notes that the messages of all rooms may have changed at `at`.
    pub(super) fn note_all(&mut self, at: SiteTime) {
        for pulse in self.rooms.values() {
            pulse.changed_at.fetch_max(at.0, Ordering::Release);
        }
        self.recent.clear();
        self.forgotten = self.forgotten.max(Some(at));
    }

    /// Returns the rooms for whose pulses [`Pulse::has_changed`] is true, some of them more than once, or `None` if
    /// that is not known or if there are more than `most`. Takes as long as there are such rooms, however many others
    /// there are.
    pub(super) fn changed(
        &self,
        since: SiteTime,
        now: SiteTime,
        most: usize,
    ) -> Option<Vec<RoomId>> {
        if self.forgotten.is_some_and(|forgotten| since <= forgotten) {
            return None;
        }
        let newest_first = self.recent.iter().rev();
        let recent = newest_first.take_while(|(at, _)| since <= *at);
        let expired = self.by_deadline.range(..=(now, RoomId(i64::MAX)));
        let rooms = recent.chain(expired).map(|(_, room)| *room);
        let rooms: Vec<RoomId> = rooms.take(most.saturating_add(1)).collect();
        (rooms.len() <= most).then_some(rooms)
    }

    /// Returns whether a list of rooms holds the pulse of this room.
    pub(super) fn is_held(&self, room: RoomId) -> bool {
        let pulse = self.rooms.get(&room);
        pulse.is_some_and(|pulse| Arc::strong_count(pulse) > 1)
    }

    /// Frees the pulses that no list of rooms holds.
    pub(super) fn sweep(&mut self) {
        self.rooms.retain(|_, pulse| Arc::strong_count(pulse) > 1);
        self.rooms.shrink_to_fit();
        self.by_deadline
            .retain(|(_, room)| self.rooms.contains_key(room));
    }

    fn remember(&mut self, room: RoomId, at: SiteTime) {
        let latest = self.recent.back_mut();
        // The rooms' times may differ by a moment, and searches end at the first change that is too old.
        let at = latest.as_ref().map_or(at, |(latest, _)| at.max(*latest));
        match latest {
            Some((latest, same)) if *same == room => *latest = at,
            _ => self.recent.push_back((at, room)),
        }
        if self.recent.len() > REMEMBERED
            && let Some((forgotten, _)) = self.recent.pop_front()
        {
            self.forgotten = self.forgotten.max(Some(forgotten));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ROOMS: i64 = 4;

    #[derive(Debug, Clone)]
    enum Step {
        Hold(RoomId),
        Note(RoomId, bool, SiteTime),
        NoteAll,
        Sweep,
    }

    fn step() -> impl Strategy<Value = Step> {
        let room = || (1..=ROOMS).prop_map(RoomId);
        let deadline = prop_oneof![Just(NEVER), (0..60_i64).prop_map(SiteTime)];
        prop_oneof![
            2 => room().prop_map(Step::Hold),
            8 => (room(), any::<bool>(), deadline)
                .prop_map(|(room, has_changed, deadline)| Step::Note(room, has_changed, deadline)),
            1 => Just(Step::NoteAll),
            1 => Just(Step::Sweep),
        ]
    }

    proptest! {
        #[test]
        fn the_changed_rooms_are_those_whose_pulses_say_so(
            steps in vec(step(), 0..40),
            ago in 0..40_i64,
        ) {
            let mut pulses = Pulses::default();
            let mut held = HashMap::default();
            let mut now = SiteTime(0);
            for (at, step) in (1..).zip(steps) {
                now = SiteTime(at);
                match step {
                    Step::Hold(room) => drop(held.insert(room, pulses.of(room, now))),
                    Step::Note(room, has_changed, deadline) => {
                        pulses.note(room, now, has_changed, deadline);
                    }
                    Step::NoteAll => pulses.note_all(now),
                    Step::Sweep => {
                        held.remove(&RoomId(1));
                        pulses.sweep();
                    }
                }
            }
            let since = SiteTime(now.0 - ago);
            let says_so = |(_, pulse): &(&RoomId, &Arc<Pulse>)| pulse.has_changed(since, now);
            let mut expected: Vec<RoomId> =
                held.iter().filter(says_so).map(|(room, _)| *room).collect();
            expected.sort_unstable();

            if let Some(mut changed) = pulses.changed(since, now, usize::MAX) {
                changed.retain(|room| held.contains_key(room));
                changed.sort_unstable();
                changed.dedup();
                prop_assert_eq!(changed, expected);
            }
        }
    }

    #[test]
    fn messages_that_have_expired_are_told_to_everybody_who_has_not_heard_of_it() {
        let mut pulses = Pulses::default();
        let room = RoomId(1);
        let pulse = pulses.of(room, SiteTime(0));
        pulses.note(room, SiteTime(1), true, SiteTime(10));

        // Somebody looks at the room after the message is gone.
        pulses.note(room, SiteTime(12), false, NEVER);

        let now = SiteTime(20);
        assert!(pulse.has_changed(SiteTime(5), now));
        assert_eq!(pulses.changed(SiteTime(5), now, 8), Some(vec![room]));
        assert!(!pulse.has_changed(SiteTime(13), now));
    }

    #[test]
    fn changes_are_told_as_far_back_as_they_are_remembered() {
        let mut pulses = Pulses::default();
        let rooms = (0_i64..).take(REMEMBERED + 1);
        let held: Vec<_> = rooms
            .map(|room| pulses.of(RoomId(room), SiteTime(room)))
            .collect();
        let now = SiteTime(i64::try_from(held.len()).unwrap());

        assert_eq!(pulses.changed(SiteTime(0), now, usize::MAX), None);
        let all_but_one = pulses.changed(SiteTime(1), now, usize::MAX).unwrap();
        assert_eq!(all_but_one.len(), REMEMBERED);
        assert_eq!(
            pulses.changed(SiteTime(1), now, REMEMBERED),
            Some(all_but_one)
        );
        assert_eq!(pulses.changed(SiteTime(1), now, REMEMBERED - 1), None);
        assert_eq!(pulses.changed(now, now, 0), Some(Vec::new()));
    }

    #[test]
    fn a_change_is_told_even_if_its_time_is_before_that_of_an_earlier_one() {
        let mut pulses = Pulses::default();
        let _held = [
            pulses.of(RoomId(1), SiteTime(0)),
            pulses.of(RoomId(2), SiteTime(0)),
        ];

        pulses.note(RoomId(1), SiteTime(5), true, NEVER);
        pulses.note(RoomId(2), SiteTime(4), true, NEVER);

        let changed = pulses.changed(SiteTime(5), SiteTime(6), 8).unwrap();
        assert_eq!(changed, [RoomId(2), RoomId(1)]);
    }
}
