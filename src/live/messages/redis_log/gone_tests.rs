//! Nothing of a message stays in Redis after its deadline, and pages are told of each message that goes before.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::scale_tests::fill;
use super::tests::{HOUR_ON, PATIENT, Process, SECOND, ask, clock, two};
use crate::domain::{Lifespan, MessageId, Reason, RoomId, SiteTime, UserId};
use crate::live::messages::tests::{HOUR, START, TEA, new_message};
use crate::live::messages::{Appended, Cursor, EVERY_VERSION, Ignored, Since};
use crate::live::redis::test_redis::TestRedis;

const MINUTE: Lifespan = Lifespan(SECOND.saturating_mul(60));

/// Returns all keys with their serialized values, whatever their types are.
async fn dump(redis: &TestRedis) -> BTreeMap<String, Vec<u8>> {
    let keys: Vec<String> = ask(redis, &["KEYS", "*"]).await;
    let mut values = BTreeMap::new();
    for key in keys {
        let value = ask(redis, &["DUMP", &key]).await;
        values.insert(key, value);
    }
    values
}

/// Posts messages with this text that go in every way, until all deadlines have passed. Returns what is left in Redis.
async fn left_of(text: &str, is_followed: bool) -> BTreeMap<String, Vec<u8>> {
    let redis = TestRedis::start();
    let clock = clock();
    let one = Process::start(redis.port(), PATIENT, &clock).await;
    let messages = &one.messages;
    let deleted = one.post(text, 1, START).await;
    let reported = one.post(text, 2, START).await;
    let reason = Reason::parse("Rude").unwrap();
    let done = messages.report(TEA, reported, UserId(2), reason, START);
    done.await.unwrap();
    messages.delete(TEA, deleted, START).await.unwrap();
    messages.delete(TEA, reported, START).await.unwrap();
    messages.delete_by(UserId(1), TEA, START).await.unwrap();
    // Evicted, and cleared.
    for nonce in 3..10 {
        one.post(text, nonce, START).await;
    }
    messages.clear(TEA, EVERY_VERSION, START).await.unwrap();
    // Shortened, deleted after that, and expired.
    one.post(text, 10, START).await;
    let last = one.post(text, 11, START).await;
    messages
        .shorten(TEA, MINUTE, EVERY_VERSION, START)
        .await
        .unwrap();
    messages.delete(TEA, last, START).await.unwrap();
    one.post(text, 12, START).await;
    if is_followed {
        one.page(START).await.unwrap();
    }

    let other = Process::start(redis.port(), PATIENT, &clock).await;
    other.messages.sweep(HOUR_ON).await.unwrap();
    assert_eq!(other.messages.bytes().await, Ok(0));
    dump(&redis).await
}

#[tokio::test]
async fn what_is_left_in_redis_after_the_deadline_does_not_depend_on_the_text() {
    for is_followed in [false, true] {
        let short = left_of("yes", is_followed).await;
        let long = left_of("a text with more words", is_followed).await;
        assert_eq!(short, long);
        let is_of_a_message = |key: &&String| {
            let part = key.rsplit('}').next().unwrap_or_default();
            part != ":meta" && part != ":stream" && key.contains(":r1}")
        };
        let left: Vec<_> = short.keys().filter(is_of_a_message).collect();
        assert_eq!(left, [""; 0]);
        let due: usize = short
            .keys()
            .filter(|key| key.ends_with("}:deadlines"))
            .count();
        assert_eq!(due, 0, "the sweep would visit the room in vain");
    }
}

