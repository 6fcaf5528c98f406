use std::time::Duration;

use mirage::domain::{RoomId, Timestamp};

use crate::support::{START, TestApp, wait_from};

const LIFESPAN: Duration = Duration::from_secs(24 * 3600);

fn one_millisecond_before(moment: Timestamp) -> Timestamp {
    Timestamp(moment.0 - 1)
}

#[actix_web::test]
async fn a_message_is_on_the_page_until_its_deadline_and_not_at_it() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;

    app.clock.set(one_millisecond_before(START.plus(LIFESPAN)));
    assert_eq!(ada.messages(room).await, ["hello"]);

    app.clock.set(START.plus(LIFESPAN));
    assert!(ada.messages(room).await.is_empty());
}

#[actix_web::test]
async fn a_message_is_in_a_poll_until_its_deadline_and_not_at_it() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    ada.send(room, "hello").await;

    app.clock.set(one_millisecond_before(START.plus(LIFESPAN)));
    assert_eq!(
        ada.poll(room, &format!("?after={cursor}&wait=0"))
            .await
            .came,
        ["hello"]
    );
    assert_eq!(ada.poll(room, "?wait=0").await.came, ["hello"]);

    app.clock.set(START.plus(LIFESPAN));
    assert_eq!(
        ada.poll(room, &format!("?after={cursor}&wait=0"))
            .await
            .status,
        204
    );
    assert!(ada.poll(room, "?wait=0").await.came.is_empty());
}

#[actix_web::test]
async fn a_poll_that_waits_brings_no_message_whose_deadline_has_come() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let cursor = bob.cursor(room).await;
    let waiting = wait_from(&app, &bob, room, &cursor).await;

    // Its deadline has come by the time it wakes the poll.
    app.clock.advance(Duration::from_secs(1));
    let draft = mirage::messages::Draft {
        author: mirage::domain::UserId(1),
        author_name: "ada".into(),
        text: mirage::domain::MessageText::parse("short-lived").unwrap(),
        nonce: [1; 16],
        lifespan: mirage::domain::Lifespan(Duration::from_millis(1)),
    };
    app.state
        .messages
        .post_if(|| true, RoomId(room), &draft, START)
        .unwrap();
    ada.send(room, "longer-lived").await;

    assert_eq!(waiting.answer().await.came, ["longer-lived"]);
}

#[actix_web::test]
async fn deadlines_are_on_the_page_for_the_script() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;

    let deadline = ada.room(room).await.attribute("#log li", "data-deadline");

    assert_eq!(deadline, START.plus(LIFESPAN).0.to_string());
}

#[actix_web::test]
async fn a_clock_that_steps_back_revives_nothing() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;
    app.clock.set(START.plus(LIFESPAN));
    assert!(ada.messages(room).await.is_empty());

    app.clock.set(START);

    assert!(ada.messages(room).await.is_empty());
}

#[actix_web::test]
async fn memory_is_freed_without_traffic() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;
    assert!(app.state.messages.bytes() > 0);
    let mut sweeps = app.state.sweeps.subscribe();

    app.clock.advance(LIFESPAN);
    sweeps.mark_unchanged();
    tokio::time::timeout(Duration::from_secs(10), sweeps.changed())
        .await
        .unwrap()
        .unwrap();

    assert_eq!(app.state.messages.bytes(), 0);
}

/// What the process has in memory, in MiB.
fn mebibytes_in_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<u64>().unwrap() / 1024
}

#[actix_web::test]
async fn the_memory_of_100_000_messages_is_freed_without_traffic() {
    let app = TestApp::with(&["--max-messages=1000", "--buffer-bytes=1GiB"]).await;
    let before = mebibytes_in_memory();
    for number in 0..100_000_u128 {
        let draft = mirage::messages::Draft {
            author: mirage::domain::UserId(1),
            author_name: "ada".into(),
            text: mirage::domain::MessageText::parse(&"x".repeat(200)).unwrap(),
            nonce: number.to_be_bytes(),
            lifespan: mirage::domain::Lifespan(LIFESPAN),
        };
        let room = RoomId(i64::try_from(number % 100).unwrap());
        let posted = app.state.messages.post_if(|| true, room, &draft, START);
        assert!(posted.unwrap().is_some());
    }
    let (bytes, full) = (app.state.messages.bytes(), mebibytes_in_memory());
    let mut sweeps = app.state.sweeps.subscribe();

    app.clock.advance(LIFESPAN);
    sweeps.mark_unchanged();
    tokio::time::timeout(Duration::from_secs(10), sweeps.changed())
        .await
        .unwrap()
        .unwrap();

    assert_eq!(app.state.messages.bytes(), 0);
    let after = mebibytes_in_memory();
    eprintln!("{bytes} bytes of messages; in memory {before} MiB, then {full}, at last {after}");
}

#[actix_web::test]
async fn a_full_quiet_room_keeps_its_messages_while_a_loud_one_floods() {
    let app = TestApp::with(&["--buffer-bytes=64KiB", "--max-messages=10"]).await;
    let ada = app.sign_up("ada").await;
    let quiet = ada.create_public_room("Quiet").await;
    let loud = ada.create_public_room("Loud").await;
    for number in 0..10 {
        ada.send(quiet, &format!("quiet {number}")).await;
    }
    let before = ada.messages(quiet).await;
    assert_eq!(before.len(), 10);

    for _ in 0..40 {
        ada.send(loud, &"loud ".repeat(400))
            .await
            .assert_status(303);
    }

    assert_eq!(ada.messages(quiet).await, before);
    assert!(app.state.messages.bytes() <= 64 * 1024);
    assert!(!ada.messages(loud).await.is_empty());
}
