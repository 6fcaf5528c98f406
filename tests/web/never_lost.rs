//! No message is lost or sent twice: every refusal returns the text with the reason.

use std::time::Duration;

use mirage::domain::RoomId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Browser, PASSWORD, Page, TestApp};

const DAY: Duration = Duration::from_secs(86_400);

async fn sign_in(browser: &Browser, name: &str, next: &str) -> Page {
    let form = [("name", name), ("password", PASSWORD), ("next", next)];
    browser.post("/login", &form).await
}

#[actix_web::test]
async fn the_script_receives_the_next_nonce() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;

    let first = ada.send_by_script(room, "one", &nonce).await;
    let next = first.header("mirage-nonce").to_owned();
    let second = ada.send_by_script(room, "two", &next).await;

    assert_eq!((first.status.as_u16(), second.status.as_u16()), (204, 204));
    assert_eq!(ada.messages(room).await, ["one", "two"]);
}

#[actix_web::test]
async fn two_tabs_have_different_nonces() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    assert_ne!(ada.nonce(room).await, ada.nonce(room).await);
}

#[actix_web::test]
async fn sixteen_concurrent_submissions_of_one_form_send_one_message() {
    let app = TestApp::with(&["--limits=on"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;

    let sendings: Vec<_> = (0..16)
        .map(|_| {
            let (ada, nonce) = (ada.clone(), nonce.clone());
            tokio::spawn(async move { ada.send_with(room, "once", &nonce).await })
        })
        .collect();
    let mut places = Vec::new();
    for sending in sendings {
        let page = sending.await.unwrap();
        page.assert_status(303);
        places.push(page.location().to_owned());
    }

    places.dedup();
    assert_eq!(places.len(), 1);
    assert_eq!(ada.messages(room).await, ["once"]);
}

#[actix_web::test]
async fn a_different_text_under_a_used_nonce_comes_back_in_the_box() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;
    ada.send_with(room, "first", &nonce)
        .await
        .assert_status(303);

    let page = ada.send_with(room, "second", &nonce).await;

    page.assert_status(422);
    assert_eq!(page.text("#message"), "second");
    let fresh = page.attribute("#write [name=nonce]", "value");
    ada.send_with(room, "second", &fresh)
        .await
        .assert_status(303);
    assert_eq!(ada.messages(room).await, ["first", "second"]);
}

#[actix_web::test]
async fn a_rate_limited_message_comes_back_with_the_time_to_wait() {
    let app = TestApp::with(&["--limits=on"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    for number in 0..5 {
        ada.send(room, &format!("message {number}"))
            .await
            .assert_status(303);
    }

    let page = ada.send(room, "one too many").await;

    page.assert_status(429);
    assert_eq!(page.header("retry-after"), "1");
    let sentence = "You are sending too fast. Wait 1 second, then send your message again";
    page.assert_problem("message", sentence);
    assert_eq!(page.text("#message"), "one too many");
    assert_eq!(ada.messages(room).await.len(), 5);
    app.clock.advance(Duration::from_secs(1));
    let nonce = page.attribute("#write [name=nonce]", "value");
    ada.send_with(room, "one too many", &nonce)
        .await
        .assert_status(303);
}

#[actix_web::test]
async fn a_message_sent_after_the_session_ended_is_in_the_box_after_signing_in() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;
    ada.post("/logout", &[("sign-out", "1")]).await;

    let page = ada.send_with(room, "a long letter <3", &nonce).await;
    let form = ada.get(page.location()).await;
    let next = form.attribute("[name=next]", "value");
    let back = sign_in(&ada, "ada", &next).await;
    let page = ada.get(back.location()).await;

    assert_eq!(page.text("#message"), "a long letter <3");
    assert!(
        page.text(".done")
            .starts_with("Your message has not been sent yet.")
    );
    assert!(
        ada.messages(room).await.is_empty(),
        "it is never sent by itself"
    );
    assert_eq!(
        ada.room(room).await.text("#message"),
        "",
        "it is shown where it was led back to"
    );

    let nonce = page.attribute("#write [name=nonce]", "value");
    ada.send_with(room, "a long letter <3", &nonce)
        .await
        .assert_status(303);
    assert_eq!(
        ada.get(back.location()).await.text("#message"),
        "",
        "it is not held any more"
    );
}

#[actix_web::test]
async fn a_draft_is_restored_only_to_its_author_and_for_a_day() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let nonce = ada.nonce(room).await;
    ada.post("/logout", &[("sign-out", "1")]).await;
    ada.send_with(room, "for nobody else", &nonce)
        .await
        .assert_status(303);
    let held = format!("/rooms/{room}?held=1");

    let page = bob.get(&held).await;
    assert!(!page.body.contains("for nobody else"));

    app.clock.advance(DAY);
    sign_in(&ada, "ada", "").await;
    assert_eq!(ada.get(&held).await.text("#message"), "");
}

#[actix_web::test]
async fn without_a_valid_nonce_no_draft_is_kept_and_the_text_comes_back_at_once() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    let page = app.anonymous().send_with(room, "hello <3", "x").await;

    page.assert_status(401);
    assert_eq!(page.text("#message"), "hello <3");
    assert_eq!(
        page.text("#reason"),
        "You are signed out. Sign in to continue."
    );
}

