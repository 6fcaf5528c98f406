//! The forms that were done, wherever they are known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::redis::Unavailable;
use super::super::redis::test_redis::{TestRedis, link_to, system_clock};
use super::made::{MAX_FORMS, RETENTION};
use super::shared::LEASE;
use super::{DoneForms, Made, Turn};
use crate::domain::{NonceId, RoomId, SiteTime};

const NOW: SiteTime = SiteTime(1_795_352_700_000);
/// Long enough for a busy machine, in tests that cut no link.
const PATIENT: &[&str] = &["--link-timeout", "30s"];
const TEA: Made = Made::Room(RoomId(1));

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

async fn turn(forms: &DoneForms, nonce: u128, now: SiteTime) -> Turn {
    forms.turn(Some(nonce.to_be_bytes()), now).await.unwrap()
}

#[test]
fn what_a_form_has_made_is_known_for_ten_minutes() {
    run(async {
        let forms = DoneForms::in_memory();
        turn(&forms, 1, NOW).await.note(TEA, NOW).await;
        let last_moment = SiteTime(NOW.plus(RETENTION).0 - 1);

        assert_eq!(turn(&forms, 1, last_moment).await.made(), Some(TEA));
        assert_eq!(turn(&forms, 2, last_moment).await.made(), None);
        assert_eq!(forms.size(), 1);
        let later = NOW.plus(RETENTION);
        assert_eq!(turn(&forms, 1, later).await.made(), None);
        assert_eq!(forms.size(), 0);
    });
}

#[test]
fn the_second_request_with_a_form_waits_for_the_first_and_others_do_not() {
    run(async {
        let forms = DoneForms::in_memory();
        let first = turn(&forms, 1, NOW).await;
        let mut second = Box::pin(turn(&forms, 1, NOW));
        assert!(is_waiting(second.as_mut()).await);
        assert_eq!(turn(&forms, 2, NOW).await.made(), None);

        first.note(TEA, NOW).await;
        assert!(is_waiting(second.as_mut()).await);
        drop(first);

        assert_eq!(second.await.made(), Some(TEA));
    });
}

#[test]
fn a_request_without_a_valid_nonce_neither_waits_nor_leaves_anything() {
    run(async {
        let forms = DoneForms::in_memory();
        let first = forms.turn(None, NOW).await.unwrap();
        first.note(TEA, NOW).await;

        assert_eq!(first.made(), None);
        assert_eq!(forms.turn(None, NOW).await.unwrap().made(), None);
        assert_eq!(forms.size(), 0);
    });
}

#[test]
fn a_form_that_was_not_done_is_forgotten_when_its_last_request_is_over() {
    run(async {
        let forms = DoneForms::in_memory();
        let first = turn(&forms, 1, NOW).await;
        let mut given_up = Box::pin(turn(&forms, 1, NOW));
        assert!(is_waiting(given_up.as_mut()).await);
        drop(given_up);
        let mut second = Box::pin(turn(&forms, 1, NOW));
        assert!(is_waiting(second.as_mut()).await);

        drop(first);
        assert_eq!(forms.size(), 1);
        drop(second.await);
        assert_eq!(forms.size(), 0);
    });
}

#[test]
fn the_oldest_done_forms_are_evicted_when_there_are_too_many() {
    run(async {
        let forms = DoneForms::in_memory();
        let held = turn(&forms, u128::MAX, NOW).await;
        for nonce in 0..=10_000 {
            turn(&forms, nonce, NOW).await.note(TEA, NOW).await;
        }

        assert_eq!(forms.size(), MAX_FORMS + 1);
        drop(held);
        assert_eq!(turn(&forms, 0, NOW).await.made(), None);
        assert_eq!(turn(&forms, 1, NOW).await.made(), Some(TEA));
    });
}

#[test]
fn what_is_noted_again_replaces_what_was_noted_and_expires_with_it() {
    run(async {
        let forms = DoneForms::in_memory();
        let later = NOW.plus(RETENTION / 2);
        turn(&forms, 1, NOW).await.note(TEA, NOW).await;
        let other = Made::Room(RoomId(2));
        turn(&forms, 1, later)
            .await
            .note(other.clone(), later)
            .await;

        assert_eq!(turn(&forms, 1, later).await.made(), Some(other));
        forms.sweep(NOW.plus(RETENTION)).await;
        assert_eq!(forms.size(), 0);
    });
}

