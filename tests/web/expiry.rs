use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::join_all;
use mirage::clock::{Clock, Stopwatch};
use mirage::domain::{RoomId, Timestamp};
use mirage::live::messages::{Appended, NewMessage, Quota, Wish};
use mirage::security::tokens::Token;

use crate::program::Running;
use crate::support::{Browser, PASSWORD, START, TestApp, db_column, start_poll_from};

const LIFESPAN: Duration = Duration::from_secs(24 * 3600);

fn one_millisecond_before(moment: Timestamp) -> Timestamp {
    Timestamp(moment.0 - 1)
}

#[actix_web::test]
async fn a_message_leaves_the_page_exactly_at_its_deadline() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;

    app.clock
        .advance_to(one_millisecond_before(START.plus(LIFESPAN)));
    assert_eq!(ada.messages(room).await, ["hello"]);

    app.clock.advance_to(START.plus(LIFESPAN));
    assert!(ada.messages(room).await.is_empty());
}

#[actix_web::test]
async fn a_message_leaves_polls_exactly_at_its_deadline() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    ada.send(room, "hello").await;
    app.hear_all(room).await;

    app.clock
        .advance_to(one_millisecond_before(START.plus(LIFESPAN)));
    assert_eq!(
        ada.poll(room, &format!("?after={cursor}&wait=0"))
            .await
            .added,
        ["hello"]
    );
    assert_eq!(ada.poll(room, "?wait=0").await.added, ["hello"]);

    app.clock.advance_to(START.plus(LIFESPAN));
    assert_eq!(
        ada.poll(room, &format!("?after={cursor}&wait=0"))
            .await
            .status,
        204
    );
    assert!(ada.poll(room, "?wait=0").await.added.is_empty());
}

#[actix_web::test]
async fn a_waiting_poll_never_returns_an_expired_message() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let cursor = bob.cursor(room).await;
    let waiting = start_poll_from(&app, &bob, room, &cursor).await;

    // The message has expired by the time it wakes the poll.
    app.clock.advance(Duration::from_secs(1));
    let room_held = app.core.rooms.peek(RoomId(room)).unwrap();
    let wish = Wish {
        version: room_held.version,
        message: NewMessage {
            author: mirage::domain::UserId(1),
            author_name: "ada".into(),
            text: mirage::domain::MessageText::parse("short-lived").unwrap(),
            nonce: [1; 16],
            lifespan: mirage::domain::Lifespan(Duration::from_millis(1)),
            sent_at: START,
        },
        session: Token::received("").digest(),
        session_ended: &AtomicBool::new(false),
        quota: Quota::UNLIMITED,
    };
    // Nothing may wake the poll before: it would look at the room, where no message is then posted at an earlier time.
    let at = mirage::domain::SiteTime(START.0);
    let appended = app
        .core
        .messages
        .append(RoomId(room), &wish, at)
        .await
        .unwrap();
    assert!(matches!(appended, Appended::New(_)));
    ada.send(room, "longer-lived").await;

    assert_eq!(waiting.answer().await.added, ["longer-lived"]);
}

#[actix_web::test]
async fn the_page_tells_the_script_each_deadline() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;

    let deadline = ada.room(room).await.attribute("#log li", "data-deadline");

    assert_eq!(deadline, START.plus(LIFESPAN).0.to_string());
}

#[actix_web::test]
async fn a_clock_that_steps_back_revives_no_message() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;
    app.clock.advance_to(START.plus(LIFESPAN));
    assert!(ada.messages(room).await.is_empty());

    app.clock.set_wall(START);

    assert!(ada.messages(room).await.is_empty());
}

#[actix_web::test]
async fn expired_messages_are_freed_without_traffic() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;
    assert!(app.core.messages.bytes().await.unwrap() > 0);
    let sweep = app.next_sweep();

    app.clock.advance(LIFESPAN);
    sweep.done().await;

    assert_eq!(app.core.messages.bytes().await.unwrap(), 0);
}

