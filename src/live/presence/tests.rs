//! Presence, wherever it is held.

use super::Presence;
use super::memory::PRESENT_FOR;
use crate::domain::{RoomId, SiteTime, UserId};

const NOW: SiteTime = SiteTime(1_795_352_700_000);
const TEA: RoomId = RoomId(1);
const ADA: UserId = UserId(1);

#[tokio::test]
async fn a_person_is_present_for_a_minute_after_their_last_request() {
    let presence = Presence::in_memory();
    let _ = presence.mark_seen(TEA, ADA, NOW);
    let last_moment = SiteTime(NOW.plus(PRESENT_FOR).0 - 1);

    assert_eq!(
        presence.people(TEA, last_moment).await,
        Ok([ADA].into_iter().collect())
    );
    let nobody = Ok([].into_iter().collect());
    assert_eq!(presence.people(TEA, NOW.plus(PRESENT_FOR)).await, nobody);
    assert_eq!(presence.people(RoomId(2), NOW).await, nobody);
}

#[test]
fn sweeping_frees_people_who_are_no_longer_present() {
    let presence = Presence::in_memory();
    let _ = presence.mark_seen(TEA, ADA, NOW);
    assert_eq!(presence.rooms_of(ADA), [TEA]);

    presence.sweep(NOW.plus(PRESENT_FOR));

    assert_eq!(presence.size(), 0);
}
