//! The rate limits, by the values that were agreed on.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::super::redis::Unavailable;
use super::super::redis::test_redis::{
    TestRedis, assert_scripts_declare_their_keys, link_to, site_clock,
};
use super::super::too_many::{Limited, MAX_KEYS, TooMany};
use super::Limits;
use crate::clock::FixedClock;
use crate::config::{Command, Config};
use crate::domain::{ClientAddress, RoomId, Timestamp, UserId};

const ADA: UserId = UserId(1);
const TEA: RoomId = RoomId(1);
/// Long enough for a busy machine, in tests that cut no link.
const PATIENT: &[&str] = &["--link-timeout", "30s"];
const SECOND: Duration = Duration::from_secs(1);

/// The limits of a site, of which each call asks the next process.
struct Site {
    processes: Vec<Limits>,
    turn: Cell<usize>,
    clock: Arc<FixedClock>,
}

impl Site {
    fn new(processes: Vec<Limits>, clock: Arc<FixedClock>) -> Self {
        let turn = Cell::new(0);
        Self {
            processes,
            turn,
            clock,
        }
    }

    fn next(&self) -> &Limits {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.processes.len());
        self.processes.get(turn).unwrap()
    }

    async fn passwords(&self, name: &str, from: u32) -> usize {
        tries(async || self.next().password(name, address(from)).await).await
    }

    async fn sign_ups(&self, from: u32) -> usize {
        tries(async || self.next().sign_up(address(from)).await).await
    }

    async fn joins(&self, user: UserId) -> usize {
        tries(async || self.next().join(user, None).await).await
    }

    /// Counts how many tries with the right or a wrong password of a private room in a row are looked at.
    async fn room_tries(&self, user: i64, is_wrong: bool) -> usize {
        let one = async || {
            let name = Some("tea".to_owned());
            let attempt = self.next().join(UserId(user), name).await?;
            if is_wrong {
                attempt.count_as_wrong().await;
            } else {
                attempt.give_back().await;
            }
            Ok(())
        };
        tries(one).await
    }

    async fn new_rooms(&self, user: UserId) -> usize {
        tries(async || self.next().new_room(user).await).await
    }

    async fn room_passwords(&self, user: UserId) -> usize {
        tries(async || self.next().room_password(user).await).await
    }

    async fn changes(&self, user: UserId) -> usize {
        tries(async || self.next().change(user).await).await
    }

    async fn reports(&self, user: UserId, room: RoomId) -> usize {
        tries(async || self.next().report(user, room).await).await
    }

    async fn links(&self, from: u32) -> usize {
        tries(async || self.next().link(address(from)).await).await
    }
}

fn config() -> Box<Config> {
    match Command::parse(["mirage"]) {
        Ok(Command::Serve(config)) => config,
        _ => panic!("there are no default settings"),
    }
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(Timestamp(1_795_352_700_000)))
}

fn memory(is_on: bool) -> Site {
    let clock = clock();
    let limits = Limits::in_memory(is_on, &config().rates, clock.clone());
    Site::new(vec![limits], clock)
}

/// Two processes on one Redis.
async fn on_redis(is_on: bool, redis: &TestRedis, words: &[&str]) -> Site {
    let clock = clock();
    let mut processes = Vec::new();
    for _ in 0..2 {
        let site_clock = site_clock(&clock);
        let link = link_to(redis.port(), words, site_clock.clone());
        let (link, driver) = link.await.unwrap();
        tokio::spawn(driver.run());
        processes.push(Limits::on_redis(is_on, &config().rates, site_clock, link));
    }
    Site::new(processes, clock)
}

/// Runs a test of limits that are on or off, wherever they are counted.
async fn everywhere(is_on: bool, test: impl AsyncFn(&Site)) {
    test(&memory(is_on)).await;
    let redis = TestRedis::start();
    test(&on_redis(is_on, &redis, PATIENT).await).await;
}

fn address(number: u32) -> ClientAddress {
    IpAddr::from(Ipv4Addr::from_bits(number)).into()
}

/// Counts how often `pass` succeeds in a row, at most 1,000 times.
async fn tries<T>(pass: impl AsyncFn() -> Result<T, Limited>) -> usize {
    let mut passed = 0;
    while passed < 1000 && pass().await.is_ok() {
        passed += 1;
    }
    passed
}

fn too_many(wait_s: u64) -> Result<(), Limited> {
    Err(Limited::TooMany(TooMany { wait_s }))
}