#[tokio::test]
async fn nobody_who_reads_redis_can_guess_the_text_of_a_deleted_message() {
    let (redis, one, _other) = two().await;
    let text = "yes";
    let id = one.post(text, 1, START).await;
    one.messages.delete(TEA, id, START).await.unwrap();

    let plain = Sha256::digest(text.as_bytes());
    let plain: String = plain[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let used: Vec<String> = ask(&redis, &["HVALS", "mirage:{5eed:r1}:nonces"]).await;
    assert_eq!(used.len(), 1);
    assert!(!used[0].contains(&plain), "{used:?}");
    // The same text has another digest with another nonce.
    one.post(text, 2, START).await;
    let used: Vec<String> = ask(&redis, &["HVALS", "mirage:{5eed:r1}:nonces"]).await;
    let digests: Vec<&str> = used
        .iter()
        .filter_map(|used| used.split(' ').nth(1))
        .collect();
    assert!(digests.len() == 2 && digests[0] != digests[1], "{used:?}");
}

#[tokio::test]
async fn clearing_a_room_without_messages_writes_nothing() {
    let (redis, one, _other) = two().await;
    one.post("yes", 1, START).await;
    one.messages.clear(TEA, EVERY_VERSION, START).await.unwrap();
    let meta = async || -> BTreeMap<String, String> {
        ask(&redis, &["HGETALL", "mirage:{5eed:r1}:meta"]).await
    };
    let before = meta().await;

    one.messages.clear(TEA, EVERY_VERSION, START).await.unwrap();

    assert_eq!(meta().await, before);
    assert!(!before.is_empty());
}

#[tokio::test]
async fn one_sweep_frees_all_messages_that_are_due() {
    let redis = TestRedis::start();
    let clock = clock();
    let one = Process::holding(redis.port(), &clock, 5_000).await;
    fill(&redis, &one, 2_500, START).await;

    one.messages.sweep(HOUR_ON).await.unwrap();

    let left: Vec<String> = ask(&redis, &["KEYS", "*:r1}:*"]).await;
    let left: Vec<_> = left
        .iter()
        .filter(|key| !key.ends_with(":meta") && !key.ends_with(":stream"))
        .collect();
    assert_eq!(left, [""; 0]);
    assert_eq!(one.messages.bytes().await, Ok(0));
}

/// Posts a message, and makes so many events that it is older than the stream. Returns it, and a page's cursor after it.
async fn post_before_the_stream(one: &Process) -> (MessageId, Cursor) {
    let id = one.post("the oldest", 1, START).await;
    for version in 1..=400 {
        one.messages.note_room_change(TEA, version).await.unwrap();
    }
    let nobody = &Ignored::NOBODY;
    one.messages.catch_up(TEA).await.unwrap();
    let page = one.messages.page(TEA, None, nobody, START).await.unwrap();
    assert_eq!(page.messages[0].id, id);
    (id, page.cursor)
}

/// Returns whether a page that goes on after the cursor is told that the message is gone, or of its new deadline.
fn is_told(since: &Since, id: MessageId) -> bool {
    match since {
        Since::Nothing(_) => false,
        Since::News { removed, .. } => removed.contains(&id),
        Since::Reset(page) => page
            .messages
            .iter()
            .all(|message| message.id != id || message.deadline <= START.plus(MINUTE.0)),
    }
}

#[tokio::test]
async fn a_process_that_reads_all_tells_pages_what_went_before() {
    let nobody = &Ignored::NOBODY;
    for way in 0..5 {
        let (_redis, one, other) = two().await;
        let (id, cursor) = post_before_the_stream(&one).await;
        let messages = &one.messages;
        match way {
            0 => assert!(messages.delete(TEA, id, START).await.unwrap()),
            1 => messages.delete_by(UserId(1), TEA, START).await.unwrap(),
            2 => messages.clear(TEA, EVERY_VERSION, START).await.unwrap(),
            3 => messages
                .shorten(TEA, MINUTE, EVERY_VERSION, START)
                .await
                .unwrap(),
            _ => {
                for nonce in 2..=6 {
                    one.post("newer", nonce, START).await;
                }
            }
        }

        let since = other.messages.since(TEA, Some(cursor), nobody, START).await;
        let since = since.unwrap();
        assert!(is_told(&since, id), "way {way}: {since:?}");
        if way == 0 || way == 4 {
            assert!(matches!(since, Since::News { .. }), "way {way}: {since:?}");
        }
    }
}

#[tokio::test]
async fn an_account_is_deleted_in_rooms_whose_bytes_are_not_known() {
    let (redis, one, other) = two().await;
    one.post("hello", 1, START).await;
    // The process died before it told the site of the message's bytes.
    let _: usize = ask(&redis, &["DEL", "mirage:{5eed}:bytes"]).await;

    other
        .messages
        .forget_person(UserId(1), START)
        .await
        .unwrap();

    assert_eq!(one.page(START).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_empty_room_leaves_nothing_in_the_keys_of_the_site() {
    let (redis, one, other) = two().await;
    let id = one.post("hello", 1, START).await;
    one.messages.delete(TEA, id, START).await.unwrap();
    one.messages.sweep(HOUR_ON).await.unwrap();
    let revisions = async || -> usize { ask(&redis, &["HLEN", "mirage:{5eed}:revisions"]).await };
    assert_eq!(revisions().await, 1, "an older telling may be on its way");

    let later = HOUR_ON.plus(HOUR);
    let other_room = RoomId(2);
    other.tell_version_of(other_room, 1).await;
    let new = new_message(1, "hello", 1, HOUR);
    let posted = other.append_to(other_room, 1, new, later).await;
    assert!(matches!(posted, Appended::New(_)));

    assert_eq!(revisions().await, 1, "only the other room's");
    let site: Vec<String> = ask(&redis, &["KEYS", "mirage:{5eed}:*"]).await;
    let of_tea: Vec<String> = ask(&redis, &["ZRANGE", "mirage:{5eed}:emptied", "0", "-1"]).await;
    assert_eq!(of_tea, [""; 0], "{site:?}");
}

#[tokio::test]
async fn a_nonce_is_known_until_the_first_deadline_of_its_message() {
    let (_redis, one, other) = two().await;
    let id = one.post("hello", 1, START).await;
    one.messages
        .shorten(TEA, MINUTE, EVERY_VERSION, START)
        .await
        .unwrap();
    let after = START.plus(MINUTE.0);
    one.messages.sweep(after).await.unwrap();
    assert_eq!(one.page(after).await.unwrap(), [""; 0]);

    assert_eq!(other.post("hello", 1, after).await, id);
    let before = SiteTime(HOUR_ON.0 - 1);
    assert_eq!(other.post("hello", 1, before).await, id);
    other.messages.sweep(before).await.unwrap();
    assert_ne!(other.post("hello", 1, HOUR_ON).await, id);
    // The sweep of the first message leaves the second one's.
    one.messages.sweep(HOUR_ON).await.unwrap();
    let again = one.post("hello", 1, HOUR_ON).await;
    assert_eq!(other.post("hello", 1, HOUR_ON).await, again);
}
