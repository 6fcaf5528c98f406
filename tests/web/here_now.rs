//! The number of people who have a room open.

use std::time::Duration;

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp};

fn heading(page: &Page) -> String {
    page.text("#members-heading")
}

#[actix_web::test]
async fn the_room_page_counts_who_had_it_open_in_the_last_minute() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    bob.room(room).await;
    assert_eq!(heading(&ada.room(room).await), "Members (2), 2 here now");

    app.clock.advance(Duration::from_secs(59));
    assert_eq!(heading(&ada.room(room).await), "Members (2), 2 here now");
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(heading(&ada.room(room).await), "Members (2), 1 here now");
}

#[actix_web::test]
async fn a_polling_page_counts_as_present_and_a_hidden_tab_does_not() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    app.clock.advance(Duration::from_secs(60));

    bob.poll(room, "?wait=0&hidden=1").await;
    assert_eq!(heading(&ada.room(room).await), "Members (2), 1 here now");
    bob.poll(room, "?wait=0").await;
    assert_eq!(heading(&ada.room(room).await), "Members (2), 2 here now");
}

#[actix_web::test]
async fn a_prefetched_page_does_not_count_as_present() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;

    let request = bob.client.get(bob.url(&format!("/rooms/{room}")));
    Browser::answer(request.header("sec-purpose", "prefetch"))
        .await
        .assert_status(200);

    assert_eq!(heading(&ada.room(room).await), "Members (2), 1 here now");
}

#[actix_web::test]
async fn a_person_who_leaves_is_no_longer_counted() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    bob.room(room).await;

    bob.leave(room).await;

    assert_eq!(heading(&ada.room(room).await), "Members (1), 1 here now");
}

#[actix_web::test]
async fn people_who_are_removed_or_banned_or_delete_their_account_are_no_longer_counted() {
    let app = TestApp::spawn().await;
    let owner = app.sign_up("owner").await;
    let room = owner.create_private_room("Den").await;
    for name in ["removed", "banned", "deleted", "bob", "carl"] {
        let person = app.sign_up(name).await;
        person.join_privately("Den", ROOM_PASSWORD).await;
        person.room(room).await;
        if name == "deleted" {
            assert_eq!(heading(&owner.room(room).await), "Members (4), 4 here now");
            let form = [("password", PASSWORD)];
            let page = person.post("/account/delete", &form).await;
            page.assert_status(303);
        }
    }

    let confirm = [("confirm", "1")];
    let page = owner.manage(room, "removed", "remove", &confirm).await;
    page.assert_status(303);
    owner.ban(room, "banned", "spam").await;
    assert_eq!(heading(&owner.room(room).await), "Members (3), 3 here now");

    let form = [("password", "eight spoons"), ("others", "go")];
    let path = format!("/rooms/{room}/settings/password");
    owner.post(&path, &form).await.assert_status(303);
    assert_eq!(heading(&owner.room(room).await), "Members (1), 1 here now");
}

#[actix_web::test]
async fn a_person_who_leaves_and_comes_back_is_counted_once() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    bob.room(room).await;
    bob.leave(room).await;

    bob.join(room).await;

    bob.room(room).await;
    assert_eq!(heading(&ada.room(room).await), "Members (2), 2 here now");
}

#[actix_web::test]
async fn the_list_of_public_rooms_says_how_many_people_are_present() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.room(room).await;

    assert!(ada.get("/rooms").await.texts(".rooms p")[0].starts_with("1 member, 1 here now."));
}
