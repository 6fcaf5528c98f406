//! Drafts, wherever they are kept.

use std::cell::Cell;

use super::super::redis::test_redis::{TestRedis, link_to, system_clock};
use super::Drafts;
use super::limits::{MAX_BYTES, MAX_DRAFTS, RETENTION};
use crate::domain::{MessageText, RoomId, SiteTime, UserId};

const NOW: SiteTime = SiteTime(1_795_352_700_000);
const ADA: UserId = UserId(1);
const TEA: RoomId = RoomId(1);
/// Long enough for a busy machine, in tests that cut no link.
const PATIENT: &[&str] = &["--link-timeout", "30s"];

/// The drafts of a site, of which each call asks the next process.
struct Site {
    processes: Vec<Drafts>,
    turn: Cell<usize>,
}

impl Site {
    fn next(&self) -> &Drafts {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.processes.len());
        self.processes.get(turn).unwrap()
    }

    async fn keep(&self, author: UserId, room: RoomId, typed: &str) {
        let text = MessageText::parse(typed).unwrap();
        self.next().keep(author, room, text, NOW).await.unwrap();
    }

    async fn find(&self, author: UserId, room: RoomId) -> Option<String> {
        self.next().find(author, room, NOW).await.unwrap()
    }

    async fn size(&self) -> usize {
        self.next().size().await.unwrap()
    }
}

fn memory() -> Site {
    Site {
        processes: vec![Drafts::in_memory()],
        turn: Cell::new(0),
    }
}

/// Two processes on one Redis.
async fn on_redis(redis: &TestRedis) -> Site {
    let mut processes = Vec::new();
    for _ in 0..2 {
        let (link, driver) = link_to(redis.port(), PATIENT, system_clock())
            .await
            .unwrap();
        tokio::spawn(driver.run());
        processes.push(Drafts::on_redis(link));
    }
    Site {
        processes,
        turn: Cell::new(0),
    }
}

/// Runs a test of drafts wherever they are kept.
async fn everywhere(test: impl AsyncFn(&Site)) {
    test(&memory()).await;
    let redis = TestRedis::start();
    test(&on_redis(&redis).await).await;
}

#[tokio::test]
async fn a_draft_is_kept_for_its_author_and_room_for_a_day() {
    everywhere(async |site| {
        site.keep(ADA, TEA, "hello").await;
        let last_moment = SiteTime(NOW.plus(RETENTION).0 - 1);

        let found = site.next().find(ADA, TEA, last_moment).await.unwrap();
        assert_eq!(found.as_deref(), Some("hello"));
        assert_eq!(site.find(UserId(2), TEA).await, None);
        assert_eq!(site.find(ADA, RoomId(2)).await, None);
        let expired = site.next().find(ADA, TEA, NOW.plus(RETENTION)).await;
        assert_eq!(expired, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn the_latest_draft_of_a_person_and_room_is_kept() {
    everywhere(async |site| {
        site.keep(ADA, TEA, "first").await;
        site.keep(ADA, TEA, "second").await;

        assert_eq!(site.find(ADA, TEA).await.as_deref(), Some("second"));
        assert_eq!(site.size().await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_draft_that_was_sent_is_discarded() {
    everywhere(async |site| {
        site.keep(ADA, TEA, "hello").await;
        site.keep(ADA, RoomId(2), "hello").await;

        site.next().discard(ADA, TEA).await;

        assert_eq!(site.find(ADA, TEA).await, None);
        assert!(site.find(ADA, RoomId(2)).await.is_some());
        assert_eq!(site.size().await, 1);
    })
    .await;
}

#[tokio::test]
async fn the_drafts_of_a_deleted_account_are_dropped() {
    everywhere(async |site| {
        site.keep(UserId(11), TEA, "of another").await;
        site.keep(ADA, TEA, "hello").await;
        site.keep(ADA, RoomId(2), "hello").await;

        site.next().forget(ADA).await;

        assert_eq!(site.find(ADA, TEA).await, None);
        assert_eq!(site.find(ADA, RoomId(2)).await, None);
        assert!(site.find(UserId(11), TEA).await.is_some());
        assert_eq!(site.size().await, 1);
    })
    .await;
}

#[tokio::test]
async fn the_oldest_drafts_are_evicted_when_there_are_too_many_or_too_large() {
    everywhere(async |site| {
        for user in 0..=1_000 {
            site.keep(UserId(user), TEA, "x").await;
        }
        assert_eq!(site.size().await, MAX_DRAFTS);
        assert_eq!(site.find(UserId(0), TEA).await, None);

        // 8,000 bytes, the most that a message can have.
        let longest = "\u{1f375}".repeat(MessageText::MAX_CHARS);
        for user in 0..1_000 {
            site.keep(UserId(user), TEA, &longest).await;
        }
        assert_eq!(site.size().await, MAX_BYTES / 8_000);
    })
    .await;
}

#[tokio::test]
async fn a_fourth_draft_evicts_the_oldest_of_its_author_and_no_other() {
    everywhere(async |site| {
        site.keep(UserId(2), TEA, "of another").await;
        for room in 1..=65 {
            site.keep(ADA, RoomId(room), "hello").await;
        }

        for room in 1..=65 {
            let is_kept = site.find(ADA, RoomId(room)).await.is_some();
            assert_eq!(is_kept, room > 62, "{room}");
        }
        let other = site.find(UserId(2), TEA).await;
        assert_eq!(other.as_deref(), Some("of another"));
    })
    .await;
}

#[tokio::test]
async fn sweeping_frees_expired_drafts() {
    everywhere(async |site| {
        site.keep(ADA, TEA, "hello").await;

        site.next().sweep(NOW.plus(RETENTION)).await;

        assert_eq!(site.size().await, 0);
    })
    .await;
}

#[tokio::test]
async fn nothing_of_a_dropped_draft_stays_in_redis() {
    let redis = TestRedis::start();
    let site = on_redis(&redis).await;
    for room in 1..=5 {
        site.keep(ADA, RoomId(room), "hello").await;
    }
    site.keep(UserId(2), TEA, "hello").await;
    site.next().discard(UserId(2), TEA).await;
    site.next().forget(ADA).await;

    let mut connection = redis.connect().await;
    let mut keys = redis::cmd("KEYS");
    keys.arg("mirage:{5eed}:drafts:*");
    let left: Vec<String> = keys.query_async(&mut connection).await.unwrap();

    assert_eq!(left, ["mirage:{5eed}:drafts:bytes"]);
    let mut bytes = redis::cmd("GET");
    bytes.arg("mirage:{5eed}:drafts:bytes");
    let bytes: usize = bytes.query_async(&mut connection).await.unwrap();
    assert_eq!(bytes, 0);
}

#[tokio::test]
async fn a_draft_is_not_said_to_be_kept_while_redis_does_not_answer() {
    let mut redis = TestRedis::start();
    let words = &["--link-timeout", "2s"];
    let linked = link_to(redis.port(), words, system_clock()).await;
    let (link, _driver) = linked.unwrap();
    let drafts = Drafts::on_redis(link);
    redis.kill();

    let text = MessageText::parse("hello").unwrap();
    assert!(drafts.keep(ADA, TEA, text, NOW).await.is_err());
    assert!(drafts.find(ADA, TEA, NOW).await.is_err());
}
