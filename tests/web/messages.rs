use crate::support::{ROOM_PASSWORD, TestApp};

#[actix_web::test]
async fn sending_returns_to_the_message_box_and_confirms() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    let page = ada.send(room, "hello").await;

    assert!(page.location().ends_with("#message"), "{}", page.location());
    let page = ada.get(page.location().trim_end_matches("#message")).await;
    assert!(page.text("title").starts_with("Sent – Tea"));
    assert!(page.text("#message-hint").starts_with("Sent."));
}

#[actix_web::test]
async fn a_refused_message_comes_back_in_the_message_box() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let long = "é".repeat(2001);

    for (text, sentence) in [
        (" \n ", "Enter a message"),
        (
            long.as_str(),
            "Your message has 2,001 characters. The limit is 2,000",
        ),
    ] {
        let page = ada.send(room, text).await;

        page.assert_status(422).assert_problem("message", sentence);
        // HTML drops a line end at the start of a text area, so the page adds one.
        assert!(page.body.contains(&format!(">\n{text}</textarea>")));
    }
    assert!(ada.messages(room).await.is_empty());
}

#[actix_web::test]
async fn a_nonce_of_another_room_or_person_or_none_sends_nothing_and_keeps_the_text() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_public_room("Tea").await;
    let cake = ada.create_public_room("Cake").await;
    bob.join(tea).await;

    for nonce in [
        String::new(),
        "x".to_owned(),
        ada.nonce(cake).await,
        bob.nonce(tea).await,
    ] {
        let page = ada.send_with(tea, "hello <3", &nonce).await;

        page.assert_status(422);
        assert_eq!(page.text("#message"), "hello <3");
        assert!(page.text(".problems").contains("send it again"));
    }
    assert!(ada.messages(tea).await.is_empty());
}

#[actix_web::test]
async fn resubmitting_a_form_sends_nothing_new_and_redirects_to_the_same_place() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let nonce = ada.nonce(room).await;

    let first = ada.send_with(room, "hello", &nonce).await;
    let second = ada.send_with(room, "hello", &nonce).await;

    assert_eq!(first.location(), second.location());
    assert_eq!(ada.messages(room).await, ["hello"]);
}

#[actix_web::test]
async fn a_non_member_of_a_public_room_gets_their_text_back_with_a_join_button() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let nonce = bob.nonce(room).await;
    bob.leave(room).await;

    for text in ["hello <3", ""] {
        let page = bob.send_with(room, text, &nonce).await;

        page.assert_status(403);
        assert_eq!(page.text("main button"), "Join Tea");
        assert_eq!(page.text("#message"), text);
    }
    assert!(ada.messages(room).await.is_empty());
}

#[actix_web::test]
async fn a_non_member_of_a_private_room_gets_their_text_back_as_if_it_were_missing() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    bob.join_privately("Tea", ROOM_PASSWORD).await;
    let nonce = bob.nonce(room).await;
    bob.leave(room).await;

    let page = bob.send_with(room, "hello <3", &nonce).await;
    let nowhere = bob.send_with(999, "hello <3", &nonce).await;

    page.assert_status(404);
    assert_eq!(page.text("#message"), "hello <3");
    assert_eq!(page.body, nowhere.body);
    assert!(ada.messages(room).await.is_empty());
}

#[actix_web::test]
async fn a_tab_restored_at_the_form_address_redirects_to_the_room() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    ada.get("/rooms/7/messages")
        .await
        .assert_redirect("/rooms/7#now");
}
