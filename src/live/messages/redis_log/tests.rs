use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis::{FromRedisValue, cmd};

use super::followed::{Followed, Opening};
use super::wire::Entry;
use crate::clock::{Clock, FixedClock};
use crate::domain::{Lifespan, MessageId, Reason, RoomId, SiteTime, Timestamp, UserId};
use crate::live::ended_sessions::EndedSessions;
use crate::live::messages::tests::{HOUR, START, TEA, is_woken, new_message, renderer};
use crate::live::messages::{
    Activity, Appended, Capacity, EVERY_VERSION, Ignored, Messages, NewMessage, Quota, Reported,
    Since, Wish,
};
use crate::live::redis::test_redis::{Proxy, TestRedis, link_to, site_clock};
use crate::live::redis::{Link, LinkState, Session, Unavailable};
use crate::security::tokens::Token;

/// Long enough for a busy machine, in tests that cut no link.
pub(super) const PATIENT: &[&str] = &["--link-timeout", "30s"];
const QUICK: &[&str] = &["--link-timeout", "2s"];
const VERSION: i64 = 1;
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// An hour after the start, when messages of the start expire.
pub(super) const HOUR_ON: SiteTime = SiteTime(START.0 + 3_600_000);
/// A text that is found wherever it is.
const MARKER: &str = "marmalade-on-the-ceiling";

/// What one process has.
pub(super) struct Process {
    pub(super) messages: Messages,
    link: Arc<Link>,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Process {
    pub(super) async fn start(port: u16, words: &[&str], clock: &Arc<FixedClock>) -> Self {
        Self::with(port, words, clock, 1 << 20).await
    }

    async fn with(port: u16, words: &[&str], clock: &Arc<FixedClock>, bytes: usize) -> Self {
        let capacity = Capacity {
            messages_per_room: 5,
            bytes,
        };
        Self::of(port, words, clock, capacity, HOUR).await
    }

    /// With rooms of this many messages.
    pub(super) async fn holding(port: u16, clock: &Arc<FixedClock>, messages: usize) -> Self {
        let capacity = Capacity {
            messages_per_room: messages,
            bytes: 1 << 30,
        };
        Self::of(port, PATIENT, clock, capacity, HOUR).await
    }

    async fn of(
        port: u16,
        words: &[&str],
        clock: &Arc<FixedClock>,
        capacity: Capacity,
        longest: Duration,
    ) -> Self {
        let clock = site_clock(clock);
        let (link, driver) = link_to(port, words, clock.clone()).await.unwrap();
        let driver = tokio::spawn(driver.run());
        let (longest, key) = (Lifespan(longest), [7; 32]);
        let messages = Messages::on_redis(link.clone(), clock, capacity, longest, &key, renderer());
        Self {
            messages,
            link,
            driver,
        }
    }

    async fn tell_version(&self, version: i64) {
        self.tell_version_of(TEA, version).await;
    }

    pub(super) async fn tell_version_of(&self, room: RoomId, version: i64) {
        let room = self.messages.open(room).await.unwrap();
        room.raise_version(version).await.unwrap();
    }

    async fn append_by(&self, version: i64, new: NewMessage, now: SiteTime) -> Appended {
        self.append_to(TEA, version, new, now).await
    }

    pub(super) async fn append_to(
        &self,
        room: RoomId,
        version: i64,
        new: NewMessage,
        now: SiteTime,
    ) -> Appended {
        let wish = Wish {
            version,
            message: new,
            session: Token::received("").digest(),
            session_ended: &AtomicBool::new(false),
            quota: Quota::UNLIMITED,
        };
        self.messages.append(room, &wish, now).await.unwrap()
    }

    /// Posts a message whose author may post.
    pub(super) async fn post(&self, text: &str, nonce: u8, now: SiteTime) -> MessageId {
        self.tell_version(VERSION).await;
        let new = new_message(1, text, nonce, HOUR);
        let appended = self.append_by(VERSION, new, now).await;
        appended.message().unwrap()
    }

    /// Returns the texts that a page shows.
    pub(super) async fn page(&self, now: SiteTime) -> Result<Vec<String>, Unavailable> {
        self.messages.catch_up(TEA).await?;
        let page = self.messages.page(TEA, None, &Ignored::NOBODY, now).await?;
        let text = |message: &Arc<crate::live::messages::Message>| message.text.as_str().to_owned();
        Ok(page.messages.iter().map(text).collect())
    }

    async fn wait_for(&self, is_meant: impl Fn(LinkState) -> bool) {
        let mut states = self.link.states();
        states.wait_for(|state| is_meant(*state)).await.unwrap();
    }
}

pub(super) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(Timestamp(START.0)))
}

