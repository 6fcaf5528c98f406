use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::cmd;
use tokio::sync::watch;

use super::test_redis::{Proxy, TestRedis, link_to, site_clock, system_clock};
use super::*;
use crate::clock::{Clock, FixedClock};
use crate::domain::{SiteTime, Timestamp};

/// Long enough for a busy machine, in tests that cut no link.
const PATIENT: &[&str] = &["--link-timeout", "30s"];
/// Short, in tests that cut the link.
const QUICK: &[&str] = &["--link-timeout", "2s"];
const NO_CONFIG: [&str; 3] = ["--rename-command", "CONFIG", "nothing"];
const START: Timestamp = Timestamp(1_795_352_700_000);
const DAY: Duration = Duration::from_secs(86_400);

async fn refusal(arguments: &[&str], words: &[&str]) -> String {
    let redis = TestRedis::start_with(arguments);
    match link_to(redis.port(), words, system_clock()).await {
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    }
}

/// Links, and keeps the link connected in a task of its own.
async fn up(port: u16, words: &[&str]) -> Arc<Link> {
    let (link, driver) = link_to(port, words, system_clock()).await.unwrap();
    tokio::spawn(driver.run());
    link
}

async fn wait_for(link: &Link, is_meant: impl Fn(LinkState) -> bool) -> LinkState {
    let mut states = link.states();
    *states.wait_for(|state| is_meant(*state)).await.unwrap()
}

/// Returns a handler, and what it has heard.
fn ear() -> (Handler, watch::Receiver<Vec<String>>) {
    let (heard, receiver) = watch::channel(Vec::new());
    let handler = move |payload: &[u8]| {
        let payload = String::from_utf8(payload.to_vec()).unwrap();
        heard.send_modify(|heard| heard.push(payload));
    };
    (Arc::new(handler), receiver)
}

