//! New messages since the last visit.

use std::time::Duration;

use crate::support::{Browser, Page, TestApp};

fn parts(page: &Page) -> Vec<String> {
    page.texts("#log h3, #log .text")
}

async fn create_shared_room(app: &TestApp) -> (Browser, Browser, i64) {
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    (ada, bob, room)
}

fn new_message_counts(page: &Page) -> Vec<String> {
    page.texts(".rooms strong")
}

#[actix_web::test]
async fn your_rooms_counts_other_peoples_messages_since_the_last_visit() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    bob.room(room).await;
    assert!(new_message_counts(&bob.get("/rooms/mine").await).is_empty());

    ada.send(room, "one").await;
    assert_eq!(
        new_message_counts(&bob.get("/rooms/mine").await),
        ["1 new message."]
    );
    ada.send(room, "two").await;
    assert_eq!(
        new_message_counts(&bob.get("/rooms/mine").await),
        ["2 new messages."]
    );
    assert!(
        new_message_counts(&ada.get("/rooms/mine").await).is_empty(),
        "one's own are not new"
    );

    bob.room(room).await;
    assert!(new_message_counts(&bob.get("/rooms/mine").await).is_empty());
}

#[actix_web::test]
async fn the_room_page_marks_and_counts_new_messages_once() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    ada.send(room, "old").await;
    bob.room(room).await;
    ada.send(room, "one").await;
    ada.send(room, "two").await;

    let page = bob.room(room).await;
    assert_eq!(
        parts(&page),
        ["22 November 2026", "old", "New messages", "one", "two"]
    );
    assert!(page.text("title").starts_with("2 new – Tea – "));

    let again = bob.room(room).await;
    assert_eq!(parts(&again), ["22 November 2026", "old", "one", "two"]);
    assert!(again.text("title").starts_with("Tea – "));
}

#[actix_web::test]
async fn checking_says_when_there_is_nothing_new() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    ada.send(room, "old").await;
    let empty = ada.create_public_room("Empty").await;
    bob.join(empty).await;
    for room in [room, empty] {
        let before = bob.room(room).await;

        let page = bob.checked(room, &before, "").await;

        assert!(page.text("title").starts_with("No new messages – "));
        let said = page.text("#updates");
        assert_eq!(said, "Check for new messages No new messages.");
    }
}

#[actix_web::test]
async fn a_member_who_may_not_write_checks_by_a_link() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    ada.send(room, "old").await;
    let form = [
        ("name", "Tea"),
        ("lifespan", "longest"),
        ("slow-mode", "0"),
        ("posting", "moderators"),
    ];
    ada.post(&format!("/rooms/{room}/settings"), &form)
        .await
        .assert_status(303);
    let check = bob.room(room).await.attribute("#updates a", "href");
    ada.send(room, "new").await;
    app.clock.advance(Duration::from_millis(1));

    let page = bob.get(check.trim_end_matches("#now")).await;

    let found = ["22 November 2026", "old", "New messages", "new"];
    assert_eq!(parts(&page), found);
    let again = page.attribute("#updates a", "href");
    assert_ne!(
        again, check,
        "browsers would not load the same address again"
    );
}

#[actix_web::test]
async fn after_sending_the_page_says_how_many_messages_arrived_meanwhile() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    let nonce = bob.nonce(room).await;
    ada.send(room, "one").await;
    ada.send(room, "two").await;

    let sent = bob.send_with(room, "three", &nonce).await;
    let page = bob.get(sent.location().trim_end_matches("#message")).await;

    assert!(
        page.text("#message-hint")
            .starts_with("Sent. 2 new messages above.")
    );
    assert!(page.text("title").starts_with("Sent – Tea – "));
}

#[actix_web::test]
async fn messages_on_a_visible_page_are_read_and_on_a_hidden_page_are_new() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    let cursor = bob.cursor(room).await;
    ada.send(room, "one").await;
    app.hear_all(room).await;

    let brought = bob.poll(room, &format!("?after={cursor}&wait=0")).await;
    assert_eq!(brought.added, ["one"]);
    assert_eq!(
        new_message_counts(&bob.get("/rooms/mine").await),
        ["1 new message."],
        "it may not have arrived"
    );

    let after = format!("?after={}&wait=0", brought.cursor);
    bob.poll(room, &format!("{after}&hidden=1")).await;
    assert_eq!(
        new_message_counts(&bob.get("/rooms/mine").await),
        ["1 new message."]
    );
    bob.poll(room, &after).await;
    assert!(new_message_counts(&bob.get("/rooms/mine").await).is_empty());
}

#[actix_web::test]
async fn messages_from_before_joining_are_not_marked_as_new() {
    let app = TestApp::spawn().await;
    let (ada, _, room) = create_shared_room(&app).await;
    ada.send(room, "old").await;
    let eve = app.sign_up("eve").await;

    eve.join(room).await;

    assert_eq!(parts(&eve.room(room).await), ["22 November 2026", "old"]);
}

#[actix_web::test]
async fn expired_messages_do_not_count_as_new() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    ada.send(room, "one").await;

    app.clock.advance(Duration::from_secs(86_400));

    assert!(new_message_counts(&bob.get("/rooms/mine").await).is_empty());
}

#[actix_web::test]
async fn the_reading_view_reloads_itself_and_has_no_message_box() {
    let app = TestApp::spawn().await;
    let (ada, bob, room) = create_shared_room(&app).await;
    ada.send(room, "hello").await;
    assert_eq!(bob.room(room).await.header("refresh"), "");

    for (minutes, seconds) in [("1", "60"), ("2", "120"), ("5", "300")] {
        let page = bob.get(&format!("/rooms/{room}?reload={minutes}")).await;

        assert_eq!(page.header("refresh"), seconds);
        assert_eq!(page.texts("#log .text"), ["hello"]);
        assert!(!page.has("textarea") && !page.has("[data-poll]"));
        let links = page.attributes("main a", "href");
        assert_eq!(
            links[..2],
            [
                format!("/rooms/{room}#now"),
                format!("/rooms/{room}#message")
            ]
        );
        assert_eq!(page.texts("main a")[0], "Stop reloading this page");
    }
    assert_eq!(
        bob.get(&format!("/rooms/{room}?reload=3"))
            .await
            .header("refresh"),
        ""
    );
}
