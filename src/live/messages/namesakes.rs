//! The numbers that tell messages of one author with the same first words apart.

use foldhash::HashMap;

/// The live messages of a room by their [`lead`](super::message::Message::lead), counted, so that numbering the next
/// one takes as long in a full room as in an empty one.
#[derive(Default)]
pub(super) struct Namesakes {
    by_lead: HashMap<u64, Group>,
}

/// The bytes that a message takes here, if no other has its lead: the table is two thirds full on average.
pub(super) const BYTES: usize = size_of::<(u64, Group)>() * 3 / 2;

/// The messages with one lead, while any of them is in the room.
struct Group {
    messages: u32,
    /// The latest minute in which one was sent, and the greatest number in it.
    minute: i64,
    in_minute: u32,
    /// The greatest number in any minute.
    highest: u32,
}

impl Namesakes {
    /// Adds a message that is sent in `minute` by the wall clock. Returns its
    /// [`namesake`](super::message::Message::namesake): no other message with the same lead and minute has this number.
    pub(super) fn add(&mut self, lead: u64, minute: i64) -> u32 {
        let Some(group) = self.by_lead.get_mut(&lead) else {
            // Alone with its words, it is not numbered, and counts as the first of its minute.
            let first = Group {
                messages: 1,
                minute,
                in_minute: 1,
                highest: 1,
            };
            self.by_lead.insert(lead, first);
            return 0;
        };
        group.messages += 1;
        if minute < group.minute {
            // The wall clock was set back. Which numbers that minute has is not known.
            group.highest += 1;
            return group.highest;
        }
        group.in_minute = if minute == group.minute {
            group.in_minute + 1
        } else {
            1
        };
        group.minute = minute;
        group.highest = group.highest.max(group.in_minute);
        group.in_minute
    }

    /// Removes a message.
    pub(super) fn remove(&mut self, lead: u64) {
        if let Some(group) = self.by_lead.get_mut(&lead) {
            group.messages -= 1;
            if group.messages == 0 {
                self.by_lead.remove(&lead);
            }
        }
    }

    /// Frees the memory of removed messages.
    pub(super) fn shrink(&mut self) {
        self.by_lead.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_numbered_among_those_of_its_minute() {
        let mut namesakes = Namesakes::default();

        let numbers = [5, 5, 5, 6, 6].map(|minute| namesakes.add(1, minute));

        assert_eq!(numbers, [0, 2, 3, 1, 2]);
        assert_eq!(namesakes.add(2, 6), 0, "other words");
    }

    #[test]
    fn a_message_is_not_numbered_once_all_others_went() {
        let mut namesakes = Namesakes::default();
        namesakes.add(1, 5);
        namesakes.add(1, 5);
        namesakes.remove(1);
        assert_eq!(namesakes.add(1, 5), 3);

        namesakes.remove(1);
        namesakes.remove(1);

        assert_eq!(namesakes.add(1, 5), 0);
    }

    #[test]
    fn no_number_is_given_twice_in_a_minute_when_the_clock_is_set_back() {
        let mut namesakes = Namesakes::default();
        let mut given = Vec::new();
        for minute in [9, 9, 9, 10, 9, 9, 10, 8, 11, 9, 10, 11] {
            given.push((minute, namesakes.add(1, minute).max(1)));
        }

        let count = given.len();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), count, "{given:?}");
    }
}
