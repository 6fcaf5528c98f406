use crate::support::{Browser, PASSWORD, ROOM_PASSWORD, TestApp};

#[actix_web::test]
async fn leaving_asks_for_confirmation_first() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;

    let question = bob.get(&format!("/rooms/{room}/leave")).await;
    assert_eq!(question.text("h1"), "Leave Tea?");
    assert_eq!(question.text("main button"), "Leave Tea");
    assert_eq!(ada.members(room).await.len(), 2);

    bob.leave(room).await;

    let page = bob.get("/rooms/mine?done=left").await;
    assert_eq!(page.text(".done"), "You have left the room.");
    assert!(!page.has(".rooms"));
    assert_eq!(ada.members(room).await, ["ada (you), owner"]);
}

#[actix_web::test]
async fn when_the_owner_leaves_the_longest_standing_member_becomes_owner() {
    let app = TestApp::spawn().await;
    let (ada, bob, eve) = (
        app.sign_up("ada").await,
        app.sign_up("bob").await,
        app.sign_up("eve").await,
    );
    let room = ada.create_private_room("Tea").await;
    for browser in [&eve, &bob] {
        app.clock.advance(std::time::Duration::from_secs(1));
        browser
            .join_privately("Tea", ROOM_PASSWORD)
            .await
            .assert_status(303);
    }

    ada.leave(room).await;

    assert_eq!(bob.members(room).await, ["eve, owner", "bob (you)"]);
}

#[actix_web::test]
async fn when_another_member_leaves_the_owner_stays_owner() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;

    bob.leave(room).await;

    assert_eq!(ada.members(room).await, ["ada (you), owner"]);
}

#[actix_web::test]
async fn when_the_last_member_leaves_the_room_is_deleted_and_its_name_is_free() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    for is_private in [false, true] {
        let room = match is_private {
            false => ada.create_public_room("Tea").await,
            true => ada.create_private_room("Tea").await,
        };
        ada.send(room, "for the walls").await.assert_status(303);
        assert!(app.core.messages.bytes().await.unwrap() > 0);

        ada.leave(room).await;

        ada.room(room).await.assert_status(404);
        assert_eq!(app.core.messages.bytes().await.unwrap(), 0);
    }
}

#[actix_web::test]
async fn the_last_member_is_warned_that_leaving_deletes_the_room() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    let page = ada.get(&format!("/rooms/{room}/leave")).await;

    assert!(page.texts("main p")[0].contains("deleted for good"));
}

#[actix_web::test]
async fn a_member_at_the_room_limit_inherits_only_if_all_others_are_at_it_too() {
    let app = TestApp::with(&["--rooms-per-person=1"]).await;
    let names = ["ada", "bob", "eve", "zoe"];
    let mut people = Vec::new();
    for name in names {
        people.push(app.sign_up(name).await);
    }
    let [ada, bob, eve, zoe] = &people[..] else {
        unreachable!("four people signed up")
    };
    let room = ada.create_public_room("Tea").await;
    bob.create_public_room("Cake").await;
    for browser in [bob, eve, zoe] {
        app.clock.advance(std::time::Duration::from_secs(1));
        browser.join(room).await;
    }
    ada.make_moderator(room, "bob").await;
    let owner_is = async |owner: &Browser| {
        let page = owner.get(&format!("/rooms/{room}/settings")).await;
        page.assert_status(200);
    };

    ada.leave(room).await;
    owner_is(eve).await;

    eve.post("/account/delete", &[("password", PASSWORD)])
        .await
        .assert_redirect("/?done=deleted");
    owner_is(zoe).await;

    zoe.leave(room).await;
    owner_is(bob).await;
}
