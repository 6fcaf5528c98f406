//! What an append and the opening of a room cost, however many messages the room has.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::cmd;

use super::tests::{Process, ask, clock};
use crate::domain::{Lifespan, SiteTime, UserId};
use crate::live::messages::tests::{HOUR, START, TEA, new_message};
use crate::live::messages::{EVERY_VERSION, Ignored, Since};
use crate::live::redis::test_redis::{TestRedis, assert_scripts_declare_their_keys};

const VERSION: i64 = 1;
/// How many messages one script of the test appends.
const AT_ONCE: usize = 50;

/// Fills a room with messages of several authors, by the script that appends, without the round trips.
pub(super) async fn fill(redis: &TestRedis, process: &Process, messages: usize, now: SiteTime) {
    process.tell_version_of(TEA, VERSION).await;
    // One message by the process enters the room for the sweep, and tells the site.
    process.post("the first", 255, now).await;
    let append = [include_str!("prelude.lua"), include_str!("append.lua")].concat();
    let script = format!(
        "local function append() {append} end
        local first, many = tonumber(table.remove(ARGV, 16)), tonumber(table.remove(ARGV, 16))
        for i = first, first + many - 1 do
          ARGV[6], ARGV[8] = string.format('%032x', i), string.format('%.0f', i % 7 + 1)
          ARGV[12], ARGV[15] = string.format('%x', i % 1000), 'message ' .. i
          append()
        end"
    );
    let mut connection = redis.connect().await;
    let mut left = messages - 1;
    while left > 0 {
        let many = left.min(AT_ONCE);
        let mut eval = cmd("EVAL");
        eval.arg(&script).arg(1).arg("mirage:{5eed:r1}:");
        eval.arg(now.0)
            .arg(1_000_000)
            .arg(HOUR.as_millis().to_string());
        eval.arg(VERSION)
            .arg("session")
            .arg("")
            .arg("digest")
            .arg("");
        eval.arg(HOUR.as_millis().to_string())
            .arg(now.0)
            .arg(7)
            .arg("")
            .arg(500);
        eval.arg("Ann").arg("").arg(left).arg(many);
        let _: () = eval.query_async(&mut connection).await.unwrap();
        left -= many;
    }
    process.messages.catch_up(TEA).await.unwrap();
}

/// What clients and the link ask all the time.
const OF_THE_LINK: [&str; 8] = [
    "config", "eval", "evalsha", "get", "hello", "info", "publish", "script",
];

/// Returns how often Redis has run each command since the counts were reset.
async fn commands(redis: &TestRedis) -> BTreeMap<String, u64> {
    let stats: String = ask(redis, &["INFO", "commandstats"]).await;
    let count = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split_once(',')?.0.parse().ok()?;
        let is_of_the_link = OF_THE_LINK.contains(&name) || name.contains('|');
        (!is_of_the_link).then(|| (name.to_owned(), calls))
    };
    stats.lines().filter_map(count).collect()
}

/// Returns the commands of posting a message, of deleting one, and of deleting the only one of an author.
async fn commands_of_changes(messages: usize) -> Vec<BTreeMap<String, u64>> {
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), messages + 1).await;
    fill(&redis, &process, messages, START).await;
    let reset = async || -> () {
        ask::<String>(&redis, &["CONFIG", "RESETSTAT"]).await;
    };
    let mut all = Vec::new();

    reset().await;
    let new = new_message(100, "one more", 1, HOUR);
    let posted = process.append_to(TEA, VERSION, new, START).await;
    all.push(commands(&redis).await);

    reset().await;
    let id = posted.message().unwrap();
    assert!(process.messages.delete(TEA, id, START).await.unwrap());
    all.push(commands(&redis).await);

    let new = new_message(101, "another", 2, HOUR);
    process.append_to(TEA, VERSION, new, START).await;
    reset().await;
    let deleted = process.messages.delete_by(UserId(101), TEA, START).await;
    deleted.unwrap();
    all.push(commands(&redis).await);

    // A full room evicts its oldest message.
    let new = new_message(102, "the last", 3, HOUR);
    process.append_to(TEA, VERSION, new, START).await;
    reset().await;
    let new = new_message(102, "one too many", 4, HOUR);
    process.append_to(TEA, VERSION, new, START).await;
    all.push(commands(&redis).await);
    all
}

