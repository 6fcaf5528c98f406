use std::time::Duration;

use crate::support::{Page, TestApp, start_poll_from, text_of};

#[actix_web::test]
async fn a_poll_returns_the_messages_after_its_cursor() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "before").await;
    let cursor = bob.cursor(room).await;
    ada.send(room, "after").await;

    let poll = bob.poll(room, &format!("?after={cursor}")).await;

    assert_eq!((poll.status, poll.is_reset), (200, false));
    assert_eq!(poll.added, ["after"]);
    assert_ne!(poll.cursor, cursor);
    assert_eq!(poll.page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        item_with("after", &poll.page),
        item_with("after", &bob.room(room).await)
    );
}

/// The HTML of the list item with this message text.
fn item_with(text: &str, page: &Page) -> String {
    let html = page.html();
    let items = scraper::Selector::parse("li[data-deadline]").unwrap();
    let item = html
        .select(&items)
        .find(|item| text_of(*item).contains(text));
    item.unwrap().html()
}

#[actix_web::test]
async fn a_poll_with_nothing_new_is_a_204_with_the_cursor() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;
    let cursor = ada.cursor(room).await;

    let poll = ada.poll(room, &format!("?after={cursor}&wait=0")).await;

    assert_eq!((poll.status, poll.cursor), (204, cursor));
}

#[actix_web::test]
async fn a_poll_waits_no_longer_than_configured() {
    let app = TestApp::with(&["--poll-wait=100ms"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;

    let poll = ada.poll(room, &format!("?after={cursor}")).await;

    assert_eq!(poll.status, 204);
}

#[actix_web::test]
async fn a_waiting_poll_is_answered_when_a_message_arrives() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let cursor = bob.cursor(room).await;
    let waiting = start_poll_from(&app, &bob, room, &cursor).await;

    ada.send(room, "hello").await;

    let poll = waiting.answer().await;
    assert_eq!((poll.status, poll.added), (200, vec!["hello".to_owned()]));
}

#[actix_web::test]
async fn a_poll_with_an_unusable_cursor_returns_all_messages() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;

    for query in ["", "?after=", "?after=1-1-1", "?after=nonsense", "?wait=0"] {
        let poll = ada.poll(room, query).await;

        assert_eq!((poll.status, poll.is_reset), (200, true), "{query}");
        assert_eq!(poll.is_restart, query == "?after=1-1-1", "{query}");
        assert_eq!(poll.added, ["hello"]);
    }
}

#[actix_web::test]
async fn a_poll_reports_evicted_messages() {
    let app = TestApp::with(&["--max-messages=2"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "one").await;
    let page = ada.room(room).await;
    let (first, cursor) = (
        page.attribute("#log li", "id"),
        page.attribute("#log", "data-cursor"),
    );
    ada.send(room, "two").await;
    ada.send(room, "three").await;
    app.hear_all(room).await;

    let poll = ada.poll(room, &format!("?after={cursor}")).await;

    assert_eq!(poll.removed, [first]);
    assert_eq!(poll.added, ["two", "three"]);
}

#[actix_web::test]
async fn a_warm_poll_makes_no_database_query() {
    let app = TestApp::spawn().await;
    // Each server holds what it has read.
    let ada = app.sign_up("ada").await.at(&app.address);
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let before = app.db_statements();
    assert!(before > 0, "statements are counted");

    for _ in 0..10 {
        assert_eq!(
            ada.poll(room, &format!("?after={cursor}&wait=0"))
                .await
                .status,
            204
        );
    }

    assert_eq!(app.db_statements(), before);
}

#[actix_web::test]
async fn leaving_the_room_ends_a_waiting_poll_at_once_without_content() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let public = ada.create_public_room("Tea").await;
    let private = ada.create_private_room("Cake").await;
    bob.join(public).await;
    bob.join_privately("Cake", crate::support::ROOM_PASSWORD)
        .await;

    for (room, status) in [(public, 403), (private, 404)] {
        let cursor = bob.cursor(room).await;
        let waiting = start_poll_from(&app, &bob, room, &cursor).await;

        bob.leave(room).await;

        let poll = waiting.answer().await;
        assert_eq!((poll.status, poll.page.body.as_str()), (status, ""));
    }
}

#[actix_web::test]
async fn a_waiting_poll_ends_when_the_room_is_deleted() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let waiting = start_poll_from(&app, &ada, room, &cursor).await;

    ada.leave(room).await;

    assert_eq!(waiting.answer().await.status, 404);
}

#[actix_web::test]
async fn signing_out_ends_a_waiting_poll_at_once() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let waiting = start_poll_from(&app, &ada, room, &cursor).await;

    ada.post("/logout", &[("sign-out", "1")]).await;

    let poll = waiting.answer().await;
    assert_eq!((poll.status, poll.page.body.as_str()), (401, ""));
}

#[actix_web::test]
async fn a_session_has_at_most_four_waiting_polls() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    // Each server counts the polls that wait at it.
    let ada = ada.at(&app.address);
    let cursor = ada.cursor(room).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(start_poll_from(&app, &ada, room, &cursor).await);
    }

    let fifth = ada.poll(room, &format!("?after={cursor}")).await;
    assert_eq!((fifth.status, fifth.page.header("mirage-wait")), (204, "0"));
    assert_eq!(fifth.cursor, cursor);

    bob.send(room, "hello").await;
    for poll in waiting {
        assert_eq!(poll.answer().await.added, ["hello"]);
    }
    let cursor = ada.cursor(room).await;
    let again = start_poll_from(&app, &ada, room, &cursor).await;
    bob.send(room, "again").await;
    assert_eq!(again.answer().await.added, ["again"]);
}

#[actix_web::test]
async fn script_requests_are_refused_with_a_status_and_no_page() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let public = ada.create_public_room("Tea").await;
    let private = ada.create_private_room("Cake").await;

    for (browser, room, status) in [
        (&app.anonymous(), public, 401),
        (&app.anonymous(), 999, 401),
        (&bob, public, 403),
        (&bob, private, 404),
        (&bob, 999, 404),
    ] {
        let poll = browser.poll(room, "").await;
        assert_eq!((poll.status, poll.page.body.as_str()), (status, ""));
        assert!(!poll.page.headers.contains_key("location"));
    }
    for path in ["/rooms/x/poll", "/rooms/99999999999999999999/poll"] {
        let page = ada.get(path).await;
        assert_eq!((page.status.as_u16(), page.body.as_str()), (404, ""));
    }
    let page = ada
        .get(&format!("/rooms/{public}/poll?wait=0&wait=1"))
        .await;
    assert_eq!(page.status, 200);
}

#[actix_web::test]
async fn a_shutdown_answers_waiting_polls_and_ends() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let waiting = start_poll_from(&app, &ada, room, &cursor).await;

    tokio::time::timeout(Duration::from_secs(20), app.stop())
        .await
        .unwrap();

    assert_eq!(waiting.answer().await.status, 204);
}
