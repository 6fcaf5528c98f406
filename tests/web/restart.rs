//! Restarts.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};

use crate::support::{ROOM_PASSWORD, TestApp};

const MINUTE: Duration = Duration::from_secs(60);

#[actix_web::test]
async fn accounts_rooms_memberships_and_sessions_survive_a_restart_and_messages_do_not() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let tea = ada.create_private_room("Tea").await;
    bob.join_privately("Tea", ROOM_PASSWORD)
        .await
        .assert_status(303);
    ada.send(tea, "forget me").await.assert_status(303);

    let app = app.restart().await;

    let page = bob.room(tea).await;
    assert_eq!(page.text("header .sign-out b"), "bob");
    assert_eq!(bob.members(tea).await, ["ada, owner", "bob (you)"]);
    assert!(!page.has("#log li"));
    let again = app.anonymous();
    let form = [("name", "ada"), ("password", crate::support::PASSWORD)];
    again.post("/login", &form).await.assert_status(303);
}

#[actix_web::test]
async fn an_open_page_can_still_receive_and_send_after_a_restart() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "before").await;
    let (cursor, nonce) = (ada.cursor(room).await, ada.nonce(room).await);

    let app = app.restart().await;

    let poll = ada.poll(room, &format!("?after={cursor}")).await;
    assert_eq!(
        (poll.status, poll.is_reset, poll.added.len()),
        (200, true, 0)
    );
    assert!(
        poll.is_restart,
        "the page can say that earlier messages are gone"
    );
    ada.send_with(room, "after", &nonce)
        .await
        .assert_status(303);
    let poll = ada.poll(room, &format!("?after={}", poll.cursor)).await;
    assert_eq!(
        (poll.is_reset, poll.added),
        (false, vec!["after".to_owned()])
    );
    drop(app);
}

#[actix_web::test]
async fn after_a_restart_a_room_says_since_when_it_remembers() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let tea = ada.create_public_room("Tea").await;
    ada.send(tea, "before").await.assert_status(303);
    assert!(!ada.room(tea).await.has("#lost"));
    app.clock.advance(MINUTE);

    let app = app.restart().await;

    app.clock.advance(MINUTE);
    let page = ada.room(tea).await;
    assert_eq!(
        page.text("#lost"),
        "The server has restarted. Messages sent before 22 November 2026 13:06 UTC are gone."
    );
    let time = page.attribute("#lost time", "datetime");
    assert_eq!(time, "2026-11-22T13:06:00.000Z");
    // Nothing was lost in a room that is younger.
    let cake = ada.create_public_room("Cake").await;
    assert!(!ada.room(cake).await.has("#lost"));
    // What was lost would be gone by now in any case.
    app.clock.advance(24 * 60 * MINUTE);
    assert!(!ada.room(tea).await.has("#lost"));
}

#[actix_web::test]
async fn where_messages_live_for_an_hour_nothing_is_said_an_hour_after_a_restart() {
    let app = TestApp::with(&["--message-lifespan=1h"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    app.clock.advance(MINUTE);

    let app = app.restart().await;

    app.clock.advance(59 * MINUTE);
    assert!(ada.room(room).await.has("#lost"));
    app.clock.advance(MINUTE);
    assert!(!ada.room(room).await.has("#lost"));
}

#[actix_web::test]
async fn only_the_page_with_the_oldest_messages_says_that_earlier_ones_are_gone() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    app.clock.advance(MINUTE);
    let app = app.restart().await;
    for number in 0..101 {
        let sent = ada.send(room, &number.to_string()).await;
        sent.assert_status(303);
    }

    let newest = ada.room(room).await;

    assert!(!newest.has("#lost"));
    let older = newest.attribute("section > .onward a[href*='before=']", "href");
    assert!(ada.get(older.trim_end_matches("#now")).await.has("#lost"));
    drop(app);
}

#[actix_web::test]
async fn message_ids_are_not_reused_after_a_restart() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "before").await;
    let before = ada.room(room).await.attribute("#log li", "id");
    app.clock.advance(Duration::from_millis(1));

    let app = app.restart().await;

    ada.send(room, "after").await;
    assert_ne!(ada.room(room).await.attribute("#log li", "id"), before);
    drop(app);
}

#[actix_web::test]
async fn messages_are_not_stored_on_disk() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "a needle in the haystack")
        .await
        .assert_status(303);

    let folder = app.stop().await;

    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"a needle"));
        files += 1;
    }
    assert!(files >= 2, "the database and the secret are there");
}

#[actix_web::test]
async fn the_database_is_opened_with_the_intended_pragmas() {
    let app = TestApp::spawn().await;
    let database = &app.core.database;
    let pragma = async |name: &str| {
        let ask = Statement::from_string(database.get_database_backend(), format!("PRAGMA {name}"));
        let row = database.query_one_raw(ask).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0)
            .map(|n| n.to_string())
            .or_else(|_| row.try_get_by_index(0))
            .unwrap()
    };

    assert_eq!(pragma("journal_mode").await, "wal");
    assert_eq!(pragma("synchronous").await, "2", "FULL");
    assert_eq!(pragma("foreign_keys").await, "1");
    assert_eq!(pragma("busy_timeout").await, "5000");
}

#[actix_web::test]
async fn names_that_begin_to_conflict_after_an_update_keep_their_accounts_and_rooms() {
    let app = TestApp::spawn().await;
    let (ali, bob) = (app.sign_up("ali").await, app.sign_up("bob").await);
    ali.create_private_room("Mili").await;
    bob.create_private_room("Cake").await;
    // As versions stored them that did not know that the dot above the i is hidden.
    for (table, old, new) in [
        ("users", "bob", "ali\u{307}"),
        ("rooms", "Cake", "mili\u{307}"),
    ] {
        app.execute(&format!(
            "UPDATE {table} SET name = '{new}', folded_name = '{new}', folded_skeleton = '{new}', \
             typed_skeleton = '{new}' WHERE name = '{old}'"
        ))
        .await;
    }
    app.execute("DELETE FROM name_keys").await;

    let app = app.restart().await;

    for name in ["ali", "ali\u{307}"] {
        let browser = app.sign_in(name, crate::support::PASSWORD).await;
        assert_eq!(browser.get("/rooms").await.text("header .sign-out b"), name);
    }
    let cid = app.sign_up("cid").await;
    for name in ["Mili", "mili\u{307}"] {
        let page = cid.join_privately(name, ROOM_PASSWORD).await;
        let path = page.assert_status(303).location().to_owned();
        assert_eq!(cid.get(&path).await.text("h1 bdi"), name);
    }
    // The name is not given away when the older account is gone.
    app.execute("DELETE FROM rooms WHERE name = 'Mili'").await;
    app.execute("DELETE FROM users WHERE name = 'ali'").await;
    for name in ["ali", "ali\u{307}"] {
        let form = [("name", name), ("password", crate::support::PASSWORD)];
        let page = app.anonymous().post("/register", &form).await;
        page.assert_status(422);
    }
    let app = app.restart().await;
    app.sign_in("ali\u{307}", crate::support::PASSWORD).await;
}