#[tokio::test]
async fn a_change_takes_as_many_commands_in_a_room_of_ten_messages_as_in_one_of_ten_thousand() {
    let few = commands_of_changes(10).await;
    assert!(few[0]["zadd"] > 0, "{few:?}");
    assert_eq!(few, commands_of_changes(10_000).await);
}

#[tokio::test]
async fn no_command_of_a_change_reads_all_messages() {
    const MESSAGES: usize = 3_000;
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), MESSAGES).await;
    fill(&redis, &process, MESSAGES, START).await;
    let asked = redis
        .monitor(async || {
            let new = new_message(100, "one more", 1, HOUR);
            let posted = process.append_to(TEA, VERSION, new, START).await;
            let id = posted.message().unwrap();
            assert!(process.messages.delete(TEA, id, START).await.unwrap());
        })
        .await;
    let adds = |line: &String| line.contains("lua]") && line.contains("\"ZADD\"");
    assert!(asked.iter().any(adds), "{asked:?}");
    assert_scripts_declare_their_keys(&asked);
    for line in asked {
        let is_open = [
            "\"HGETALL\"",
            "\"HKEYS\"",
            "\"HVALS\"",
            "\"SMEMBERS\"",
            "\"-1\"",
            "\"+\"",
        ];
        assert!(!is_open.iter().any(|part| line.contains(part)), "{line}");
    }
}

#[tokio::test]
async fn a_room_of_a_hundred_thousand_messages_opens() {
    const MESSAGES: usize = 100_000;
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), MESSAGES).await;
    fill(&redis, &process, MESSAGES, START).await;
    let _: String = ask(&redis, &["CONFIG", "RESETSTAT"]).await;

    let other = Process::holding(redis.port(), &clock(), MESSAGES).await;
    let nobody = &Ignored::NOBODY;
    let all = other.messages.new_for(TEA, UserId(0), nobody, None, START);
    assert_eq!(all.await, Ok(MESSAGES));

    let pieces: u64 = {
        let stats: String = ask(&redis, &["INFO", "commandstats"]).await;
        let line = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_evalsha:"));
        let calls = line.and_then(|line| line.split_once("calls=")).unwrap().1;
        calls.split(',').next().unwrap().parse().unwrap()
    };
    assert!(pieces >= 200, "{pieces}");
}

#[tokio::test]
async fn a_room_that_changes_while_it_is_opened_is_shown_as_it_is_then() {
    const MESSAGES: usize = 3_000;
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), MESSAGES).await;
    fill(&redis, &process, MESSAGES, START).await;
    let nobody = &Ignored::NOBODY;
    let page = process.messages.page(TEA, None, nobody, START);
    let before = page.await.unwrap();
    let shown: Vec<_> = before.messages.iter().map(|message| message.id).collect();

    let other = Process::holding(redis.port(), &clock(), MESSAGES).await;
    let cursor = Some(before.cursor);
    let open = other.messages.since(TEA, cursor, nobody, START);
    let change = async {
        for (number, id) in (1..).zip(&shown[90..]) {
            process.messages.delete(TEA, *id, START).await.unwrap();
            let new = new_message(100, "more", number, HOUR);
            process.append_to(TEA, VERSION, new, START).await;
        }
        process
            .messages
            .clear(TEA, EVERY_VERSION, START)
            .await
            .unwrap();
        let new = new_message(100, "the last", 99, HOUR);
        process.append_to(TEA, VERSION, new, START).await;
    };
    let (opened, ()) = tokio::join!(open, change);
    opened.unwrap();

    for process in [&process, &other] {
        process.messages.catch_up(TEA).await.unwrap();
        let page = process
            .messages
            .page(TEA, None, nobody, START)
            .await
            .unwrap();
        assert_eq!(page.messages.len(), 1);
        let since = process
            .messages
            .since(TEA, cursor, nobody, START)
            .await
            .unwrap();
        let told = match &since {
            Since::News { removed, .. } => shown.iter().all(|id| removed.contains(id)),
            Since::Reset(_) => true,
            Since::Nothing(_) => false,
        };
        assert!(told, "{since:?}");
    }
}

/// Half of the lifespan of the messages.
const HALF: Lifespan = Lifespan(Duration::from_secs(1_800));

/// Returns how many messages a process shows at `now`, with all that others have changed.
async fn count(process: &Process, now: SiteTime) -> usize {
    process.messages.catch_up(TEA).await.unwrap();
    let nobody = &Ignored::NOBODY;
    let all = process.messages.new_for(TEA, UserId(0), nobody, None, now);
    all.await.unwrap()
}

