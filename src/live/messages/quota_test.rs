//! The limits of messages, by the rates that were agreed on, on both logs.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::tests::{CAKE, HOUR, START, TEA, new_message, renderer};
use super::*;
use crate::clock::FixedClock;
use crate::config::{Command, Config};
use crate::domain::{Lifespan, RoomId, SiteTime, SlowMode, Timestamp};
use crate::live::redis::test_redis::{TestRedis, link_to, site_clock};
use crate::live::too_many::TooMany;
use crate::security::tokens::{Token, TokenDigest};

const ADA: i64 = 1;
const SECOND: Duration = Duration::from_secs(1);
const CAPACITY: Capacity = Capacity {
    messages_per_room: 2_000,
    bytes: 1 << 24,
};

/// A site, of which each message is sent to the next process.
struct Site {
    processes: Vec<Messages>,
    sent: Cell<u128>,
    now: Cell<SiteTime>,
    rates: Option<MessageRates>,
}

impl Site {
    fn advance(&self, span: Duration) {
        self.now.set(self.now.get().plus(span));
    }

    fn next(&self) -> (&Messages, u128) {
        let sent = self.sent.get();
        self.sent.set(sent + 1);
        let turn = sent % u128::try_from(self.processes.len()).unwrap();
        (&self.processes[usize::try_from(turn).unwrap()], sent)
    }

    async fn append(&self, room: RoomId, mut new: NewMessage, slow_mode: SlowMode) -> Appended {
        let (messages, number) = self.next();
        new.nonce = number.to_be_bytes();
        let append = self.append_to(messages, room, new, slow_mode, session(), 1);
        append.await
    }

    async fn append_to(
        &self,
        messages: &Messages,
        room: RoomId,
        message: NewMessage,
        slow_mode: SlowMode,
        session: TokenDigest,
        version: i64,
    ) -> Appended {
        let rates = self.rates;
        let wish = Wish {
            version,
            message,
            session,
            session_ended: &AtomicBool::new(false),
            quota: Quota { rates, slow_mode },
        };
        messages.append(room, &wish, self.now.get()).await.unwrap()
    }

    async fn slow_message(&self, user: i64, room: RoomId, slow_mode: SlowMode) -> Appended {
        let new = new_message(user, "hello", 0, HOUR);
        self.append(room, new, slow_mode).await
    }

    async fn message(&self, user: i64, room: RoomId) -> Appended {
        self.slow_message(user, room, SlowMode::OFF).await
    }

    /// Counts how many messages in a row are posted, at most 1,000.
    async fn messages(&self, user: i64, room: RoomId) -> usize {
        let mut posted = 0;
        while posted < 1_000 && matches!(self.message(user, room).await, Appended::New(_)) {
            posted += 1;
        }
        posted
    }

    async fn messages_of_all(&self, people: Range<i64>) -> usize {
        let mut posted = 0;
        for user in people {
            posted += self.messages(user, TEA).await;
        }
        posted
    }
}

fn session() -> TokenDigest {
    Token::received("").digest()
}

fn rates(words: &[&str]) -> MessageRates {
    let words = ["mirage"].iter().chain(words);
    let Ok(Command::Serve(config)) = Command::parse(words) else {
        panic!("another command");
    };
    let Config { rates, .. } = *config;
    MessageRates {
        person: rates.limit_messages,
        room: rates.limit_messages_room,
    }
}

/// Runs a test on a log in memory, and on one on Redis that two processes follow.
async fn everywhere(rates: Option<MessageRates>, test: impl AsyncFn(&Site)) {
    let memory = Messages::in_memory(CAPACITY, 42, START, renderer());
    test(&site(vec![memory], rates).await).await;
    let redis = TestRedis::start();
    test(&on_redis(&redis, rates).await).await;
}

async fn on_redis(redis: &TestRedis, rates: Option<MessageRates>) -> Site {
    let clock = Arc::new(FixedClock::at(Timestamp(START.0)));
    let mut processes = Vec::new();
    for _ in 0..2 {
        let clock = site_clock(&clock);
        let patient = ["--link-timeout", "30s"];
        let linked = link_to(redis.port(), &patient, clock.clone()).await;
        let (link, driver) = linked.unwrap();
        tokio::spawn(driver.run());
        let longest = Lifespan(HOUR);
        let messages = Messages::on_redis(link, clock, CAPACITY, longest, &[7; 32], renderer());
        processes.push(messages);
    }
    site(processes, rates).await
}

