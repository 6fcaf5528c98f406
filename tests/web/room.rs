use std::time::Duration;

use mirage::domain::{Audience, Reason, RoomId};
use mirage::services::moderation::{self, Moderated};
use tokio::sync::Notify;

use crate::support::{Page, TestApp};

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
async fn only_twelve_members_are_named_on_the_room_page() {
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
    assert_eq!(page.texts("#about li").len(), 12);
    let all = ada.get(&format!("/rooms/{room}/members")).await;
    assert_eq!(all.texts(".members li").len(), 22);
}

fn rooms_beside(page: &Page) -> Vec<String> {
    page.texts("#rooms li")
}

#[actix_web::test]
async fn the_room_page_lists_the_readers_rooms_with_the_number_of_new_messages_in_each() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    assert_eq!(rooms_beside(&ada.room(tea).await), ["Tea"]);
    let cake = bob.create_public_room("Cake").await;
    ada.join(cake).await;
    for text in ["one", "two"] {
        bob.send(cake, text).await.assert_status(303);
    }

    let page = ada.room(tea).await;
    assert_eq!(rooms_beside(&page), ["Cake 2 new", "Tea"]);
    assert_eq!(
        page.attributes("#rooms li a", "href"),
        [format!("/rooms/{cake}#now"), format!("/rooms/{tea}#now")]
    );
    assert_eq!(page.text("#rooms [aria-current=page]"), "Tea");
    ada.room(cake).await;
    assert_eq!(rooms_beside(&ada.room(tea).await), ["Cake", "Tea"]);

    ada.leave(cake).await;
    assert_eq!(rooms_beside(&ada.room(tea).await), ["Tea"]);
}

#[actix_web::test]
async fn the_room_page_lists_twelve_rooms_and_prefers_those_with_new_messages() {
    let app = TestApp::with(&["--rooms-per-person=100"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    for letter in 'a'..='m' {
        ada.create_public_room(&format!("Shelf {letter}")).await;
    }
    let zoo = bob.create_public_room("Zoo").await;
    ada.join(zoo).await;
    bob.send(zoo, "roar").await.assert_status(303);

    let rooms = rooms_beside(&ada.room(tea).await);

    assert_eq!(rooms.len(), 12);
    assert_eq!(rooms[0], "Shelf a");
    assert_eq!(rooms[10..], ["Tea", "Zoo 1 new"]);
}

#[actix_web::test]
async fn the_list_of_rooms_follows_a_rooms_new_name_and_its_end() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    let cake = bob.create_public_room("Cake").await;
    ada.join(cake).await;
    assert_eq!(rooms_beside(&ada.room(tea).await), ["Cake", "Tea"]);

    let form = [
        ("name", "Yeast"),
        ("description", ""),
        ("lifespan", "longest"),
        ("slow-mode", "0"),
        ("language", ""),
        ("posting", "everyone"),
    ];
    let saved = bob.post(&format!("/rooms/{cake}/settings"), &form).await;
    saved.assert_status(303);
    assert_eq!(rooms_beside(&ada.room(tea).await), ["Tea", "Yeast"]);

    let delete = format!("/rooms/{cake}/settings/delete");
    bob.post(&delete, &[("confirm", "1")])
        .await
        .assert_status(303);
    assert_eq!(rooms_beside(&ada.room(tea).await), ["Tea"]);
}

#[actix_web::test]
async fn a_warm_room_page_costs_no_query() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    let cake = bob.create_public_room("Cake").await;
    ada.join(cake).await;
    // Each server holds what it has read.
    let ada = ada.at(&app.address);
    ada.room(tea).await.assert_status(200);
    bob.send(cake, "one").await.assert_status(303);
    let before = app.db_statements();

    let page = ada.room(tea).await;

    assert_eq!(rooms_beside(&page), ["Cake 1 new", "Tea"]);
    assert_eq!(app.db_statements(), before);
}

#[actix_web::test]
async fn more_new_messages_than_the_page_holds_are_counted_with_a_link_to_them() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let mut nonces = Vec::new();
    for _ in 0..101 {
        nonces.push(bob.nonce(room).await);
    }
    for nonce in &nonces {
        bob.send_with(room, "new", nonce).await.assert_status(303);
    }

    let page = ada.room(room).await;

    assert_eq!(page.text("#now + p"), "1 earlier new message");
    let earlier = ada.get(&page.attribute("#now + p a", "href")).await;
    assert_eq!(earlier.texts("#log .text"), ["new"]);
}

#[actix_web::test]
async fn with_nothing_new_the_end_of_the_list_is_where_links_into_the_room_lead() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    assert!(bob.room(room).await.has("#log + #now"));

    ada.send(room, "new").await.assert_status(303);

    assert_eq!(bob.room(room).await.text("h3#now"), "New messages");
    assert!(bob.room(room).await.has("#log + #now"));
    let older = bob.get(&format!("/rooms/{room}?before=1")).await;
    assert!(older.has("#log + #now"));
}

#[actix_web::test]
async fn a_person_banned_while_the_page_is_made_is_shown_no_later_message() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    // The page is that of the server whose cache waits.
    let bob = bob.at(&app.address);
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
        let reason = Reason::parse("spam").unwrap();
        let banned = moderation::ban(
            &app.core,
            RoomId(room),
            ada_id,
            bob_id,
            reason,
            Audience::Everyone,
        )
        .await;
        assert_eq!(banned.unwrap(), Moderated::Done);
        ada.send(room, "he is gone").await.assert_status(303);
        release.notify_one();
    };

    let (_, page, ()) = tokio::join!(settings, page, ban);

    assert!(!page.body.contains("he is gone"));
    page.assert_status(404);
}