#[actix_web::test]
async fn a_text_longer_than_a_message_comes_back_at_once_and_is_not_kept() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;
    ada.post("/logout", &[("sign-out", "1")]).await;
    let long = "x".repeat(2_001);

    let page = ada.send_with(room, &long, &nonce).await;

    page.assert_status(401);
    assert_eq!(page.text("#message"), long);
    sign_in(&ada, "ada", "").await;
    let held = ada.get(&format!("/rooms/{room}?held=1")).await;
    assert_eq!(held.text("#message"), "");
}

#[actix_web::test]
async fn no_draft_is_kept_for_a_person_whose_account_was_deleted() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let (nonce, bob_id) = (bob.nonce(room).await, app.user_id("bob").await);
    bob.post("/account/delete", &[("password", PASSWORD)])
        .await
        .assert_redirect("/?done=deleted");

    let page = bob.send_with(room, "hello <3", &nonce).await;

    page.assert_status(401);
    assert_eq!(page.text("#message"), "hello <3");
    let now = app.core.clock.site_time();
    assert_eq!(
        app.core.drafts.find(bob_id, RoomId(room), now).await,
        Ok(None)
    );
}

#[actix_web::test]
async fn the_script_receives_the_same_error_text_as_the_page() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let nonce = bob.nonce(room).await;

    let empty = bob.send_by_script(room, " ", &nonce).await;
    empty
        .assert_status(422)
        .assert_problem("message", "Enter a message");
    assert!(empty.has("#write [name=nonce]"));
    bob.leave(room).await;
    let outside = bob.send_by_script(room, "hello", &nonce).await;
    outside.assert_status(403);
    assert!(outside.text("#reason").starts_with("You are not in Tea."));
    bob.post("/logout", &[("sign-out", "1")]).await;
    let signed_out = bob.send_by_script(room, "hello", &nonce).await;
    signed_out.assert_status(401);
    assert_eq!(
        signed_out.text("#reason"),
        "You are signed out. Sign in to continue."
    );
}

#[actix_web::test]
async fn with_the_database_unavailable_the_text_comes_back() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;
    for core in app.cores().chain(app.cores()) {
        core.sessions.sweep();
        core.rooms.sweep();
    }
    app.close_database().await;

    let page = ada.send_with(room, "hello <3", &nonce).await;

    page.assert_status(503);
    assert_eq!(page.text("#message"), "hello <3");
    assert!(page.text("#reason").contains("Try again"));
}

#[actix_web::test]
async fn with_the_database_unavailable_members_already_in_the_room_can_chat() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;
    // Each server has shown the room.
    ada.room(room).await.assert_status(200);
    app.close_database().await;

    ada.send_with(room, "hello", &nonce)
        .await
        .assert_status(303);

    assert_eq!(ada.messages(room).await, ["hello"]);
}

/// Reads the head of an answer, and leaves the rest unread.
async fn read_status(stream: &mut TcpStream) -> String {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    String::from_utf8_lossy(&head).into_owned()
}

#[actix_web::test]
async fn a_text_that_is_far_too_long_comes_back_with_its_length_and_the_limit() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;
    // Six bytes a letter in a form.
    for (text, length) in [
        ("ж".repeat(11_500), "11,500"),
        ("ж".repeat(174_000), "174,000"),
        ("x".repeat(1_048_000), "1,048,000"),
    ] {
        let page = ada.send_with(room, &text, &nonce).await;

        let sentence = format!("Your message has {length} characters. The limit is 2,000");
        page.assert_status(422).assert_problem("message", &sentence);
        assert_eq!(page.text("#message"), text);
        let by_script = ada.send_by_script(room, &text, &nonce).await;
        by_script.assert_status(422);
        by_script.assert_problem("message", &sentence);
        let outside = bob.send_with(room, &text, "").await;
        outside.assert_status(403);
        assert_eq!(outside.text("#message"), text);
    }
}

#[actix_web::test]
async fn a_form_over_64_kib_needs_a_session() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;
    let text = "ж".repeat(11_500);
    let stranger = app.anonymous();
    ada.post("/logout", &[("sign-out", "1")]).await;

    for browser in [&stranger, &ada] {
        let page = browser.send_with(room, &text, &nonce).await;

        page.assert_status(413);
        assert!(page.text("main").contains("your text is still in its box"));
    }
}