async fn site(processes: Vec<Messages>, rates: Option<MessageRates>) -> Site {
    for messages in &processes {
        for room in [TEA, CAKE] {
            let room = messages.open(room).await.unwrap();
            room.raise_version(1).await.unwrap();
        }
    }
    Site {
        processes,
        sent: Cell::new(0),
        now: Cell::new(START),
        rates,
    }
}

fn is_new(appended: Appended) -> bool {
    matches!(appended, Appended::New(_))
}

fn too_many(wait_s: u64) -> Appended {
    Appended::TooMany(TooMany { wait_s })
}

fn too_soon(wait_s: u64) -> Appended {
    Appended::TooSoon(TooMany { wait_s })
}

#[tokio::test]
async fn a_person_can_send_a_burst_of_five_messages_and_then_one_per_second() {
    everywhere(Some(rates(&[])), async |site| {
        assert_eq!(site.messages(ADA, TEA).await, 5);
        assert_eq!(site.message(ADA, TEA).await, too_many(1));
        site.advance(3 * SECOND);
        assert_eq!(site.messages(ADA, TEA).await, 3);
        assert_eq!(site.messages(ADA, CAKE).await, 5);
        site.advance(3600 * SECOND);
        assert_eq!(site.messages(ADA, TEA).await, 5);
    })
    .await;
}

#[tokio::test]
async fn a_room_accepts_a_burst_of_twenty_messages_and_then_ten_per_second() {
    everywhere(Some(rates(&[])), async |site| {
        assert_eq!(site.messages_of_all(0..10).await, 20);
        site.advance(SECOND);
        assert_eq!(site.messages_of_all(10..20).await, 10);
    })
    .await;
}

#[tokio::test]
async fn in_slow_mode_a_person_waits_between_two_messages() {
    everywhere(None, async |site| {
        let slow_mode = SlowMode(30 * SECOND);
        let write = async |user, room| site.slow_message(user, room, slow_mode).await;

        assert!(is_new(write(ADA, TEA).await));
        site.advance(SECOND);
        assert_eq!(write(ADA, TEA).await, too_soon(29));
        assert!(is_new(write(2, TEA).await));
        assert!(is_new(write(ADA, CAKE).await));
        assert!(is_new(site.message(ADA, TEA).await));
        site.advance(29 * SECOND);
        assert!(is_new(write(ADA, TEA).await));
        assert_eq!(write(ADA, TEA).await, too_soon(30));
    })
    .await;
}

#[tokio::test]
async fn a_longer_slow_mode_holds_for_those_who_have_posted_before() {
    everywhere(None, async |site| {
        let (short, long) = (SlowMode(5 * SECOND), SlowMode(120 * SECOND));

        assert!(is_new(site.slow_message(ADA, TEA, short).await));
        site.advance(20 * SECOND);
        assert_eq!(site.slow_message(ADA, TEA, long).await, too_soon(100));
        assert!(is_new(site.slow_message(ADA, TEA, short).await));
    })
    .await;
}

