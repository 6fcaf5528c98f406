use std::time::Duration;

use mirage::database::feed::Change;
use mirage::database::transaction::Decision;
use mirage::domain::{Role, RoomId, UserId};
use mirage::services::moderation::{self, Moderated};
use sea_orm::DatabaseTransaction;

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, db_column, start_poll_from};

const AT: &str = "/account/delete";

async fn delete_account(browser: &Browser) -> Page {
    browser.post(AT, &[("password", PASSWORD)]).await
}

#[actix_web::test]
async fn deleting_an_account_asks_first_and_says_what_will_be_deleted() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada.get(AT).await;

    assert_eq!(page.text("h1"), "Delete your account?");
    assert_eq!(page.text("main button"), "Delete account");
    let says = page.text("main");
    for words in [
        "cannot be undone",
        "Your messages are deleted",
        "its longest-standing moderator",
        "no other members are deleted",
    ] {
        assert!(says.contains(words), "{words}");
    }
    ada.get("/rooms").await.assert_status(200);
}

#[actix_web::test]
async fn a_deleted_account_cannot_be_used_and_its_name_is_free() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();
    let form = [("name", "ada"), ("password", PASSWORD)];
    let signed_up = ada.post("/register", &form).await;
    let cookie = signed_up.header("set-cookie").split(';').next().unwrap();

    let page = delete_account(&ada).await;

    page.assert_redirect("/?done=deleted");
    assert!(page.header("set-cookie").contains("Max-Age=0"));
    let page = ada.get("/?done=deleted").await;
    assert_eq!(page.text(".done"), "Account deleted.");
    assert!(page.text("title").starts_with("Account deleted – "));
    assert!(!page.has("header .sign-out"));
    let thief = app.anonymous();
    let request = thief.client.get(thief.url("/rooms"));
    Browser::answer(request.header("cookie", cookie))
        .await
        .assert_redirect("/login?next=/rooms");
    ada.post("/login", &form).await.assert_status(422);
    let heir = app.sign_up("Ada").await;
    heir.get("/rooms/mine").await.assert_status(200);
}

#[actix_web::test]
async fn without_the_password_the_account_is_not_deleted() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    for (password, sentence) in [
        ("", "Enter your password"),
        (
            "a kettle of cats",
            "The password is wrong. Check it and try again",
        ),
    ] {
        let page = ada.post(AT, &[("password", password)]).await;

        page.assert_status(422).assert_problem("password", sentence);
        assert_eq!(page.attributes("#password", "value"), [""; 0]);
    }
    ada.get("/rooms").await.assert_status(200);
    app.sign_in("ada", PASSWORD).await;
}

#[actix_web::test]
async fn rooms_of_a_deleted_account_pass_to_moderators_then_members_and_empty_rooms_are_deleted() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let (bob, cleo) = (app.sign_up("bob").await, app.sign_up("cleo").await);
    let moderated = ada.create_public_room("Moderated").await;
    let plain = ada.create_private_room("Plain").await;
    let empty = ada.create_public_room("Empty").await;
    let of_bob = bob.create_public_room("Bread").await;
    for browser in [&bob, &cleo] {
        app.clock.advance(Duration::from_secs(1));
        browser.join(moderated).await;
        browser
            .join_privately("Plain", ROOM_PASSWORD)
            .await
            .assert_status(303);
    }
    ada.join(of_bob).await;
    let (room, ada_id, cleo_id) = (RoomId(moderated), UserId(1), UserId(3));
    let made = moderation::set_role(&app.core, room, ada_id, cleo_id, Role::Moderator).await;
    assert_eq!(made.unwrap(), Moderated::Done);
    ada.send(empty, "for the walls").await.assert_status(303);

    delete_account(&ada).await.assert_status(303);

    assert_eq!(bob.members(moderated).await, ["bob (you)", "cleo, owner"]);
    assert_eq!(cleo.members(plain).await, ["bob, owner", "cleo (you)"]);
    assert_eq!(bob.members(of_bob).await, ["bob (you), owner"]);
    bob.room(empty).await.assert_status(404);
    assert_eq!(app.core.messages.bytes().await.unwrap(), 0);
    bob.create_public_room("Empty").await;
}

