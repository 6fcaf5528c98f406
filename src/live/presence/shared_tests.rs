//! Presence that two processes share.

use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashSet};

use super::super::outbox::{Outbox, SharedOutbox, Ticket};
use super::super::redis::test_redis::{TestRedis, link_to, site_clock};
use super::super::redis::{Link, LinkState};
use super::super::rooms::{ListEntry, Room};
use super::Presence;
use super::memory::PRESENT_FOR;
use crate::clock::{Clock, FixedClock};
use crate::domain::{Lifespan, Posting, Role, RoomId, SiteTime, SlowMode, Timestamp, UserId};

const TEA: RoomId = RoomId(1);
const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const DAY: Lifespan = Lifespan(Duration::from_secs(86_400));
/// Long enough for a busy machine, in tests that cut no link.
const PATIENT: &[&str] = &["--link-timeout", "30s"];

struct Process {
    link: Arc<Link>,
    presence: Presence,
    outbox: Outbox,
}

impl Process {
    async fn start(redis: &TestRedis, clock: &Arc<FixedClock>) -> Self {
        let clock = site_clock(clock);
        let linked = link_to(redis.port(), PATIENT, clock.clone()).await;
        let (link, driver) = linked.unwrap();
        tokio::spawn(driver.run());
        let shared = Arc::new(SharedOutbox::new(Arc::clone(&link), clock, DAY));
        tokio::spawn(Arc::clone(&shared).run());
        Self {
            presence: Presence::on_redis(Arc::clone(&link), Arc::clone(&shared)),
            outbox: Outbox::on_redis(shared),
            link,
        }
    }

    async fn mark_seen(&self, room: RoomId, user: UserId, now: SiteTime) {
        let told = self.presence.mark_seen(room, user, now);
        self.outbox.written(told).await;
    }

    async fn people(&self, room: RoomId, now: SiteTime) -> HashSet<UserId> {
        self.presence.people(room, now).await.unwrap()
    }
}

fn people<const N: usize>(people: [UserId; N]) -> HashSet<UserId> {
    people.into_iter().collect()
}

fn room(id: RoomId, members: &[UserId]) -> Arc<Room> {
    Arc::new(Room {
        id,
        version: 0,
        name: "Tea".to_owned(),
        is_private: false,
        description: String::new(),
        lifespan: DAY,
        slow_mode: SlowMode::OFF,
        language: None,
        posting: Posting::Everyone,
        created_at: Timestamp(0),
        owner: ADA,
        members: Vec::new(),
        roles: members
            .iter()
            .map(|&user| (user, Role::Member))
            .collect::<HashMap<_, _>>(),
        entry: ListEntry::default(),
    })
}

#[tokio::test]
async fn who_was_seen_by_one_process_is_present_at_the_other_for_a_minute() {
    let redis = TestRedis::start();
    let clock = Arc::new(FixedClock::at(Timestamp(1_795_352_700_000)));
    let one = Process::start(&redis, &clock).await;
    let other = Process::start(&redis, &clock).await;
    let now = clock.site_time();

    one.mark_seen(TEA, ADA, now).await;
    other.mark_seen(TEA, BOB, now.plus(PRESENT_FOR / 2)).await;
    one.mark_seen(RoomId(2), BOB, now).await;

    for process in [&one, &other] {
        let last_moment = SiteTime(now.plus(PRESENT_FOR).0 - 1);
        let both = people([ADA, BOB]);
        assert_eq!(process.people(TEA, last_moment).await, both);
        let later = process.people(TEA, now.plus(PRESENT_FOR)).await;
        assert_eq!(later, people([BOB]));
    }
    // Each process wakes the polls that it has.
    assert_eq!(one.presence.rooms_of(ADA), [TEA]);
    assert!(other.presence.rooms_of(ADA).is_empty());
}

#[tokio::test]
async fn only_members_who_are_present_are_counted() {
    let redis = TestRedis::start();
    let clock = Arc::new(FixedClock::at(Timestamp(1_795_352_700_000)));
    let process = Process::start(&redis, &clock).await;
    let now = clock.site_time();
    process.mark_seen(TEA, ADA, now).await;
    process.mark_seen(TEA, BOB, now).await;

    let rooms = [room(TEA, &[ADA, UserId(3)]), room(RoomId(2), &[ADA])];
    assert_eq!(process.presence.counts(&rooms, now).await, Ok(vec![1, 0]));
    assert_eq!(process.presence.counts(&[], now).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_page_that_polls_all_the_time_tells_nothing_new() {
    let redis = TestRedis::start();
    let clock = Arc::new(FixedClock::at(Timestamp(1_795_352_700_000)));
    let process = Process::start(&redis, &clock).await;
    let now = clock.site_time();
    process.mark_seen(TEA, ADA, now).await;

    assert_eq!(process.presence.mark_seen(TEA, ADA, now), Ticket::NONE);
    let later = now.plus(Duration::from_secs(1));
    assert_ne!(process.presence.mark_seen(TEA, ADA, later), Ticket::NONE);
}

#[tokio::test]
async fn a_redis_that_lost_its_memory_is_told_of_everybody_again() {
    let mut redis = TestRedis::start();
    let clock = Arc::new(FixedClock::at(Timestamp(1_795_352_700_000)));
    let process = Process::start(&redis, &clock).await;
    let now = clock.site_time();
    process.mark_seen(TEA, ADA, now).await;
    let life = process.link.session().unwrap().life;
    redis.kill();
    redis.start_again();
    let is_next = |state: &LinkState| matches!(state, LinkState::Up(next) if next.life != life);
    process.link.states().wait_for(is_next).await.unwrap();

    assert!(process.people(TEA, now).await.is_empty());
    process.mark_seen(TEA, ADA, now).await;

    assert_eq!(process.people(TEA, now).await, people([ADA]));
    assert_eq!(process.presence.mark_seen(TEA, ADA, now), Ticket::NONE);
}