pub(super) async fn two() -> (TestRedis, Process, Process) {
    let (redis, clock) = (TestRedis::start(), clock());
    let one = Process::start(redis.port(), PATIENT, &clock).await;
    let other = Process::start(redis.port(), PATIENT, &clock).await;
    (redis, one, other)
}

pub(super) async fn ask<T: FromRedisValue>(redis: &TestRedis, words: &[&str]) -> T {
    let mut connection = redis.connect().await;
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.unwrap()
}

/// Returns the keys that contain the marker anywhere.
async fn keys_with_marker(redis: &TestRedis) -> Vec<String> {
    let keys: Vec<String> = ask(redis, &["KEYS", "*"]).await;
    let mut found = Vec::new();
    for key in keys {
        // The serialized value, whatever its type is.
        let dump: Vec<u8> = ask(redis, &["DUMP", &key]).await;
        let reads: String = ask(redis, &["TYPE", &key]).await;
        let plain: Vec<u8> = match reads.as_str() {
            "string" => ask(redis, &["GET", &key]).await,
            "hash" => {
                let fields: Vec<Vec<u8>> = ask(redis, &["HGETALL", &key]).await;
                fields.concat()
            }
            _ => dump,
        };
        let has_marker = |bytes: &[u8]| {
            bytes
                .windows(MARKER.len())
                .any(|window| window == MARKER.as_bytes())
        };
        if has_marker(&plain) {
            found.push(key);
        }
    }
    found
}