#[tokio::test]
async fn disabled_limits_let_everything_pass() {
    everywhere(false, async |site| {
        assert_eq!(site.reports(ADA, TEA).await, 1000);
        assert_eq!(site.passwords("ada", 1).await, 1000);
        assert_eq!(site.sign_ups(1).await, 1000);
        assert_eq!(site.joins(ADA).await, 1000);
        assert_eq!(site.new_rooms(ADA).await, 1000);
        assert_eq!(site.room_passwords(ADA).await, 1000);
        assert_eq!(site.changes(ADA).await, 1000);
        assert_eq!(site.links(1).await, 1000);
    })
    .await;
}

#[tokio::test]
async fn a_person_can_report_five_messages_of_a_room_and_then_one_per_second() {
    everywhere(true, async |site| {
        assert_eq!(site.reports(ADA, TEA).await, 5);
        site.clock.advance(3 * SECOND);
        assert_eq!(site.reports(ADA, TEA).await, 3);
        assert_eq!(site.reports(ADA, RoomId(2)).await, 5);
    })
    .await;
}

#[tokio::test]
async fn an_address_can_try_one_name_ten_times_and_then_every_thirty_seconds() {
    everywhere(true, async |site| {
        assert_eq!(site.passwords("ada", 1).await, 10);
        let refused = site.next().password("ada", address(1)).await;
        assert_eq!(refused, too_many(30));
        assert_eq!(site.passwords("bob", 1).await, 10);
        assert_eq!(site.passwords("ada", 2).await, 10);
        site.clock.advance(60 * SECOND);
        assert_eq!(site.passwords("ada", 1).await, 2);
    })
    .await;
}

#[tokio::test]
async fn an_address_can_try_all_names_sixty_times_and_then_once_per_second() {
    async fn all(site: &Site, mut names: Range<u32>) -> usize {
        let mut passed = 0;
        while let Some(name) = names.next()
            && let limits = site.next()
            && limits.password(&name.to_string(), address(1)).await.is_ok()
        {
            passed += 1;
        }
        passed
    }

    everywhere(true, async |site| {
        assert_eq!(all(site, 0..100).await, 60);
        site.clock.advance(3 * SECOND);
        assert_eq!(all(site, 100..200).await, 3);
        assert_eq!(site.passwords("1", 2).await, 10);
    })
    .await;
}

#[tokio::test]
async fn an_address_can_create_ten_accounts_per_hour() {
    everywhere(true, async |site| {
        assert_eq!(site.sign_ups(1).await, 10);
        assert_eq!(site.sign_ups(2).await, 10);
        site.clock.advance(3600 * SECOND);
        assert_eq!(site.sign_ups(1).await, 10);
    })
    .await;
}

#[tokio::test]
async fn a_person_can_try_ten_private_rooms_and_then_one_per_minute() {
    everywhere(true, async |site| {
        assert_eq!(site.joins(ADA).await, 10);
        assert_eq!(site.joins(UserId(2)).await, 10);
        site.clock.advance(120 * SECOND);
        assert_eq!(site.joins(ADA).await, 2);
    })
    .await;
}