#[tokio::test]
async fn a_large_room_is_shortened_and_cleared_in_parts_that_followers_agree_on() {
    const MESSAGES: usize = 2_600;
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), MESSAGES).await;
    fill(&redis, &process, MESSAGES, START).await;
    let other = Process::holding(redis.port(), &clock(), MESSAGES).await;
    assert_eq!(count(&other, START).await, MESSAGES);
    let opens_later = Process::holding(redis.port(), &clock(), MESSAGES).await;

    process
        .messages
        .shorten(TEA, HALF, EVERY_VERSION, START)
        .await
        .unwrap();
    let end = START.plus(HALF.0);
    assert_eq!(count(&other, SiteTime(end.0 - 1)).await, MESSAGES);
    let reads_later = Process::holding(redis.port(), &clock(), MESSAGES).await;
    assert_eq!(count(&reads_later, end).await, 0);

    let theirs = process.messages.delete_by(UserId(1), TEA, START);
    theirs.await.unwrap();
    let left = count(&process, START).await;
    assert!(left < MESSAGES && left > MESSAGES / 2, "{left}");
    assert_eq!(count(&other, START).await, left);
    process
        .messages
        .clear(TEA, EVERY_VERSION, START)
        .await
        .unwrap();
    for process in [&process, &other, &opens_later] {
        assert_eq!(count(process, START).await, 0);
    }
    assert_eq!(process.messages.bytes().await, Ok(0));
    let tally = process.messages.tally();
    assert_eq!(tally.deleted.messages, u64::try_from(MESSAGES).unwrap());
}

#[tokio::test]
async fn a_shortening_that_was_interrupted_is_told_to_followers() {
    const MESSAGES: usize = 1_000;
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), MESSAGES).await;
    fill(&redis, &process, MESSAGES, START).await;
    let other = Process::holding(redis.port(), &clock(), MESSAGES).await;
    assert_eq!(count(&other, START).await, MESSAGES);

    // The first part, after which the process died.
    let script = [include_str!("prelude.lua"), include_str!("shorten.lua")].concat();
    let mut part = cmd("EVAL");
    part.arg(&script).arg(1).arg("mirage:{5eed:r1}:");
    part.arg(START.0)
        .arg(1_000_000)
        .arg(HOUR.as_millis().to_string());
    part.arg(HALF.0.as_millis().to_string())
        .arg(EVERY_VERSION)
        .arg(0);
    let _: Vec<String> = part.query_async(&mut redis.connect().await).await.unwrap();
    process
        .messages
        .shorten(TEA, HALF, EVERY_VERSION, START)
        .await
        .unwrap();

    assert_eq!(count(&other, START.plus(HALF.0)).await, 0);
}

#[tokio::test]
async fn nothing_is_left_of_a_large_room_that_is_deleted() {
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), 3_000).await;
    fill(&redis, &process, 2_600, START).await;

    process.messages.forget(TEA).await.unwrap();

    let left: Vec<String> = ask(&redis, &["KEYS", "*:r1}:*"]).await;
    assert_eq!(left, ["mirage:{5eed:r1}:meta"]);
    assert_eq!(process.messages.bytes().await, Ok(0));
}

#[tokio::test]
async fn all_messages_of_an_author_with_many_are_deleted_and_nobody_elses() {
    let redis = TestRedis::start();
    let process = Process::holding(redis.port(), &clock(), 10_000).await;
    // A seventh of them by each author.
    fill(&redis, &process, 9_000, START).await;
    let other = Process::holding(redis.port(), &clock(), 10_000).await;
    let authors = async |process: &Process| {
        process.messages.catch_up(TEA).await.unwrap();
        let authors = process.messages.authors(TEA, START).await.unwrap();
        let mut authors: Vec<i64> = authors.iter().map(|(author, _)| author.0).collect();
        authors.sort_unstable();
        authors
    };
    assert_eq!(authors(&other).await, [1, 2, 3, 4, 5, 6, 7]);

    process
        .messages
        .forget_person(UserId(3), START)
        .await
        .unwrap();

    assert_eq!(authors(&other).await, [1, 2, 4, 5, 6, 7]);
    assert_eq!(authors(&process).await, [1, 2, 4, 5, 6, 7]);
}
