use std::time::Duration;

use mirage::domain::{BanReason, RoomId};
use mirage::services::moderation::{self, Moderated};
use tokio::sync::Notify;

use crate::support::TestApp;

#[actix_web::test]
async fn a_message_shows_its_author_text_and_time() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;

    ada.send(room, "Kettle on?").await.assert_status(303);

    assert_eq!(
        bob.room(room).await.text("#log li"),
        "ada: Kettle on? 13:05 UTC"
    );
    assert_eq!(
        ada.room(room).await.text("#log li"),
        "ada (you): Kettle on? 13:05 UTC Delete"
    );
    assert_eq!(
        bob.room(room).await.attribute("#log time", "datetime"),
        "2026-11-22T13:05:00.000Z"
    );
}

#[actix_web::test]
async fn messages_are_listed_oldest_first_under_day_headings() {
    let app = TestApp::with(&["--message-lifespan=3days"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    for text in ["one", "two"] {
        ada.send(room, text).await;
    }
    app.clock.advance(Duration::from_secs(86_400));
    ada.send(room, "three").await;

    let page = ada.room(room).await;

    assert_eq!(
        page.texts("#log h3, #log .text"),
        [
            "22 November 2026",
            "one",
            "two",
            "23 November 2026",
            "three"
        ]
    );
    assert_eq!(page.texts("#log ol").len(), 2);
}

#[actix_web::test]
async fn the_newest_hundred_messages_are_shown_with_a_link_to_older_ones() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonces: Vec<String> = {
        let mut nonces = Vec::new();
        for _ in 0..101 {
            nonces.push(ada.nonce(room).await);
        }
        nonces
    };
    for (number, nonce) in nonces.iter().enumerate() {
        ada.send_with(room, &format!("message {number}"), nonce)
            .await
            .assert_status(303);
    }

    let newest = ada.room(room).await;
    let texts = newest.texts("#log .text");
    assert_eq!((texts.len(), texts[0].as_str()), (100, "message 1"));
    let older_url = newest
        .attributes("section p a", "href")
        .into_iter()
        .find(|url| url.contains("before="));

    let older = ada.get(&older_url.unwrap()).await;
    assert_eq!(older.texts("#log .text"), ["message 0"]);
    assert!(
        !older.has("#log[data-poll]"),
        "older messages are not followed"
    );
}

#[actix_web::test]
async fn message_text_is_never_treated_as_markup() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("<i>Tea</i> & \"cake\"").await;
    let hostile =
        "<script>alert(1)</script> &amp; \"'</span></li><img src=x onerror=alert(1)>{{7*7}}";

    ada.send(room, hostile).await;

    let page = ada.room(room).await;
    assert_eq!(page.text("#log .text"), hostile);
    assert_eq!(page.text("h1"), "<i>Tea</i> & \"cake\"");
    assert!(!page.has("#log script, #log img, main i"));
}

#[actix_web::test]
async fn line_breaks_are_kept_and_urls_become_links() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    ada.send(
        room,
        "one\r\ntwo https://example.org/?a=1&b=%22 three javascript:alert(1)",
    )
    .await;

    let page = ada.room(room).await;
    assert_eq!(page.texts("#log .text br").len(), 1);
    assert_eq!(
        page.attribute("#log .text a", "href"),
        "https://example.org/?a=1&b=%22"
    );
    assert_eq!(
        page.attribute("#log .text a", "rel"),
        "nofollow ugc noopener noreferrer"
    );
}

#[actix_web::test]
async fn checking_for_new_messages_marks_those_sent_since_the_page_was_loaded() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "old").await;
    let before = bob.room(room).await;
    ada.send(room, "new").await;

    let page = bob.checked(room, &before, "").await;

    let parts = page.texts("#log h3, #log .text");
    assert_eq!(parts, ["22 November 2026", "old", "New messages", "new"]);
}

#[actix_web::test]
async fn a_non_member_of_a_public_room_sees_its_name_and_a_join_button_but_no_messages() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "between us").await;

    let page = bob.room(room).await;

    page.assert_status(200);
    assert_eq!(page.text("h1"), "Tea");
    assert_eq!(page.text("main button"), "Join Tea");
    assert!(!page.body.contains("between us") && !page.body.contains("ada"));
}

#[actix_web::test]
async fn only_the_first_twenty_members_are_named_on_the_room_page() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    for number in 0..21_u8 {
        let letter = char::from(b'a' + number);
        app.sign_up(&format!("friend-{letter}{letter}"))
            .await
            .join(room)
            .await;
    }

    let page = ada.room(room).await;

    assert_eq!(page.text("#members-heading"), "Members (22), 1 here now");
    assert_eq!(page.texts(".members li").len(), 20);
    let all = ada.get(&format!("/rooms/{room}/members")).await;
    assert_eq!(all.texts(".members li").len(), 22);
}

#[actix_web::test]
async fn a_person_banned_while_the_page_is_made_is_shown_no_later_message() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    bob.room(room).await.assert_status(200);
    let (ada_id, bob_id) = (app.user_id("ada").await, app.user_id("bob").await);
    // Making the page waits for Bob's settings.
    let (reads, release) = (Notify::new(), Notify::new());
    app.core.settings.forget(bob_id);
    let settings = app.core.settings.get(bob_id, async || {
        reads.notify_one();
        release.notified().await;
        Ok::<_, ()>(None)
    });
    let page = async {
        reads.notified().await;
        bob.room(room).await
    };
    let ban = async {
        for _ in 0..10 {
            ada.get("/healthz").await.assert_status(200);
        }
        let reason = BanReason::parse("spam").unwrap();
        let banned = moderation::ban(&app.core, RoomId(room), ada_id, bob_id, reason).await;
        assert_eq!(banned.unwrap(), Moderated::Done);
        ada.send(room, "he is gone").await.assert_status(303);
        release.notify_one();
    };

    let (_, page, ()) = tokio::join!(settings, page, ban);

    assert!(!page.body.contains("he is gone"));
    page.assert_status(404);
}