async fn publish(redis: &TestRedis, channel: &str, text: &str) {
    let mut connection = redis.connect().await;
    let mut command = cmd("PUBLISH");
    command.arg(channel).arg(text);
    let _: u64 = command.query_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_could_write_to_a_disk_is_refused_with_a_sentence_that_says_how_to_set_it() {
    for (arguments, says) in [
        (&["--save", "3600 1"][..], "set save \"\""),
        (&["--appendonly", "yes"], "set appendonly no"),
        (
            &["--slowlog-log-slower-than", "10000"],
            "set slowlog-log-slower-than -1",
        ),
        (
            &["--maxmemory-policy", "allkeys-lru"],
            "set maxmemory-policy noeviction",
        ),
        (&NO_CONFIG, "allow that command"),
    ] {
        let sentence = refusal(arguments, PATIENT).await;
        assert!(sentence.contains(says), "{arguments:?}: {sentence}");
    }
}

#[tokio::test]
async fn what_redis_does_say_is_refused_even_if_the_rest_is_trusted() {
    let trust = &[PATIENT, &["--redis-persistence", "trust"]].concat();

    assert_eq!(refusal(&NO_CONFIG, trust).await, "");
    let sentence = refusal(&["--appendonly", "yes"], trust).await;
    assert!(sentence.contains("set appendonly no"), "{sentence}");
}

#[tokio::test]
async fn a_redis_with_a_replica_is_refused_and_so_is_the_replica() {
    let primary = TestRedis::start();
    let port = primary.port().to_string();
    let replica = TestRedis::start_with(&["--replicaof", "127.0.0.1", &port]);
    let mut connection = primary.connect().await;
    let mut set = cmd("SET");
    let _: String = set
        .arg("a")
        .arg("b")
        .query_async(&mut connection)
        .await
        .unwrap();
    connection.set_response_timeout(Duration::from_secs(60));
    // Answers when the replica has the key.
    let mut wait = cmd("WAIT");
    let replicas: u64 = wait
        .arg(1)
        .arg(60_000)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(replicas, 1);

    for (port, says) in [
        (primary.port(), "1 connected replicas"),
        (replica.port(), "is a replica"),
    ] {
        let linked = link_to(port, PATIENT, system_clock()).await;
        let sentence = linked.err().unwrap().to_string();
        assert!(sentence.contains(says), "{sentence}");
    }
}

#[tokio::test]
async fn commands_scripts_and_channels_go_through_the_link() {
    let redis = TestRedis::start();
    let link = up(redis.port(), PATIENT).await;

    let key = link.keys().site("number");
    let _: () = link.run(cmd("SET").arg(&key).arg(7)).await.unwrap();
    let script = ::redis::Script::new("return redis.call('INCR', KEYS[1])");
    assert_eq!(link.script(&script.key(&key)).await, Ok(8));

    let (handler, mut heard) = ear();
    link.subscribe("tea", handler).await.unwrap();
    publish(&redis, "tea", "hot").await;
    let heard = heard.wait_for(|heard| !heard.is_empty()).await.unwrap();
    assert_eq!(*heard, ["hot"]);
}

#[tokio::test]
async fn a_restarted_redis_is_another_life_in_which_channels_are_heard_again() {
    let mut redis = TestRedis::start();
    let link = up(redis.port(), QUICK).await;
    let (handler, mut heard) = ear();
    let before = link.subscribe("tea", handler).await.unwrap();

    redis.kill();
    assert_eq!(
        wait_for(&link, |state| state == LinkState::Down).await,
        LinkState::Down
    );
    assert_eq!(link.session(), None);
    assert_eq!(
        link.run::<String>(&cmd("PING")).await,
        Err(Unavailable),
        "nothing is sent"
    );
    redis.start_again();
    let LinkState::Up(after) = wait_for(&link, |state| state != LinkState::Down).await else {
        panic!("down");
    };

    assert!(before.number < after.number);
    assert_ne!(before.life, after.life);
    publish(&redis, "tea", "cold").await;
    let heard = heard.wait_for(|heard| !heard.is_empty()).await.unwrap();
    assert_eq!(*heard, ["cold"]);
}

#[tokio::test]
async fn a_network_that_drops_everything_is_noticed_and_mended_in_the_same_life() {
    let redis = TestRedis::start();
    let proxy = Proxy::to(redis.port()).await;
    let link = up(proxy.port, QUICK).await;
    let before = link.session().unwrap();

    proxy.cut();
    wait_for(&link, |state| state == LinkState::Down).await;
    assert_eq!(link.ready().await, Err(Unavailable));
    proxy.mend();
    let LinkState::Up(after) = wait_for(&link, |state| state != LinkState::Down).await else {
        panic!("down");
    };

    assert!(before.number < after.number);
    assert_eq!(before.life, after.life);
}

#[tokio::test]
async fn a_redis_that_was_set_to_save_is_refused_at_the_next_connection() {
    let redis = TestRedis::start();
    let link = up(redis.port(), QUICK).await;
    let mut connection = redis.connect().await;
    let mut set = cmd("CONFIG");
    set.arg("SET").arg("save").arg("3600 1");
    let _: () = set.query_async(&mut connection).await.unwrap();

    // Cuts the link.
    let mut kill = cmd("CLIENT");
    kill.arg("KILL").arg("SKIPME").arg("yes");
    let _: u64 = kill.query_async(&mut connection).await.unwrap();
    wait_for(&link, |state| state == LinkState::Down).await;

    let mut set = cmd("CONFIG");
    set.arg("SET").arg("save").arg("");
    let _: () = set.query_async(&mut connection).await.unwrap();
    wait_for(&link, |state| state != LinkState::Down).await;
}

#[tokio::test]
async fn processes_go_by_the_time_of_those_that_run_and_not_by_the_clock_of_redis() {
    let redis = TestRedis::start();
    let (first, second) = (
        Arc::new(FixedClock::at(START)),
        Arc::new(FixedClock::at(START.plus(DAY))),
    );
    let (one, other) = (site_clock(&first), site_clock(&second));
    let (_link, driver) = link_to(redis.port(), PATIENT, one.clone()).await.unwrap();
    let running = tokio::spawn(driver.run());
    assert_eq!(one.site_time(), SiteTime(START.0));

    // Its own clock is a day ahead.
    let (_other_link, driver) = link_to(redis.port(), PATIENT, other.clone()).await.unwrap();
    assert_eq!(other.site_time(), SiteTime(START.0));

    // The first process stops while the other goes on.
    running.abort();
    drop(running.await);
    second.advance(DAY);
    tokio::spawn(driver.run());
    let mark = Mutex::new(0_i64);
    let mut connection = redis.connect().await;
    while *mark.lock().unwrap() < START.plus(DAY).0 {
        let read: i64 = cmd("GET")
            .arg("mirage:{5eed}:time")
            .query_async(&mut connection)
            .await
            .unwrap();
        *mark.lock().unwrap() = read;
        tokio::task::yield_now().await;
    }
    let late = Arc::new(FixedClock::at(START));
    let third = site_clock(&late);
    let _linked = link_to(redis.port(), PATIENT, third.clone()).await.unwrap();
    assert_eq!(third.site_time(), SiteTime(START.plus(DAY).0));
}

#[tokio::test]
async fn time_goes_on_where_it_was_left_or_at_the_clock_of_the_first_process_if_that_is_later() {
    let redis = TestRedis::start();
    for (wall, time) in [
        (START, START),
        (START.minus(DAY), START),
        (START.plus(DAY), START.plus(DAY)),
    ] {
        let clock = site_clock(&Arc::new(FixedClock::at(wall)));
        let linked = link_to(redis.port(), PATIENT, clock.clone()).await.unwrap();
        assert_eq!(clock.site_time(), SiteTime(time.0));
        drop(linked);
        // Redis has noticed that the process is gone.
        let mut connection = redis.connect().await;
        loop {
            let mut command = cmd("PUBSUB");
            command.arg("NUMSUB").arg("mirage:{5eed}:words");
            let (_, listeners): (String, u64) = command.query_async(&mut connection).await.unwrap();
            if listeners == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn all_that_was_published_is_heard_by_those_who_wait_for_it() {
    let redis = TestRedis::start();
    let link = up(redis.port(), PATIENT).await;
    let other = up(redis.port(), PATIENT).await;
    let (handler, heard) = ear();
    link.subscribe("tea", handler).await.unwrap();

    for number in 1..=100 {
        let _: u64 = other
            .run(cmd("PUBLISH").arg("tea").arg(number))
            .await
            .unwrap();
        link.hear_all().await.unwrap();
        assert_eq!(heard.borrow().len(), number);
    }
}

#[tokio::test]
async fn those_who_wait_to_hear_all_at_once_share_few_words() {
    let redis = TestRedis::start();
    let link = up(redis.port(), PATIENT).await;
    let mut connection = redis.connect().await;
    let mut reset = cmd("CONFIG");
    let _: () = reset
        .arg("RESETSTAT")
        .query_async(&mut connection)
        .await
        .unwrap();

    let waits = (0..1_000).map(|_| link.hear_all());
    futures_util::future::try_join_all(waits).await.unwrap();

    let mut info = cmd("INFO");
    let stats: String = info
        .arg("commandstats")
        .query_async(&mut connection)
        .await
        .unwrap();
    let (_, publish) = stats.split_once("cmdstat_publish:calls=").unwrap();
    let (calls, _) = publish.split_once(',').unwrap();
    let calls: u32 = calls.parse().unwrap();
    assert!((1..100).contains(&calls), "{calls}");
}

#[tokio::test]
async fn nobody_hears_all_from_a_redis_that_is_silent() {
    let redis = TestRedis::start();
    let proxy = Proxy::to(redis.port()).await;
    let link = up(proxy.port, QUICK).await;
    link.hear_all().await.unwrap();

    proxy.cut();
    assert_eq!(link.hear_all().await, Err(Unavailable));
    wait_for(&link, |state| state == LinkState::Down).await;

    proxy.mend();
    wait_for(&link, |state| state != LinkState::Down).await;
    link.hear_all().await.unwrap();
}

#[tokio::test]
async fn the_memory_of_a_site_begins_when_redis_has_none_of_it() {
    let mut redis = TestRedis::start();
    let clock = Arc::new(FixedClock::at(START));
    let port = redis.port();
    let begin = async || {
        let linked = link_to(port, QUICK, site_clock(&clock)).await;
        let (link, driver) = linked.unwrap();
        tokio::spawn(driver.run());
        link
    };
    let one = begin().await;
    assert_eq!(one.memory_began_at(), Some(START));
    clock.advance(DAY);
    let other = begin().await;
    assert_eq!(other.memory_began_at(), Some(START));

    redis.kill();
    wait_for(&one, |state| state == LinkState::Down).await;
    clock.advance(DAY);
    redis.start_again();
    wait_for(&one, |state| state != LinkState::Down).await;
    wait_for(&other, |state| state != LinkState::Down).await;

    for link in [one, other] {
        assert_eq!(link.memory_began_at(), Some(START.plus(2 * DAY)));
    }
}