#[actix_web::test]
async fn memory_of_many_expired_messages_is_freed_without_traffic() {
    let app = TestApp::with(&["--max-messages=1000", "--buffer-bytes=1GiB"]).await;
    let send = async |number: u128| {
        let wish = Wish {
            version: 0,
            message: NewMessage {
                author: mirage::domain::UserId(1),
                author_name: "ada".into(),
                text: mirage::domain::MessageText::parse(&"x".repeat(200)).unwrap(),
                nonce: number.to_be_bytes(),
                lifespan: mirage::domain::Lifespan(LIFESPAN),
                sent_at: START,
            },
            session: Token::received("").digest(),
            session_ended: &AtomicBool::new(false),
            quota: Quota::UNLIMITED,
        };
        let room = RoomId(i64::try_from(number % 100).unwrap());
        app.core
            .messages
            .open(room)
            .await
            .unwrap()
            .raise_version(0)
            .await
            .unwrap();
        let appended = app.core.messages.append(room, &wish, app.clock.site_time());
        assert!(matches!(appended.await, Ok(Appended::New(_))));
    };
    let mut sent = 0;
    while sent < 10_000 {
        // To all rooms at once: each takes a round trip to Redis.
        join_all((sent..sent + 100).map(send)).await;
        sent += 100;
    }
    let bytes = app.core.messages.bytes().await.unwrap();
    assert!(u128::try_from(bytes).unwrap() > sent * 200);
    let sweep = app.next_sweep();

    app.clock.advance(LIFESPAN);
    sweep.done().await;

    assert_eq!(app.core.messages.bytes().await.unwrap(), 0);
    eprintln!("{bytes} bytes of messages were freed");
}

/// Sends long messages one after the other, as the script does.
async fn send_long(browser: Browser, room: i64, messages: usize) {
    let text = "漢".repeat(2_000);
    let mut nonce = browser.nonce(room).await;
    for _ in 0..messages {
        let page = browser.send_by_script(room, &text, &nonce).await;
        page.assert_status(204);
        page.header("mirage-nonce").clone_into(&mut nonce);
    }
}

#[actix_web::test]
async fn memory_of_expired_messages_returns_to_the_system_without_traffic() {
    const SENDERS: usize = 4;
    const MESSAGES: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--limits=off",
        "--message-lifespan=30s",
        "--max-messages=5000",
    ];
    let running = Running::start(folder.path(), &flags);
    let ada = running.browser.clone();
    ada.post("/register", &[("name", "ada"), ("password", PASSWORD)])
        .await
        .assert_status(303);
    let room = ada.create_public_room("Tea").await;
    let before = running.mebibytes();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(send_long(ada.clone(), room, MESSAGES / SENDERS)))
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let full = running.mebibytes();
    assert!(full > before + 16, "{before} MiB, then {full}");

    let watch = Stopwatch::start();
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while running.mebibytes() > before + 10 {
        looks.tick().await;
        let waited = watch.elapsed();
        assert!(
            waited < Duration::from_secs(60),
            "{} MiB",
            running.mebibytes()
        );
    }
    eprintln!(
        "in memory {before} MiB, {full} with messages, {} after {:?}",
        running.mebibytes(),
        watch.elapsed()
    );
    running.stop("-TERM");
}

#[actix_web::test]
async fn a_flooded_room_does_not_evict_the_messages_of_a_quiet_one() {
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
    assert!(app.core.messages.bytes().await.unwrap() <= 64 * 1024);
    assert!(!ada.messages(loud).await.is_empty());
}

#[actix_web::test]
async fn a_wall_clock_that_is_wrong_for_a_while_ends_nothing_and_revives_nothing() {
    let year = Duration::from_secs(400 * 86_400);
    for wrong in [START.plus(year), START.minus(year)] {
        let app = TestApp::spawn().await;
        let ada = app.sign_up("ada").await;
        let room = ada.create_private_room("Tea").await;
        ada.send(room, "before").await.assert_status(303);
        let invite = [("life", "day"), ("uses", "no-limit")];
        let invites = format!("/rooms/{room}/invites");
        ada.post(&invites, &invite).await.assert_status(200);

        app.clock.set_wall(wrong);
        app.clock.advance(Duration::from_secs(6));
        ada.send(room, "during").await.assert_status(303);
        mirage::services::sessions::delete_expired(&app.core)
            .await
            .unwrap();
        mirage::services::invites::delete_expired(&app.core)
            .await
            .unwrap();
        app.clock.set_wall(START.plus(Duration::from_secs(7)));

        assert_eq!(ada.messages(room).await, ["before", "during"]);
        let times = ada.room(room).await.texts("#log time");
        assert_eq!(times[1], "13:05 UTC", "{times:?}");
        assert_eq!(ada.get(&invites).await.texts("main li").len(), 1);
        app.clock.advance(LIFESPAN);
        assert!(ada.messages(room).await.is_empty());
        let digests = "SELECT token_digest FROM invites";
        mirage::services::invites::delete_expired(&app.core)
            .await
            .unwrap();
        assert!(db_column(&app, digests).await.is_empty());
    }
}