#[actix_web::test]
async fn messages_of_a_deleted_account_disappear_and_other_messages_stay() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let (tea, cake) = (
        ada.create_public_room("Tea").await,
        bob.create_private_room("Cake").await,
    );
    bob.join(tea).await;
    ada.join_privately("Cake", ROOM_PASSWORD)
        .await
        .assert_status(303);
    for room in [tea, cake] {
        ada.send(room, "of ada").await.assert_status(303);
        bob.send(room, "of bob").await.assert_status(303);
    }
    let page = bob.room(tea).await;
    let (first, cursor) = (
        page.attributes("#log li", "id")[0].clone(),
        page.attribute("#log", "data-cursor"),
    );
    let waiting = start_poll_from(&app, &bob, tea, &cursor).await;

    delete_account(&ada).await.assert_status(303);

    let poll = waiting.answer().await;
    assert_eq!(poll.removed, [first]);
    for room in [tea, cake] {
        assert_eq!(bob.messages(room).await, ["of bob"]);
        assert_eq!(bob.poll(room, "").await.added, ["of bob"]);
    }
}

#[actix_web::test]
async fn deleting_an_account_ends_its_waiting_polls_in_every_browser() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let other = app.sign_in("ada", PASSWORD).await;
    let bob = app.sign_up("bob").await;
    let (alone, shared) = (
        ada.create_public_room("Alone").await,
        bob.create_public_room("Shared").await,
    );
    ada.join(shared).await;
    let mut waiting = Vec::new();
    for (browser, room) in [
        (&ada, alone),
        (&ada, shared),
        (&other, alone),
        (&other, shared),
    ] {
        let cursor = browser.cursor(room).await;
        waiting.push(start_poll_from(&app, browser, room, &cursor).await);
    }

    delete_account(&ada).await.assert_status(303);

    for poll in waiting {
        let poll = poll.answer().await;
        assert_eq!((poll.status, poll.page.body.as_str()), (401, ""));
    }
    other
        .get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    assert_eq!(
        bob.get("/rooms").await.texts(".rooms h2"),
        ["Shared"],
        "the empty room is gone from the list"
    );
}

#[actix_web::test]
async fn an_open_page_of_a_deleted_account_cannot_post() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = bob.create_public_room("Tea").await;
    ada.join(room).await;
    let nonce = ada.nonce(room).await;
    delete_account(&ada).await.assert_status(303);

    ada.send_with(room, "still here", &nonce)
        .await
        .assert_status(401);

    assert!(bob.messages(room).await.is_empty());
    // The next account with the same name cannot use the nonce either.
    let heir = app.sign_up("ada").await;
    heir.join(room).await;
    assert_eq!(heir.room(room).await.text("#message"), "");
    heir.send_with(room, "still here", &nonce).await;
    assert!(bob.messages(room).await.is_empty());
}

#[actix_web::test]
async fn an_interrupted_account_deletion_is_rolled_back() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let shared = ada.create_public_room("Shared").await;
    let alone = ada.create_public_room("Alone").await;
    bob.join(shared).await;
    ada.send(shared, "hello").await.assert_status(303);
    // The last statement fails, after the rooms have been passed on or deleted.
    app.refuse("DELETE ON users").await;

    delete_account(&ada).await.assert_status(500);

    app.allow("users").await;
    assert_eq!(bob.messages(shared).await, ["hello"]);
    let app = app.restart().await;
    assert_eq!(ada.members(shared).await, ["ada (you), owner", "bob"]);
    ada.room(alone).await.assert_status(200);
    app.sign_in("ada", PASSWORD).await;
    delete_account(&ada).await.assert_status(303);
    drop(app);
}

#[actix_web::test]
async fn thousands_of_changes_are_committed_at_once() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = RoomId(ada.create_public_room("Tea").await);

    // As many as there are when somebody goes who is in as many rooms: each room changes.
    let work = async move |_: &DatabaseTransaction| {
        let list = vec![Change::MemberJoined(room); 10_000];
        Ok(Decision::Commit((), list))
    };
    app.core.change(work).await.unwrap();

    let kinds = db_column(&app, "SELECT kind FROM changes").await;
    assert!(kinds.len() >= 10_000, "{}", kinds.len());
}