#[actix_web::test]
async fn forms_over_64_kib_share_32_mib_until_they_are_answered() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let sign_in = [("name", "ada"), ("password", PASSWORD)];
    let cookie = app.anonymous().post("/login", &sign_in).await;
    let cookie = cookie
        .header("set-cookie")
        .split_once(';')
        .unwrap()
        .0
        .to_owned();
    // Too long for the buffers between server and client, so the answer is not written before it is read.
    let text = "x".repeat(300_000);
    let length = 1 << 20;
    let form = format!("text={text}&more=");
    let form = format!("{form}{}", "x".repeat(length - form.len()));
    let request = format!(
        "POST /rooms/{room}/messages HTTP/1.1\r\nHost: mirage\r\nCookie: {cookie}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    let send = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut stream = socket.connect(app.address.parse().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let status = read_status(&mut stream).await;
        (stream, status)
    };

    let mut unread = Vec::new();
    for _ in 0..32 {
        let (stream, status) = send().await;
        assert_eq!(status, "HTTP/1.1 422");
        unread.push(stream);
    }
    let page = ada.send_with(room, &text, "").await;
    page.assert_status(413);
    assert!(page.text("main").contains("your text is still in its box"));
    ada.send(room, "short").await.assert_status(303);

    let mut rest = Vec::new();
    unread[0].read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > text.len());
    assert_eq!(send().await.1, "HTTP/1.1 422");
}

#[actix_web::test]
async fn checking_for_new_messages_keeps_the_text_in_the_box_until_it_is_sent() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let before = ada.room(room).await;

    let page = ada.checked(room, &before, "hello <3").await;
    assert_eq!(page.text("#message"), "hello <3");
    assert!(!page.has(".done") && !page.has(".problems"));
    let again = ada.checked(room, &page, "hello <4").await;
    assert_eq!(again.text("#message"), "hello <4");
    assert!(ada.messages(room).await.is_empty());

    let emptied = ada.check(room, &again, "").await;
    assert!(!emptied.location().contains("held"));
    let held = format!("/rooms/{room}?after=0&held=1");
    assert_eq!(ada.get(&held).await.text("#message"), "");

    ada.check(room, &again, "hello <5").await.assert_status(303);
    let nonce = again.attribute("#write [name=nonce]", "value");
    ada.send_with(room, "hello <5", &nonce)
        .await
        .assert_status(303);
    assert_eq!(ada.get(&held).await.text("#message"), "");
}

#[actix_web::test]
async fn checking_with_a_text_that_is_too_long_gives_it_back_with_the_reason() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let text = "x".repeat(2_001);

    let page = ada.check(room, &ada.room(room).await, &text).await;

    let sentence = "Your message has 2,001 characters. The limit is 2,000";
    page.assert_status(422).assert_problem("message", sentence);
    assert_eq!(page.text("#message"), text);
}

#[actix_web::test]
async fn checking_without_the_right_to_write_or_a_session_loses_no_text() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let before = bob.room(room).await;
    bob.leave(room).await;

    let outside = bob.check(room, &before, "hello <3").await;
    outside.assert_status(403);
    assert_eq!(outside.text("#message"), "hello <3");
    bob.join(room).await;
    bob.post("/logout", &[("sign-out", "1")]).await;
    let room_page = format!("/login?next=/rooms/{room}%23now");
    bob.check(room, &before, "")
        .await
        .assert_redirect(&room_page);
    let signed_out = bob.check(room, &before, "hello <3").await;
    let form = bob.get(signed_out.location()).await;
    let back = sign_in(&bob, "bob", &form.attribute("[name=next]", "value")).await;
    assert_eq!(bob.get(back.location()).await.text("#message"), "hello <3");
}

#[actix_web::test]
async fn a_text_held_for_one_person_is_shown_to_nobody_else() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;

    let kept = ada
        .check(room, &ada.room(room).await, "for nobody else")
        .await;

    let page = bob.get(kept.location().trim_end_matches("#now")).await;
    assert!(!page.body.contains("for nobody else"));
}

#[actix_web::test]
async fn the_page_names_its_session_and_does_not_reveal_the_cookie() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let session_of = async |browser: &Browser| {
        let page = browser.room(room).await;
        page.attribute("#log", "data-session")
    };

    let session = session_of(&ada).await;
    assert_eq!(session, session_of(&ada).await);
    let elsewhere = app.sign_in("ada", PASSWORD).await;
    assert_ne!(session, session_of(&elsewhere).await);
    ada.post("/logout", &[("sign-out", "1")]).await;
    let cookie = sign_in(&ada, "ada", "")
        .await
        .header("set-cookie")
        .to_owned();
    let later = session_of(&ada).await;
    assert_ne!(session, later);
    assert!(later.len() == 16 && !cookie.contains(&later));
}
