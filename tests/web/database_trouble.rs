//! A database that cannot be written for a while: who talks goes on talking, who fills in a form can try
//! again, and nobody has to start anything anew.

use sea_orm::{ConnectionTrait, Database, TransactionTrait};

use crate::support::{Browser, PASSWORD, Page, TestApp, wait_in};

/// Two people in a room that they have open.
async fn two_in_a_room(app: &TestApp) -> (Browser, Browser, i64) {
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    for browser in [&ada, &bob] {
        browser.room(room).await.assert_status(200);
    }
    (ada, bob, room)
}

/// That what the one says reaches the other, who waits.
async fn assert_they_talk(app: &TestApp, (ada, bob, room): &(Browser, Browser, i64), text: &str) {
    let waiting = wait_in(app, bob, *room).await;
    ada.send(*room, text).await.assert_status(303);
    assert_eq!(waiting.answer().await.came, [text]);
}

/// That somebody is told to try again soon.
#[track_caller]
fn assert_later(page: &Page) {
    page.assert_status(503);
    assert_eq!(page.header("retry-after"), "5");
    assert_eq!(page.text("h1"), "Mirage cannot do that just now");
}

/// Everything that writes, once; each by its own form.
async fn write_everywhere(app: &TestApp, (ada, bob, room): &(Browser, Browser, i64)) -> Vec<Page> {
    let anonymous = app.anonymous();
    let (rooms, settings) = ("/rooms/new", format!("/rooms/{room}/settings/password"));
    let leave = format!("/rooms/{room}/leave");
    let room_form = [("name", "Cake"), ("kind", "public")];
    let new = [("name", "cleo"), ("password", PASSWORD)];
    let old = [("name", "ada"), ("password", PASSWORD)];
    let private = [("password", "twelve angry geese")];
    let (a, b, c, d, e) = tokio::join!(
        ada.post(rooms, &room_form),
        anonymous.post("/register", &new),
        anonymous.post("/login", &old),
        ada.post(&settings, &private),
        bob.post(&leave, &[("leave", "1")]),
    );
    vec![a, b, c, d, e]
}

/// Runs a statement on each connection of the server.
async fn on_all_connections(app: &TestApp, sql: &str) {
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(app.state.database.begin().await.unwrap());
    }
    for connection in held {
        connection.execute_unprepared(sql).await.unwrap();
        connection.rollback().await.unwrap();
    }
}

#[actix_web::test]
async fn a_database_that_another_has_locked() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    let other = Database::connect(app.database_url()).await.unwrap();
    let lock = other.begin().await.unwrap();
    lock.execute_unprepared("UPDATE users SET created_at = created_at")
        .await
        .unwrap();

    let talk = async {
        for number in 0..20 {
            assert_they_talk(&app, &people, &format!("message {number}")).await;
        }
    };
    let (pages, ()) = tokio::join!(write_everywhere(&app, &people), talk);
    for page in pages {
        assert_later(&page);
    }
    assert_they_talk(&app, &people, "still here").await;
    lock.rollback().await.unwrap();

    for page in write_everywhere(&app, &people).await {
        page.assert_status(303);
    }
}

#[actix_web::test]
async fn a_database_that_can_only_be_read() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    on_all_connections(&app, "PRAGMA query_only = ON").await;

    for page in write_everywhere(&app, &people).await {
        assert_later(&page);
    }
    assert_they_talk(&app, &people, "still here").await;
    people.0.get("/rooms").await.assert_status(200);
    on_all_connections(&app, "PRAGMA query_only = OFF").await;

    for page in write_everywhere(&app, &people).await {
        page.assert_status(303);
    }
}

#[actix_web::test]
async fn a_disk_that_is_full() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    // Fewer than it has, which means: no more than it has.
    on_all_connections(&app, "PRAGMA max_page_count = 1").await;

    let mut made = 0;
    let refused = loop {
        let form = [
            ("name", format!("Room {made}")),
            ("kind", "public".to_owned()),
        ];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let page = people.0.post("/rooms/new", &form).await;
        if page.status != 303 {
            break page;
        }
        made += 1;
        assert!(made < 1_000, "it is never full");
    };
    assert_later(&refused);
    assert_they_talk(&app, &people, "still here").await;
    people.0.get("/rooms").await.assert_status(200);
    on_all_connections(&app, "PRAGMA max_page_count = 1000000").await;

    for page in write_everywhere(&app, &people).await {
        page.assert_status(303);
    }
    eprintln!("{made} rooms had room on the full disk");
}