/// Polls `turn` once. Returns whether it waits.
async fn is_waiting(turn: std::pin::Pin<&mut impl Future<Output = Turn>>) -> bool {
    tokio::time::timeout(Duration::ZERO, turn).await.is_err()
}

/// The forms as two processes on one Redis know them.
async fn two_processes(redis: &TestRedis) -> [DoneForms; 2] {
    [process(redis).await, process(redis).await]
}

async fn process(redis: &TestRedis) -> DoneForms {
    let linked = link_to(redis.port(), PATIENT, system_clock()).await;
    let (link, driver) = linked.unwrap();
    tokio::spawn(driver.run());
    DoneForms::on_redis(link)
}

#[tokio::test]
async fn a_form_that_one_process_has_done_is_known_to_the_other() {
    let redis = TestRedis::start();
    let [one, other] = two_processes(&redis).await;
    turn(&one, 1, NOW).await.note(TEA, NOW).await;
    // The time that a request waits for its turn counts.
    let last_minute = NOW.plus(RETENTION).minus(Duration::from_secs(60));

    assert_eq!(turn(&other, 1, last_minute).await.made(), Some(TEA));
    assert_eq!(turn(&one, 1, last_minute).await.made(), Some(TEA));
    assert_eq!(turn(&other, 2, NOW).await.made(), None);
    assert_eq!(turn(&other, 1, NOW.plus(RETENTION)).await.made(), None);
}

#[tokio::test]
async fn requests_with_one_form_take_turns_at_all_processes_and_the_first_does_it() {
    let redis = TestRedis::start();
    let processes = two_processes(&redis).await;
    let (busy, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let request = async |forms: &DoneForms| {
        let turn = turn(forms, 1, NOW).await;
        assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0);
        if turn.made().is_none() {
            done.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            turn.note(TEA, NOW).await;
        }
        busy.fetch_sub(1, Ordering::SeqCst);
        drop(turn);
    };

    let requests = (0..20).map(|number| request(&processes[number % 2]));
    futures_util::future::join_all(requests).await;

    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_turn_that_is_renewed_outlives_its_lease_and_the_turn_of_a_killed_process_does_not() {
    let redis = TestRedis::start();
    let other = process(&redis).await;
    let port = redis.port();
    let (has_taken, is_taken) = oneshot::channel();
    let (kill, is_killed) = oneshot::channel();
    let killed = std::thread::spawn(move || {
        run(async move {
            let linked = link_to(port, PATIENT, system_clock()).await;
            let (link, driver) = linked.unwrap();
            tokio::spawn(driver.run());
            let forms = DoneForms::on_redis(link);
            // A killed process drops nothing.
            std::mem::forget(turn(&forms, 1, NOW).await);
            has_taken.send(()).unwrap();
            is_killed.await.unwrap();
        });
    });
    is_taken.await.unwrap();

    let mut second = Box::pin(turn(&other, 1, NOW));
    let waited = tokio::time::timeout(2 * LEASE, second.as_mut()).await;
    assert!(waited.is_err(), "the first turn was not over");
    kill.send(()).unwrap();
    killed.join().unwrap();
    assert_eq!(second.await.made(), None);
}

#[tokio::test]
async fn what_forms_have_made_is_gone_from_redis_after_ten_minutes() {
    let redis = TestRedis::start();
    let [one, other] = two_processes(&redis).await;
    turn(&one, 1, NOW).await.note(TEA, NOW).await;
    turn(&one, 2, NOW).await.note(TEA, NOW).await;

    other.sweep(NOW.plus(RETENTION)).await;

    let mut connection = redis.connect().await;
    let mut keys = redis::cmd("KEYS");
    keys.arg("mirage:{5eed}:forms:made:*");
    let left: Vec<String> = keys.query_async(&mut connection).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_form_is_not_done_while_redis_does_not_answer() {
    let mut redis = TestRedis::start();
    let words = &["--link-timeout", "2s"];
    let linked = link_to(redis.port(), words, system_clock()).await;
    let (link, _driver) = linked.unwrap();
    let forms = DoneForms::on_redis(link);
    redis.kill();

    let refused = forms.turn(Some(NonceId::default()), NOW).await;
    assert_eq!(refused.err(), Some(Unavailable));
}
