//! Read marks that two processes share.

use std::sync::Arc;
use std::time::Duration;

use super::super::outbox::{Outbox, SharedOutbox};
use super::super::redis::test_redis::{Proxy, TestRedis, link_to, system_clock};
use super::super::redis::{Link, LinkState};
use super::ReadMarks;
use crate::domain::{Lifespan, MessageId, RoomId, SiteTime, UserId};

const NOW: SiteTime = SiteTime(1_795_352_700_000);
const ADA: UserId = UserId(1);
const TEA: RoomId = RoomId(1);
const DAY: Lifespan = Lifespan(Duration::from_secs(86_400));
/// Long enough for a busy machine, in tests that cut no link.
const PATIENT: &[&str] = &["--link-timeout", "30s"];

struct Process {
    link: Arc<Link>,
    outbox: Outbox,
    marks: ReadMarks,
}

impl Process {
    async fn start(redis: &TestRedis) -> Self {
        Self::start_at(redis.port(), PATIENT).await
    }

    async fn start_at(port: u16, words: &[&str]) -> Self {
        let clock = system_clock();
        let linked = link_to(port, words, clock.clone()).await;
        let (link, driver) = linked.unwrap();
        tokio::spawn(driver.run());
        let shared = Arc::new(SharedOutbox::new(Arc::clone(&link), clock, DAY));
        tokio::spawn(Arc::clone(&shared).run());
        let marks = ReadMarks::on_redis(Arc::clone(&link), Arc::clone(&shared));
        Self {
            marks: marks.await.unwrap(),
            outbox: Outbox::on_redis(shared),
            link,
        }
    }

    async fn mark_read(&self, user: UserId, room: RoomId, message: u64) {
        let told = self.marks.mark_read(user, room, MessageId(message), NOW);
        self.outbox.written(told).await;
    }

    async fn reach(&self, is_meant: impl Fn(&LinkState) -> bool) {
        self.link.states().wait_for(is_meant).await.unwrap();
    }

    async fn find(&self, user: UserId, room: RoomId) -> Option<u64> {
        self.marks.refresh(user, NOW).await.unwrap();
        self.marks.find(user, room).map(|message| message.0)
    }
}

#[tokio::test]
async fn a_mark_of_one_process_is_known_to_the_other_and_only_moves_forward() {
    let redis = TestRedis::start();
    let (one, other) = (Process::start(&redis).await, Process::start(&redis).await);

    one.mark_read(ADA, TEA, 7).await;
    assert_eq!(other.find(ADA, TEA).await, Some(7));
    other.mark_read(ADA, TEA, 9).await;
    one.mark_read(ADA, TEA, 8).await;

    assert_eq!(one.find(ADA, TEA).await, Some(9));
    let third = Process::start(&redis).await;
    assert_eq!(third.find(ADA, TEA).await, Some(9));
    assert_eq!(third.find(ADA, RoomId(2)).await, None);
    assert_eq!(third.find(UserId(2), TEA).await, None);
    assert_eq!(third.marks.moved_since(ADA, NOW), [TEA]);
    let later = SiteTime(NOW.0 + 1);
    assert!(third.marks.moved_since(ADA, later).is_empty());
}

#[tokio::test]
async fn a_loaded_copy_follows_the_marks_of_other_processes_without_a_round_trip() {
    let redis = TestRedis::start();
    let (one, other) = (Process::start(&redis).await, Process::start(&redis).await);
    other.marks.load(ADA, NOW).await.unwrap();
    let before = commands(&redis).await;

    one.mark_read(ADA, TEA, 7).await;
    while other.marks.find(ADA, TEA).is_none() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        other.marks.load(ADA, NOW).await.unwrap();
    }

    assert_eq!(other.marks.moved_since(ADA, NOW), [TEA]);
    assert_eq!(commands(&redis).await, before);
}

/// Counts how often the marks of a person were read.
async fn commands(redis: &TestRedis) -> String {
    let mut connection = redis.connect().await;
    let mut info = redis::cmd("INFO");
    info.arg("commandstats");
    let info: String = info.query_async(&mut connection).await.unwrap();
    let line = info.lines().find(|line| line.contains("cmdstat_hgetall"));
    let calls = line.and_then(|line| line.split(',').next());
    calls.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn marks_of_a_redis_that_lost_its_memory_are_forgotten() {
    let mut redis = TestRedis::start();
    let process = Process::start(&redis).await;
    process.mark_read(ADA, TEA, 7).await;
    let mut states = process.link.states();
    let first = *states.borrow_and_update();
    redis.kill();
    redis.start_again();
    let is_next = |state: &LinkState| *state != first && *state != LinkState::Down;
    states.wait_for(is_next).await.unwrap();

    // In its new life, Redis gives smaller numbers to messages.
    assert_eq!(process.find(ADA, TEA).await, None);
    process.mark_read(ADA, TEA, 3).await;
    assert_eq!(process.find(ADA, TEA).await, Some(3));
}

#[tokio::test]
async fn processes_agree_on_the_marks_of_a_redis_that_lost_its_memory() {
    let mut redis = TestRedis::start();
    let (one, other) = (Process::start(&redis).await, Process::start(&redis).await);
    one.mark_read(ADA, TEA, 7).await;
    assert_eq!(other.find(ADA, TEA).await, Some(7));
    let life = other.link.session().unwrap().life;
    redis.kill();
    redis.start_again();
    let is_next = |state: &LinkState| matches!(state, LinkState::Up(next) if next.life != life);

    // Before the other process has looked at the marks again, it hears of one of the new life.
    one.reach(is_next).await;
    other.reach(is_next).await;
    one.mark_read(ADA, TEA, 3).await;
    other.marks.load(ADA, NOW).await.unwrap();

    assert_eq!(other.marks.find(ADA, TEA), Some(MessageId(3)));
    other.mark_read(ADA, TEA, 4).await;
    assert_eq!(one.find(ADA, TEA).await, Some(4));
}

#[tokio::test]
async fn a_mark_that_was_moved_during_a_cut_is_known_to_the_others_after_it() {
    let redis = TestRedis::start();
    let proxy = Proxy::to(redis.port()).await;
    let cut = Process::start_at(proxy.port, &["--link-timeout", "500ms"]).await;
    let other = Process::start(&redis).await;
    cut.mark_read(ADA, TEA, 7).await;

    proxy.cut();
    // The link counts as up for a moment.
    cut.mark_read(ADA, TEA, 8).await;
    cut.reach(|state| *state == LinkState::Down).await;
    assert_eq!(other.find(ADA, TEA).await, Some(7));
    proxy.mend();

    while other.find(ADA, TEA).await != Some(8) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn marks_of_which_all_messages_have_expired_are_freed_though_their_reader_is_active() {
    let redis = TestRedis::start();
    let one = Process::start(&redis).await;
    let cake = RoomId(2);
    let later = NOW.plus(DAY.0);
    one.mark_read(ADA, TEA, 7).await;
    one.marks.load(ADA, later).await.unwrap();
    let told = one.marks.mark_read(ADA, cake, MessageId(8), later);
    one.outbox.written(told).await;

    one.marks.sweep(DAY, later);

    assert_eq!(one.marks.find(ADA, TEA), None);
    assert_eq!(one.marks.find(ADA, cake), Some(MessageId(8)));
}