#[tokio::test]
async fn everybody_together_can_give_sixty_wrong_passwords_of_a_private_room_per_hour() {
    everywhere(true, async |site| {
        for user in 0..6 {
            assert_eq!(site.room_tries(user, true).await, 10);
        }
        site.clock.advance(600 * SECOND);

        // Ten tries of the name and of each person are back.
        assert_eq!(site.room_tries(0, true).await, 10);
        assert_eq!(site.room_tries(1, true).await, 0);
        assert_eq!(site.room_tries(7, false).await, 10);
        assert_eq!(site.room_tries(8, true).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_person_can_create_twenty_rooms_per_hour() {
    everywhere(true, async |site| {
        assert_eq!(site.new_rooms(ADA).await, 20);
        assert_eq!(site.new_rooms(UserId(2)).await, 20);
        site.clock.advance(3600 * SECOND);
        assert_eq!(site.new_rooms(ADA).await, 20);
    })
    .await;
}

#[tokio::test]
async fn a_person_can_set_ten_room_passwords_and_then_one_per_minute() {
    everywhere(true, async |site| {
        assert_eq!(site.room_passwords(ADA).await, 10);
        assert_eq!(site.room_passwords(UserId(2)).await, 10);
        site.clock.advance(120 * SECOND);
        assert_eq!(site.room_passwords(ADA).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_person_can_make_thirty_changes_and_then_one_per_second() {
    everywhere(true, async |site| {
        assert_eq!(site.changes(ADA).await, 30);
        assert_eq!(site.changes(UserId(2)).await, 30);
        site.clock.advance(3 * SECOND);
        assert_eq!(site.changes(ADA).await, 3);
    })
    .await;
}

#[tokio::test]
async fn an_address_can_open_thirty_links_per_minute() {
    everywhere(true, async |site| {
        assert_eq!(site.links(1).await, 30);
        assert_eq!(site.next().link(address(1)).await, too_many(2));
        assert_eq!(site.links(2).await, 30);
        site.clock.advance(60 * SECOND);
        assert_eq!(site.links(1).await, 30);
    })
    .await;
}

#[tokio::test]
async fn a_million_addresses_use_little_memory() {
    let site = memory(true);
    for number in 0..1_000_000 {
        // After every 200,000 addresses, all earlier ones get their full quota back.
        if number % 200_000 == 0 {
            site.clock.advance(3600 * SECOND);
        }
        site.next().sign_up(address(number)).await.unwrap();
        assert!(site.next().size() < MAX_KEYS);
    }

    let entry = size_of::<(ClientAddress, u64)>();
    assert!(entry * MAX_KEYS < 4 << 20, "{entry} bytes a key");
}

#[tokio::test]
async fn an_exhausted_key_stays_limited_when_others_are_evicted() {
    let site = memory(true);
    let old = u32::try_from(MAX_KEYS).unwrap() - 10;
    for number in 1..old {
        site.next().sign_up(address(number)).await.unwrap();
    }
    site.clock.advance(3600 * SECOND);
    assert_eq!(site.sign_ups(0).await, 10);

    for number in old..old + 100 {
        site.next().sign_up(address(number)).await.unwrap();
    }

    assert!(site.next().size() <= 101);
    assert!(site.next().sign_up(address(0)).await.is_err());
}

#[tokio::test]
async fn sweeping_frees_keys_with_their_full_quota() {
    let site = memory(true);
    site.reports(ADA, TEA).await;

    site.clock.advance(120 * SECOND);
    site.next().sweep();

    assert_eq!(site.next().size(), 0);
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_given_back() {
    let redis = TestRedis::start();
    for site in [memory(true), on_redis(true, &redis, PATIENT).await] {
        let name = Some("tea".to_owned());
        for user in 0..7 {
            for _ in 0..9 {
                drop(site.next().join(UserId(user), name.clone()).await.unwrap());
            }
        }
        wait_for_tries_to_end(&redis).await;

        assert_eq!(site.room_tries(9, true).await, 10);
    }
}

async fn wait_for_tries_to_end(redis: &TestRedis) {
    let mut connection = redis.connect().await;
    let mut count = redis::cmd("HLEN");
    count.arg("mirage:{5eed}:limit:join-name:tries");
    while count.query_async::<usize>(&mut connection).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_limited_is_done_while_redis_does_not_answer() {
    let mut redis = TestRedis::start();
    let site = on_redis(true, &redis, &["--link-timeout", "2s"]).await;
    redis.kill();

    let limits = site.next();
    let unavailable = Err(Limited::Unavailable(Unavailable));
    assert_eq!(limits.change(ADA).await, unavailable);
    assert_eq!(limits.password("ada", address(1)).await, unavailable);
    assert!(limits.join(ADA, Some("tea".to_owned())).await.is_err());
}

#[tokio::test]
async fn redis_keeps_no_address_that_has_its_full_quota_again() {
    let redis = TestRedis::start();
    let site = on_redis(true, &redis, PATIENT).await;
    for number in 0..1_000 {
        site.next().sign_up(address(number)).await.unwrap();
    }
    site.clock.advance(3600 * SECOND);

    site.next().sign_up(address(0)).await.unwrap();

    let mut connection = redis.connect().await;
    let mut count = redis::cmd("ZCARD");
    count.arg("mirage:{5eed}:limit:sign-up");
    let counted: usize = count.query_async(&mut connection).await.unwrap();
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn scripts_that_count_use_only_the_keys_that_they_declare() {
    let redis = TestRedis::start();
    let site = on_redis(true, &redis, PATIENT).await;

    let asked = redis
        .monitor(async || {
            assert!(site.next().report(ADA, TEA).await.is_ok());
            assert!(site.next().sign_up(address(1)).await.is_ok());
            let tried = site.next().join(ADA, Some("tea".to_owned())).await;
            assert!(tried.is_ok());
        })
        .await;

    assert_scripts_declare_their_keys(&asked);
}