#[tokio::test]
async fn what_one_process_posts_and_deletes_wakes_and_reaches_the_other() {
    let (_redis, one, other) = two().await;
    let id = one.post("hello", 1, START).await;
    assert_eq!(other.page(START).await.unwrap(), ["hello"]);

    let mut waiting = other.messages.subscribe(TEA).await.unwrap();
    assert!(one.messages.delete(TEA, id, START).await.unwrap());
    waiting.changed().await.unwrap();
    assert_eq!(other.page(START).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_page_goes_on_with_another_process_without_a_reset() {
    let (_redis, one, other) = two().await;
    one.post("first", 1, START).await;
    let nobody = &Ignored::NOBODY;
    let page = one.messages.page(TEA, None, nobody, START).await.unwrap();
    let id = one.post("second", 2, START).await;

    // This process has not heard of the room until now.
    let since = other
        .messages
        .since(TEA, Some(page.cursor), nobody, START)
        .await;
    let Since::News { added, cursor, .. } = since.unwrap() else {
        panic!("reset");
    };
    assert_eq!(added[0].id, id);
    // And this one may not have heard of the second message.
    let again = one.messages.since(TEA, Some(cursor), nobody, START).await;
    assert!(matches!(again, Ok(Since::Nothing(_))));
}

#[tokio::test]
async fn a_message_that_is_sent_to_two_processes_is_posted_once() {
    let (_redis, one, other) = two().await;
    let id = one.post("hello", 1, START).await;

    assert_eq!(other.post("hello", 1, START).await, id);
    let other_text = new_message(1, "bye", 1, HOUR);
    assert_eq!(
        other.append_by(VERSION, other_text, START).await,
        Appended::NonceReused
    );
    assert_eq!(one.page(START).await.unwrap(), ["hello"]);
}

#[tokio::test]
async fn nobody_posts_by_a_right_that_another_process_took_away() {
    let (_redis, one, other) = two().await;
    one.post("hello", 1, START).await;
    other.tell_version(VERSION).await;
    let mut waiting = other.messages.subscribe(TEA).await.unwrap();

    one.messages.raise_version(TEA, VERSION + 1).await.unwrap();

    let new = new_message(1, "too late", 2, HOUR);
    assert_eq!(
        other.append_by(VERSION, new.clone(), START).await,
        Appended::Stale
    );
    // Each process wakes its polls itself when it applies the change.
    for process in [&one, &other] {
        process.messages.settle().await;
    }
    assert!(!is_woken(&mut waiting).await);
    assert!(matches!(
        other.append_by(VERSION + 1, new, START).await,
        Appended::New(_)
    ));
}

#[tokio::test]
async fn nobody_posts_in_a_session_that_another_process_ended() {
    let (_redis, one, other) = two().await;
    other.tell_version(VERSION).await;
    let session = Token::received("").digest();

    let ended = EndedSessions::on_redis(Arc::clone(&one.link));
    ended.tell(session, &[TEA]).await.unwrap();

    let new = new_message(1, "hello", 1, HOUR);
    assert_eq!(
        other.append_by(VERSION, new, START).await,
        Appended::SessionEnded
    );
}

#[tokio::test]
async fn a_text_is_gone_from_redis_when_its_message_goes_and_stays_in_a_report() {
    let (redis, one, _other) = two().await;
    let texts = async || -> Vec<String> { ask(&redis, &["KEYS", "*:text:*"]).await };

    let id = one.post(MARKER, 1, START).await;
    assert_eq!(keys_with_marker(&redis).await.len(), 1);
    let reason = Reason::parse("Marmalade").unwrap();
    let reported = one.messages.report(TEA, id, UserId(2), reason, START).await;
    assert!(reported.is_ok());
    one.messages.delete(TEA, id, START).await.unwrap();
    assert_eq!(texts().await, [""; 0]);
    let kept = keys_with_marker(&redis).await;
    assert!(kept.len() == 1 && kept[0].ends_with(":reports"), "{kept:?}");
    one.messages.close_report(TEA, id, START).await.unwrap();
    assert_eq!(keys_with_marker(&redis).await, [""; 0]);

    // Evicted, cleared, and by an author who is forgotten.
    for nonce in 2..9 {
        one.post(MARKER, nonce, START).await;
    }
    assert_eq!(texts().await.len(), 5);
    one.messages.forget_person(UserId(1), START).await.unwrap();
    assert_eq!(texts().await, [""; 0]);
    one.post(MARKER, 20, START).await;
    one.messages.clear(TEA, EVERY_VERSION, START).await.unwrap();
    one.post(MARKER, 21, START).await;
    one.messages.forget(TEA).await.unwrap();
    assert_eq!(keys_with_marker(&redis).await, [""; 0]);
    assert_eq!(one.messages.bytes().await, Ok(0));
}

#[tokio::test]
async fn expired_texts_of_a_room_that_nobody_follows_are_swept_by_any_process() {
    let redis = TestRedis::start();
    let clock = clock();
    let one = Process::start(redis.port(), PATIENT, &clock).await;
    one.post(MARKER, 1, START).await;
    let later = START.plus(SECOND * 60);
    one.post(MARKER, 2, later).await;
    drop(one);

    let other = Process::start(redis.port(), PATIENT, &clock).await;
    let texts = async || -> Vec<String> { ask(&redis, &["KEYS", "*:text:*"]).await };
    for (now, left) in [
        (SiteTime(START.plus(HOUR).0 - 1), 2),
        (START.plus(HOUR), 1),
        (later.plus(HOUR), 0),
    ] {
        other.messages.sweep(now).await.unwrap();
        assert_eq!(texts().await.len(), left);
    }
    assert_eq!(other.messages.bytes().await, Ok(0));
    let all = |activity: &Activity| activity.newest_first().collect::<Vec<_>>();
    assert_eq!(other.messages.activity(later, all).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_shortened_lifespan_takes_texts_out_of_redis() {
    let (redis, one, other) = two().await;
    one.post(MARKER, 1, START).await;
    other.page(START).await.unwrap();
    let minute = SECOND * 60;

    one.messages
        .shorten(TEA, Lifespan(minute), EVERY_VERSION, START)
        .await
        .unwrap();

    let before = SiteTime(START.plus(minute).0 - 1);
    assert_eq!(other.page(before).await.unwrap(), [MARKER]);
    assert_eq!(other.page(START.plus(minute)).await.unwrap(), [""; 0]);
    other.messages.sweep(START.plus(minute)).await.unwrap();
    assert_eq!(keys_with_marker(&redis).await, [""; 0]);
}

#[tokio::test]
async fn each_process_counts_the_messages_that_it_adds_and_takes_out() {
    let (_redis, one, other) = two().await;
    let later = START.plus(SECOND);
    // A sixth message takes the place of the first.
    for nonce in 1..=6 {
        one.post("hello", nonce, START).await;
    }
    let id = other.post("last", 7, later).await;
    other.messages.delete(TEA, id, later).await.unwrap();
    other.messages.delete(TEA, id, later).await.unwrap();
    let over = START.plus(HOUR);
    one.messages.sweep(over).await.unwrap();
    other.messages.sweep(over).await.unwrap();

    let tally = one.messages.tally();
    let counted = [tally.added, tally.evicted, tally.expired, tally.deleted];
    assert_eq!(counted.map(|amount| amount.messages), [6, 1, 4, 0]);
    assert_eq!(tally.added.bytes, 6 * tally.evicted.bytes);
    let tally = other.messages.tally();
    let counted = [tally.added, tally.evicted, tally.expired, tally.deleted];
    assert_eq!(counted.map(|amount| amount.messages), [1, 1, 0, 1]);
    assert_eq!(tally.added.bytes, tally.deleted.bytes);
}

#[tokio::test]
async fn the_capacity_holds_for_all_processes_together() {
    const CAPACITY: usize = 10_000;
    let (redis, clock) = (TestRedis::start(), clock());
    let one = Process::with(redis.port(), PATIENT, &clock, CAPACITY).await;
    let other = Process::with(redis.port(), PATIENT, &clock, CAPACITY).await;
    for nonce in 0..20 {
        let poster = if nonce % 2 == 0 { &one } else { &other };
        poster.post(&"x".repeat(1_000), nonce, START).await;
        assert!(one.messages.bytes().await.unwrap() <= CAPACITY);
    }
    let shown = one.page(START).await.unwrap();
    assert!(!shown.is_empty() && shown.len() < 5);
    assert_eq!(other.page(START).await.unwrap(), shown);
}

#[tokio::test]
async fn reports_are_the_same_on_all_processes() {
    let (_redis, one, other) = two().await;
    let id = one.post("hello", 1, START).await;
    for (by, reason) in [(2, "Second"), (3, "Third")] {
        let reason = Reason::parse(reason).unwrap();
        let reported = one.messages.report(TEA, id, UserId(by), reason, START);
        assert!(reported.await.is_ok());
    }

    let reports = other.messages.reports(TEA, START).await.unwrap();
    assert_eq!(reports, one.messages.reports(TEA, START).await.unwrap());
    assert_eq!(reports[0].message.text.as_str(), "hello");
    let reasons: Vec<_> = reports[0].reasons().map(Reason::as_str).collect();
    assert_eq!(reasons, ["Second", "Third"]);
    one.messages.forget_person(UserId(2), START).await.unwrap();
    let left = other.messages.reports(TEA, START).await.unwrap();
    let reasons: Vec<_> = left[0].reasons().map(Reason::as_str).collect();
    assert_eq!(reasons, ["Third"]);
    let over = START.plus(HOUR);
    assert_eq!(other.messages.reports(TEA, over).await, Ok(Vec::new()));
}

#[tokio::test]
async fn all_processes_know_the_rooms_with_open_reports() {
    let (redis, one, other) = two().await;
    let reported = async |process: &Process, now| -> Vec<RoomId> {
        let reported = process.messages.reported(now).await.unwrap();
        reported.into_iter().map(|(room, _)| room).collect()
    };
    let report = async |id| {
        let reason = Reason::parse("Rude").unwrap();
        let reported = one.messages.report(TEA, id, UserId(2), reason, START).await;
        assert_eq!(reported, Ok(Reported::Done));
    };
    let id = one.post("hello", 1, START).await;
    assert!(reported(&other, START).await.is_empty());

    report(id).await;
    assert_eq!(reported(&other, START).await, [TEA]);
    other.messages.close_report(TEA, id, START).await.unwrap();
    assert!(reported(&one, START).await.is_empty());

    report(id).await;
    let deadline = START.plus(HOUR);
    let before = SiteTime(deadline.0 - 1);
    assert_eq!(reported(&other, before).await, [TEA]);
    // A report that has expired is not shown, even before it is swept; then nothing is left of it.
    assert!(reported(&other, deadline).await.is_empty());
    other.messages.sweep(deadline).await.unwrap();
    let left: Vec<String> = ask(&redis, &["KEYS", "*:reported"]).await;
    assert_eq!(left, [""; 0]);

    report(one.post("again", 2, START).await).await;
    one.messages.forget(TEA).await.unwrap();
    assert!(reported(&other, START).await.is_empty());
}

#[tokio::test]
async fn a_redis_that_restarts_empty_begins_another_life_in_which_nothing_is_posted_by_old_versions()
 {
    let mut redis = TestRedis::start();
    let clock = clock();
    let one = Process::start(redis.port(), QUICK, &clock).await;
    let id = one.post("hello", 1, START).await;
    let nobody = &Ignored::NOBODY;
    let page = one.messages.page(TEA, None, nobody, START).await.unwrap();
    let handle = one.messages.open(TEA).await.unwrap();
    let mut waiting = one.messages.subscribe(TEA).await.unwrap();

    redis.kill();
    one.wait_for(|state| state == LinkState::Down).await;
    // Whoever waits is woken, and told.
    waiting.changed().await.unwrap();
    assert_eq!(one.page(START).await, Err(Unavailable));
    let since = one.messages.since(TEA, Some(page.cursor), nobody, START);
    assert_eq!(since.await, Err(Unavailable));
    // No Redis starts again within the same millisecond.
    clock.advance(SECOND);
    redis.start_again();
    one.wait_for(|state| state != LinkState::Down).await;

    let new = new_message(1, "again", 2, HOUR);
    assert_eq!(
        one.append_by(VERSION, new.clone(), START).await,
        Appended::Stale
    );
    // This version was read before a greater one may have been lost.
    handle.raise_version(VERSION).await.unwrap();
    assert_eq!(
        one.append_by(VERSION, new.clone(), START).await,
        Appended::Stale
    );
    one.tell_version(VERSION).await;
    let again = one.append_by(VERSION, new, START.plus(SECOND)).await;
    let again = again.message().unwrap();
    assert!(again > id, "an id was given out twice");
    let since = one.messages.since(TEA, Some(page.cursor), nobody, START);
    let Ok(Since::Reset(reset)) = since.await else {
        panic!("the page was not reset");
    };
    assert_eq!(reset.messages.len(), 1);
    assert!(!reset.cursor.is_of_life_of(page.cursor));
}

#[tokio::test]
async fn a_process_that_was_cut_off_serves_nothing_and_then_goes_on_with_what_it_missed() {
    let (redis, clock) = (TestRedis::start(), clock());
    let proxy = Proxy::to(redis.port()).await;
    let cut = Process::start(proxy.port, QUICK, &clock).await;
    let other = Process::start(redis.port(), PATIENT, &clock).await;
    other.post("before", 1, START).await;
    let nobody = &Ignored::NOBODY;
    let page = cut.messages.page(TEA, None, nobody, START).await.unwrap();
    assert_eq!(page.messages.len(), 1);

    proxy.cut();
    cut.wait_for(|state| state == LinkState::Down).await;
    other.post("meanwhile", 2, START).await;
    let since = cut.messages.since(TEA, Some(page.cursor), nobody, START);
    assert_eq!(since.await, Err(Unavailable));
    proxy.mend();
    cut.wait_for(|state| state != LinkState::Down).await;

    let since = cut.messages.since(TEA, Some(page.cursor), nobody, START);
    let Ok(Since::News { added, .. }) = since.await else {
        panic!("the page was reset");
    };
    assert_eq!(added[0].text.as_str(), "meanwhile");
    let mut waiting = cut.messages.subscribe(TEA).await.unwrap();
    assert!(!is_woken(&mut waiting).await);
    other.post("after", 3, START).await;
    waiting.changed().await.unwrap();
}

#[tokio::test]
async fn a_process_that_was_cut_off_posts_nothing_until_it_has_told_the_version_again() {
    let (redis, clock) = (TestRedis::start(), clock());
    let proxy = Proxy::to(redis.port()).await;
    let cut = Process::start(proxy.port, QUICK, &clock).await;
    cut.post("before", 1, START).await;
    let life = cut.messages.page(TEA, None, &Ignored::NOBODY, START).await;

    proxy.cut();
    cut.wait_for(|state| state == LinkState::Down).await;
    proxy.mend();
    cut.wait_for(|state| state != LinkState::Down).await;

    // Redis has kept the version, but this process may have missed a change that nobody could tell.
    let new = new_message(1, "after", 2, HOUR);
    assert_eq!(
        cut.append_by(VERSION, new.clone(), START).await,
        Appended::Stale
    );
    let page = cut.messages.page(TEA, None, &Ignored::NOBODY, START).await;
    assert!(page.unwrap().cursor.is_of_life_of(life.unwrap().cursor));
    cut.tell_version(VERSION).await;
    assert!(matches!(
        cut.append_by(VERSION, new, START).await,
        Appended::New(_)
    ));
}

#[tokio::test]
async fn a_room_that_nobody_uses_is_let_go_and_not_while_somebody_waits_in_it() {
    let (redis, one, other) = two().await;
    one.post("hello", 1, START).await;
    one.page(START).await.unwrap();
    let heard = async || -> (String, usize) {
        let asked = ["PUBSUB", "NUMSUB", "mirage:{5eed:r1}:events"];
        ask(&redis, &asked).await
    };
    let sweep = async |process: &Process| process.messages.sweep(START).await.unwrap();
    assert_eq!(one.messages.held().rooms, 1);
    assert_eq!(heard().await.1, 1);
    // It was used since the last sweep.
    sweep(&one).await;
    assert_eq!(one.messages.held().rooms, 1);

    let mut waiting = one.messages.subscribe(TEA).await.unwrap();
    for _ in 0..3 {
        sweep(&one).await;
        assert_eq!(one.messages.held().rooms, 1);
    }
    other.post("news", 2, START).await;
    waiting.changed().await.unwrap();

    drop(waiting);
    sweep(&one).await;
    let held = one.messages.held();
    assert_eq!((held.rooms, held.messages, held.bytes), (0, 0, 0));
    assert_eq!(heard().await.1, 0);
    // It is opened again when somebody looks.
    assert_eq!(one.page(START).await.unwrap(), ["hello", "news"]);
    assert_eq!(heard().await.1, 1);
}

#[tokio::test]
async fn events_older_than_the_stream_leave_live_messages_in_place() {
    let (redis, one, other) = two().await;
    let texts = [
        "the oldest",
        "the next",
        "the third",
        "the fourth",
        "the last",
    ];
    for (nonce, text) in (1..).zip(texts) {
        one.post(text, nonce, START).await;
    }
    // Many more events than the stream keeps.
    for version in 1..=200 {
        one.messages.note_room_change(TEA, version).await.unwrap();
    }

    assert_eq!(other.page(START).await.unwrap(), texts);
    assert_eq!(one.page(START).await.unwrap(), texts);
    let length: usize = ask(&redis, &["XLEN", "mirage:{5eed:r1}:stream"]).await;
    assert!(length <= 2 * 5 + 64 + 64, "{length}");
}

#[tokio::test]
async fn a_change_of_a_room_is_one_event_however_many_processes_tell_it() {
    let (_redis, one, other) = two().await;
    one.post("hello", 1, START).await;
    let nobody = &Ignored::NOBODY;
    let page = one.messages.page(TEA, None, nobody, START).await.unwrap();

    one.messages.note_room_change(TEA, 7).await.unwrap();
    let first = one.messages.since(TEA, Some(page.cursor), nobody, START);
    let cursor = first.await.unwrap().cursor();
    other.messages.note_room_change(TEA, 7).await.unwrap();
    one.messages.catch_up(TEA).await.unwrap();

    let second = one.messages.since(TEA, Some(cursor), nobody, START).await;
    assert!(matches!(second, Ok(Since::Nothing(_))), "{second:?}");
}

#[tokio::test]
async fn the_clock_of_a_process_that_starts_ends_nothing_early() {
    let (redis, own) = (TestRedis::start(), clock());
    let one = Process::start(redis.port(), PATIENT, &own).await;
    one.post("hello", 1, START).await;
    let ahead = Arc::new(FixedClock::at(Timestamp(START.0).plus(HOUR * 24)));
    let clock = site_clock(&ahead);

    let _linked = link_to(redis.port(), PATIENT, clock.clone()).await.unwrap();

    assert_eq!(one.page(clock.site_time()).await.unwrap(), ["hello"]);
}

#[test]
fn an_event_that_is_heard_of_while_the_log_is_read_is_not_forgotten() {
    let session = Session { number: 1, life: 7 };
    let followed = Followed::new(TEA);
    let begun = followed.begin_read(session);
    followed.hear_of(12);

    followed.install(opened(session, 11), session, begun, &renderer());

    assert!(!followed.is_current(session), "event 12 is missing");
    followed.begin_read(session);
    let read = (1, 12, 12, Vec::new());
    assert_eq!(followed.update(read, session, START), Some(true));
    assert!(followed.is_current(session));

    // A smaller number of another life is later.
    let later = Session { number: 2, life: 8 };
    let begun = followed.begin_read(later);
    followed.install(opened(later, 3), later, begun, &renderer());
    assert!(followed.is_current(later));
}

#[test]
fn a_room_that_is_deleted_while_it_is_opened_is_opened_again() {
    let session = Session { number: 1, life: 7 };
    let followed = Followed::new(TEA);
    let begun = followed.begin_read(session);
    followed.let_go();

    followed.install(opened(session, 11), session, begun, &renderer());

    assert!(!followed.is_current(session));
}

#[test]
fn nobody_is_shown_a_message_whose_text_is_gone_while_later_events_are_read() {
    let session = Session { number: 1, life: 7 };
    let followed = Followed::new(TEA);
    let begun = followed.begin_read(session);
    followed.install(opened(session, 11), session, begun, &renderer());
    let record = format!("p {} 1 3600000 {} Ann", START.0, START.0);
    let first = (1, 13, 12, vec![(12, record, 0, String::new())]);
    assert_eq!(followed.update(first, session, START), Some(false));

    // The other event is heard before it is read.
    let entry = Entry::parse(&format!("r {}", START.0), 0, "").unwrap();
    followed.hear(13, entry, Some(session));
    assert!(!followed.is_current(session));

    let rest = (1, 13, 13, Vec::new());
    assert_eq!(followed.update(rest, session, START), Some(true));
    assert!(followed.is_current(session));
    assert_eq!(followed.with_log(|log| log.state().size()), Some(0));
}

/// Returns an empty room as of an event.
fn opened(session: Session, event: u64) -> Opening {
    let mut opening = Opening::new(TEA, session, 5);
    let piece = (event, 1, event, event, event, 0, Vec::new(), Vec::new());
    assert_eq!(opening.add(piece, START, &renderer()), Some(true));
    opening
}

#[tokio::test]
async fn a_full_redis_refuses_messages_and_frees_what_has_expired() {
    let (redis, clock) = (TestRedis::start(), clock());
    let one = Process::start(redis.port(), PATIENT, &clock).await;
    one.post(MARKER, 1, START).await;
    one.post(MARKER, 2, START.plus(SECOND * 60)).await;
    let _: String = ask(&redis, &["CONFIG", "SET", "maxmemory", "1"]).await;

    let wish = Wish {
        version: VERSION,
        message: new_message(1, "one too many", 3, HOUR),
        session: Token::received("").digest(),
        session_ended: &AtomicBool::new(false),
        quota: Quota::UNLIMITED,
    };
    let refused = one.messages.append(TEA, &wish, START).await;
    assert!(refused.is_err(), "{refused:?}");

    // The link goes on: another second of the site's time is told.
    clock.advance(SECOND);
    let mut connection = redis.connect().await;
    let mut time = cmd("GET");
    time.arg("mirage:{5eed}:time");
    while time.query_async::<i64>(&mut connection).await.unwrap() < START.plus(SECOND).0 {
        tokio::task::yield_now().await;
    }
    // A process that starts can link, too, and the second message's next deadline cannot be entered.
    let other = Process::start(redis.port(), PATIENT, &clock).await;
    let texts = async || -> Vec<String> { ask(&redis, &["KEYS", "*:text:*"]).await };
    let swept = other.messages.sweep(START.plus(HOUR)).await;
    assert_eq!(swept, Err(Unavailable));
    assert_eq!(texts().await.len(), 1);
    other.messages.sweep(START.plus(HOUR * 2)).await.unwrap();
    assert_eq!(texts().await, [""; 0]);
    assert_eq!(other.messages.bytes().await, Ok(0));
    let room = other.messages.open(TEA).await.unwrap();
    room.raise_version(VERSION + 1).await.unwrap();
}

#[tokio::test]
async fn in_a_full_redis_messages_are_shortened_and_a_change_is_told() {
    let (redis, one, other) = two().await;
    one.post("hello", 1, START).await;
    assert_eq!(other.page(START).await.unwrap(), ["hello"]);
    let mut waiting = other.messages.subscribe(TEA).await.unwrap();
    let _: String = ask(&redis, &["CONFIG", "SET", "maxmemory", "1"]).await;

    let told = one.messages.note_room_change(TEA, VERSION + 1).await;
    assert_eq!(told, Ok(()));
    waiting.changed().await.unwrap();
    // The sweep cannot be told of the next deadline, so this is to be tried again.
    let lifespan = Lifespan(SECOND);
    let shortened = one.messages.shorten(TEA, lifespan, EVERY_VERSION, START);
    assert_eq!(shortened.await, Err(Unavailable));
    assert_eq!(other.page(START.plus(SECOND)).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_has_expired_since_a_page_was_asked_for_is_not_shown() {
    let (redis, clock) = (TestRedis::start(), clock());
    let one = Process::start(redis.port(), PATIENT, &clock).await;
    one.post("hello", 1, START).await;
    assert_eq!(one.page(START).await.unwrap(), ["hello"]);

    clock.advance(HOUR);

    assert_eq!(one.page(START).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn the_state_of_a_room_stays_as_long_as_its_longest_message_may() {
    let (redis, clock) = (TestRedis::start(), clock());
    let capacity = Capacity {
        messages_per_room: 5,
        bytes: 1 << 20,
    };
    let longest = 30 * 24 * HOUR;
    let one = Process::of(redis.port(), PATIENT, &clock, capacity, longest).await;
    let id = one.post("long", 1, START).await;
    // As after a restart with a smaller maximum.
    let next = Process::start(redis.port(), PATIENT, &clock).await;

    next.post("short", 2, START).await;

    let left = async |key: &str| -> i64 {
        ask(&redis, &["PTTL", &format!("mirage:{{5eed:r1}}:{key}")]).await
    };
    let text = left(&format!("text:{}", id.0)).await;
    for key in ["meta", "stream", "order", "deadlines", "live"] {
        let state = left(key).await;
        // Asked for later, and much less than the margin of two days.
        assert!(text < state + 60_000, "{key}: {state}, and the text {text}");
    }
}

/// A message by a version of the room, which the log is told first.
async fn post_by(process: &Process, version: i64, text: &str, nonce: u8) -> MessageId {
    process.tell_version(version).await;
    let new = new_message(1, text, nonce, HOUR);
    let appended = process.append_by(version, new, START).await;
    appended.message().unwrap()
}

#[tokio::test]
async fn a_clearing_takes_what_was_posted_before_its_version_however_often_it_is_made() {
    let (redis, one, other) = two().await;
    let reported = post_by(&one, 1, "private", 1).await;
    let report = async |message, reporter| {
        let reason = Reason::parse("Marmalade").unwrap();
        let report = one
            .messages
            .report(TEA, message, UserId(reporter), reason, START);
        assert_eq!(report.await, Ok(Reported::Done));
    };
    report(reported, 2).await;
    post_by(&one, 1, "private too", 2).await;
    other.page(START).await.unwrap();
    // Another change came first, and a message by it.
    post_by(&other, 3, "public", 3).await;
    let later = post_by(&other, 4, "public too", 4).await;
    report(later, 2).await;
    one.messages.delete(TEA, later, START).await.unwrap();

    for process in [&one, &other, &one] {
        process.messages.clear(TEA, 3, START).await.unwrap();

        let fresh = Process::start(redis.port(), PATIENT, &clock()).await;
        for reader in [&one, &other, &fresh] {
            assert_eq!(reader.page(START).await.unwrap(), ["public"]);
        }
        let texts: Vec<String> = ask(&redis, &["KEYS", "*:text:*"]).await;
        assert_eq!(texts.len(), 1);
        let open = one.messages.reports(TEA, START).await.unwrap();
        let open: Vec<_> = open.iter().map(|report| report.message.id).collect();
        assert_eq!(open, [later], "its report outlives it");
    }
    one.messages.clear(TEA, 4, START).await.unwrap();
    assert_eq!(other.page(START).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_shortening_holds_for_what_was_posted_before_its_version_however_often_it_is_made() {
    let (redis, one, other) = two().await;
    post_by(&one, 1, "before", 1).await;
    other.page(START).await.unwrap();
    let later = post_by(&other, 2, "after", 2).await;
    let reason = Reason::parse("Marmalade").unwrap();
    let reported = one.messages.report(TEA, later, UserId(2), reason, START);
    assert_eq!(reported.await, Ok(Reported::Done));
    let minute = Lifespan(SECOND * 60);

    for process in [&one, &other, &one] {
        process
            .messages
            .shorten(TEA, minute, 2, START)
            .await
            .unwrap();

        let fresh = Process::start(redis.port(), PATIENT, &clock()).await;
        for reader in [&one, &other, &fresh] {
            let at = SiteTime(START.plus(minute.0).0 - 1);
            reader.messages.catch_up(TEA).await.unwrap();
            let page = reader.messages.page(TEA, None, &Ignored::NOBODY, at).await;
            let page = page.unwrap();
            let deadlines: Vec<_> = page
                .messages
                .iter()
                .map(|message| message.deadline)
                .collect();
            assert_eq!(deadlines, [START.plus(minute.0), START.plus(HOUR)]);
        }
        let open = one.messages.reports(TEA, START.plus(minute.0)).await;
        assert_eq!(open.unwrap().len(), 1);
    }
    assert_eq!(one.page(START.plus(minute.0)).await.unwrap(), ["after"]);
}