#[tokio::test]
async fn without_limits_and_slow_mode_every_message_is_posted() {
    everywhere(None, async |site| {
        assert_eq!(site.messages(ADA, TEA).await, 1_000);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_one_limit_refuses_is_counted_by_none() {
    let words = ["--limit-messages=2+1/1min", "--limit-messages-room=2+1/1s"];
    everywhere(Some(rates(&words)), async |site| {
        let slow = SlowMode(30 * SECOND);
        assert!(is_new(site.slow_message(ADA, TEA, slow).await));
        // Slow mode refuses it: it takes nothing of the person's or the room's quota.
        assert_eq!(site.slow_message(ADA, TEA, slow).await, too_soon(30));
        assert!(is_new(site.message(ADA, TEA).await));
        // The person's limit refuses it, and then the room's.
        assert_eq!(site.message(ADA, TEA).await, too_many(60));
        assert_eq!(site.message(2, TEA).await, too_many(1));
        site.advance(SECOND);
        assert!(is_new(site.message(2, TEA).await));
        assert_eq!(site.slow_message(2, TEA, slow).await, too_many(1));
        site.advance(SECOND);
        assert!(is_new(site.slow_message(2, TEA, slow).await));
    })
    .await;
}

#[tokio::test]
async fn a_refused_or_repeated_message_spends_no_quota() {
    let words = ["--limit-messages=2+1/1h", "--limit-messages-room=2+1/1h"];
    everywhere(Some(rates(&words)), async |site| {
        let slow = SlowMode(30 * SECOND);
        let hello = |nonce| new_message(ADA, "hello", nonce, HOUR);
        let ended = Token::received("ended").digest();
        let first = site.processes.first().unwrap();
        let send = async |new, slow_mode, version| {
            let sent = site.append_to(first, TEA, new, slow_mode, session(), version);
            sent.await
        };
        let posted = send(hello(1), SlowMode::OFF, 1).await;
        for _ in 0..10 {
            let again = send(hello(1), slow, 1).await;
            assert_eq!(again, Appended::Repeated(posted.message().unwrap()));
            let other = new_message(ADA, "another text", 1, HOUR);
            assert_eq!(send(other, slow, 1).await, Appended::NonceReused);
            assert_eq!(send(hello(2), slow, 0).await, Appended::Stale);
            let wish = Wish {
                version: 1,
                message: hello(3),
                session: ended,
                session_ended: &AtomicBool::new(true),
                quota: Quota {
                    rates: site.rates,
                    slow_mode: slow,
                },
            };
            let refused = first.append(TEA, &wish, site.now.get()).await.unwrap();
            assert_eq!(refused, Appended::SessionEnded);
        }

        assert!(is_new(send(hello(4), slow, 1).await));
        assert_eq!(send(hello(5), SlowMode::OFF, 1).await, too_many(3600));
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ended_at_another_process_spends_no_quota() {
    let redis = TestRedis::start();
    let words = ["--limit-messages=1+1/1h"];
    let site = on_redis(&redis, Some(rates(&words))).await;
    let ended = Token::received("ended").digest();
    let key = format!("mirage:{{5eed:r{TEA}}}:ended:{}", ended.to_hex());
    let mut connection = redis.connect().await;
    let mut set = redis::cmd("SET");
    let set = set.arg(key).arg("").exec_async(&mut connection);
    set.await.unwrap();
    let (messages, _) = site.next();

    let hello = new_message(ADA, "hello", 200, HOUR);
    let refused = site.append_to(messages, TEA, hello, SlowMode::OFF, ended, 1);
    assert_eq!(refused.await, Appended::SessionEnded);

    assert!(is_new(site.message(ADA, TEA).await));
    assert_eq!(site.message(ADA, TEA).await, too_many(3600));
}

#[tokio::test]
async fn a_form_that_is_sent_to_all_processes_at_once_is_counted_once() {
    let redis = TestRedis::start();
    let words = ["--limit-messages=2+1/1h"];
    let site = on_redis(&redis, Some(rates(&words))).await;
    let send = |process: usize| {
        let hello = new_message(ADA, "hello", 200, HOUR);
        let messages = &site.processes[process % 2];
        site.append_to(messages, TEA, hello, SlowMode::OFF, session(), 1)
    };

    let all = futures_util::future::join_all((0..100).map(send)).await;

    assert_eq!(all.iter().filter(|sent| is_new(**sent)).count(), 1);
    assert!(all.iter().all(|sent| sent.message().is_some()));
    assert_eq!(site.messages(ADA, TEA).await, 1);
}

#[tokio::test]
async fn counters_are_freed_when_everybody_has_their_full_quota() {
    let memory = Messages::in_memory(CAPACITY, 42, START, renderer());
    let site = site(vec![memory], Some(rates(&[]))).await;
    let messages = site.processes.first().unwrap();
    let brief = new_message(ADA, "hello", 0, SECOND);
    let slow = SlowMode(30 * SECOND);
    assert!(is_new(site.append(TEA, brief.clone(), slow).await));

    // The message has gone, and the room with it, if nothing else holds the room.
    site.advance(119 * SECOND);
    messages.sweep(site.now.get()).await.unwrap();
    assert_eq!(messages.held().rooms, 1);
    let longer = SlowMode::LONGEST;
    let refused = site.append(TEA, brief, longer).await;
    assert_eq!(refused, too_soon(1));

    site.advance(SECOND);
    messages.sweep(site.now.get()).await.unwrap();
    assert_eq!(messages.held().rooms, 0);
}

#[tokio::test]
async fn redis_keeps_no_counter_of_a_person_with_a_full_quota() {
    let redis = TestRedis::start();
    let site = on_redis(&redis, Some(rates(&[]))).await;
    for user in 1..=20 {
        assert!(is_new(site.message(user, TEA).await));
    }
    site.advance(3600 * SECOND);

    assert!(is_new(site.message(ADA, TEA).await));

    let mut count = redis::cmd("ZRANGE");
    count
        .arg(format!("mirage:{{5eed:r{TEA}}}:limits"))
        .arg(0)
        .arg(-1);
    let mut connection = redis.connect().await;
    let counted: Vec<String> = count.query_async(&mut connection).await.unwrap();
    assert_eq!(counted, ["m", "m1"]);
}
