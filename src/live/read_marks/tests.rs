//! Read marks, wherever they are held.

use std::time::Duration;

use super::ReadMarks;
use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

const NOW: SiteTime = SiteTime(1_795_352_700_000);
const ADA: UserId = UserId(1);
const TEA: RoomId = RoomId(1);

#[test]
fn a_mark_belongs_to_a_person_and_room_and_only_moves_forward() {
    let marks = ReadMarks::in_memory();
    let _ = marks.mark_read(ADA, TEA, MessageId(7), NOW);
    let _ = marks.mark_read(ADA, TEA, MessageId(5), NOW);

    assert_eq!(marks.find(ADA, TEA), Some(MessageId(7)));
    assert_eq!(marks.find(UserId(2), TEA), None);
    assert_eq!(marks.find(ADA, RoomId(2)), None);
}

#[test]
fn marks_that_moved_are_found_by_their_person_and_time() {
    let marks = ReadMarks::in_memory();
    let later = SiteTime(NOW.0 + 1);
    for room in [TEA, RoomId(2)] {
        let _ = marks.mark_read(ADA, room, MessageId(7), NOW);
        let _ = marks.mark_read(UserId(2), room, MessageId(9), later);
    }
    let _ = marks.mark_read(ADA, RoomId(2), MessageId(8), later);
    let _ = marks.mark_read(ADA, TEA, MessageId(7), later);

    assert_eq!(marks.moved_since(ADA, NOW), [TEA, RoomId(2)]);
    assert_eq!(marks.moved_since(ADA, later), [RoomId(2)]);
    assert!(marks.moved_since(UserId(3), NOW).is_empty());
}

#[test]
fn a_mark_is_freed_when_all_messages_up_to_it_have_expired() {
    let marks = ReadMarks::in_memory();
    let day = Lifespan(Duration::from_secs(86_400));
    let _ = marks.mark_read(ADA, TEA, MessageId(7), NOW);

    marks.sweep(day, SiteTime(NOW.plus(day.0).0 - 1));
    assert!(marks.find(ADA, TEA).is_some());
    marks.sweep(day, NOW.plus(day.0));
    assert!(marks.find(ADA, TEA).is_none());
}
