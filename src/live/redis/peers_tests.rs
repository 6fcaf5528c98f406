//! Processes that tell each other something, and wait until it is applied.

use std::sync::Arc;
use std::time::Duration;

use redis::cmd;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::test_redis::{Proxy, TestRedis, link_to, system_clock};
use super::*;
use crate::clock::Stopwatch;

/// Long enough for a busy machine, in tests that cut no link.
const PATIENT: &[&str] = &["--link-timeout", "30s"];
/// Short, in tests that cut the link.
const QUICK: &[&str] = &["--link-timeout", "2s"];
const QUICK_TIMEOUT: Duration = Duration::from_secs(2);
/// Less than the time that `PATIENT` allows.
const SOON: Duration = Duration::from_secs(10);

/// What one process has.
struct Process {
    link: Arc<Link>,
    applied: watch::Receiver<Vec<String>>,
    driver: JoinHandle<()>,
}

impl Process {
    async fn start(port: u16, words: &[&str]) -> Self {
        let (link, driver) = link_to(port, words, system_clock()).await.unwrap();
        let applied = ear(&link);
        Self {
            link,
            applied,
            driver: tokio::spawn(driver.run()),
        }
    }

    fn applied(&self) -> Vec<String> {
        self.applied.borrow().clone()
    }

    /// Ends as a killed process does.
    async fn kill(self) {
        self.driver.abort();
        drop(self.driver.await);
    }
}

/// Notes what is applied.
fn ear(link: &Link) -> watch::Receiver<Vec<String>> {
    let (heard, receiver) = watch::channel(Vec::new());
    link.apply_told(Arc::new(move |text: &[u8]| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        heard.send_modify(|heard| heard.push(text));
    }));
    receiver
}

async fn tell(process: &Process, text: &str) {
    let told = timeout(SOON, process.link.tell_peers(text)).await;
    told.expect("a process is waited for").unwrap();
}

#[tokio::test]
async fn a_text_is_told_when_all_other_processes_have_applied_it() {
    let redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    let others = [
        Process::start(redis.port(), PATIENT).await,
        Process::start(redis.port(), PATIENT).await,
    ];
    for number in 1..=50 {
        tell(&one, &number.to_string()).await;

        for other in &others {
            assert_eq!(other.applied().len(), number);
            assert_eq!(other.applied().last(), Some(&number.to_string()));
        }
    }
    assert_eq!(one.applied(), [""; 0]);
    tell(&others[0], "back").await;
    assert_eq!(one.applied(), ["back"]);
}

#[tokio::test]
async fn texts_that_are_told_at_once_are_answered_each() {
    let redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    let other = Process::start(redis.port(), PATIENT).await;

    tokio::join!(tell(&one, "a"), tell(&one, "b"), tell(&other, "c"));

    let mut applied = other.applied();
    applied.sort();
    assert_eq!(applied, ["a", "b"]);
    assert_eq!(one.applied(), ["c"]);
}

#[tokio::test]
async fn a_process_without_others_sends_nothing() {
    let mut redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    one.driver.abort();
    redis.kill();

    one.link.tell_peers("alone").await.unwrap();
}

#[tokio::test]
async fn another_site_on_the_same_redis_is_not_told() {
    let redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    let stranger = test_redis::link_as("another", redis.port(), PATIENT, system_clock()).await;
    let (stranger, driver) = stranger.unwrap();
    let applied = ear(&stranger);
    tokio::spawn(driver.run());

    tell(&one, "private").await;

    assert_eq!(*applied.borrow(), Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_starts_is_waited_for_from_its_first_session_on() {
    let redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    let linked = link_to(redis.port(), PATIENT, system_clock()).await;
    let (link, driver) = linked.unwrap();

    // It hears nothing yet.
    let mut telling = Box::pin(tell(&one, "early"));
    let waited = timeout(Duration::from_secs(1), telling.as_mut()).await;
    assert!(waited.is_err(), "the other process was not waited for");

    let applied = ear(&link);
    tokio::spawn(driver.run());
    telling.await;
    assert_eq!(*applied.borrow(), ["early"]);
}

#[tokio::test]
async fn a_process_that_starts_knows_the_others_from_its_first_session_on() {
    let redis = TestRedis::start();
    let other = Process::start(redis.port(), PATIENT).await;
    for number in 1..=20 {
        let one = Process::start(redis.port(), PATIENT).await;
        tell(&one, "early").await;
        assert_eq!(other.applied().len(), number);
        one.link.leave().await;
        one.kill().await;
    }
}

#[tokio::test]
async fn a_killed_process_is_not_waited_for() {
    let redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    let other = Process::start(redis.port(), PATIENT).await;
    tell(&one, "before").await;

    other.kill().await;

    tell(&one, "after").await;
    assert!(one.link.peers().tell(one.link.time()).is_none());
}

#[tokio::test]
async fn a_process_that_leaves_is_not_waited_for_even_by_those_that_wait_already() {
    let redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    let linked = link_to(redis.port(), PATIENT, system_clock()).await;
    // Its subscription stays, and hears nothing.
    let (other, _driver) = linked.unwrap();

    tokio::join!(tell(&one, "last"), other.leave());

    assert!(one.link.peers().tell(one.link.time()).is_none());
}

#[tokio::test]
async fn a_process_that_is_cut_off_is_waited_for_only_as_long_as_its_link_may_last() {
    let redis = TestRedis::start();
    let proxy = Proxy::to(redis.port()).await;
    let one = Process::start(redis.port(), QUICK).await;
    let mut other = Process::start(proxy.port, QUICK).await;
    tell(&one, "before").await;

    proxy.cut();
    let watch = Stopwatch::start();
    tell(&one, "lost").await;

    // Redis holds the connection, so that only its silence tells.
    let waited = watch.elapsed();
    assert!(QUICK_TIMEOUT <= waited, "{waited:?}");
    assert_eq!(other.link.session(), None);
    assert!(one.link.peers().tell(one.link.time()).is_none());
    proxy.mend();
    other.link.up().await;
    tell(&one, "again").await;
    let again = other.applied.wait_for(|applied| applied.len() == 2).await;
    assert_eq!(*again.unwrap(), ["before", "again"]);
}

#[tokio::test]
async fn a_process_whose_link_was_cut_knows_the_others_in_its_next_session() {
    let redis = TestRedis::start();
    let one = Process::start(redis.port(), PATIENT).await;
    let other = Process::start(redis.port(), PATIENT).await;
    for number in 1..=10 {
        let links = [&one.link, &other.link];
        let before = links.map(|link| link.session().unwrap().number);
        let mut connection = redis.connect().await;
        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("SKIPME").arg("yes");
        let _: u64 = kill.query_async(&mut connection).await.unwrap();
        for (link, before) in links.into_iter().zip(before) {
            let is_next = |state: &LinkState| match state {
                LinkState::Up(session) => before < session.number,
                LinkState::Down => false,
            };
            link.states().wait_for(is_next).await.unwrap();
        }

        tell(&one, "after").await;
        assert_eq!(other.applied().len(), number);
    }
}
