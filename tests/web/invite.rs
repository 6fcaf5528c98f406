use std::time::Duration;

use mirage::database::entities::{invite, room};
use mirage::domain::{Audience, Reason, RoomId};
use mirage::services::moderation;
use reqwest::Method;
use reqwest::header::DATE;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp};

const HOUR: Duration = Duration::from_secs(3_600);

async fn uses_left(app: &TestApp) -> Vec<Option<i64>> {
    let rows = invite::Entity::find().all(&app.core.database).await;
    rows.unwrap().iter().map(|row| row.uses_left).collect()
}

/// Sets a column of a room, as its settings form would.
async fn set(app: &TestApp, room: i64, column: room::Column, value: impl Into<sea_orm::Value>) {
    room::Entity::update_many()
        .col_expr(column, Expr::value(value))
        .filter(room::Column::Id.eq(room))
        .exec(&app.core.writer)
        .await
        .unwrap();
    for core in app.cores() {
        core.rooms.forget(RoomId(room));
    }
}

async fn ban(app: &TestApp, room: i64, owner: &str, person: &str) {
    let (owner, person) = (app.user_id(owner).await, app.user_id(person).await);
    let reason = Reason::parse("no").unwrap();
    let done = moderation::ban(
        &app.core,
        RoomId(room),
        owner,
        person,
        reason,
        Audience::Everyone,
    )
    .await;
    assert_eq!(done.unwrap(), moderation::Moderated::Done);
}

/// The responses of a link to GET and POST, without the values that differ at each request.
async fn answers(browser: &Browser, link: &str) -> [Page; 2] {
    let mut pages = [browser.get(link).await, browser.accept(link).await];
    for page in &mut pages {
        page.headers.remove(DATE);
    }
    pages
}

#[actix_web::test]
async fn an_invite_link_shows_the_room_and_only_its_button_joins() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea club").await;
    set(&app, room, room::Column::Description, "All about tea.").await;
    ada.send(room, "between us").await.assert_status(303);
    let link = ada.invite_to(room, "day", "one").await;

    for _ in 0..3 {
        let page = bob.get(&link).await;
        page.assert_status(200);
        assert_eq!(page.text("h1"), "You are invited to Tea club");
        assert_eq!(
            page.texts("main p"),
            [
                "All about tea.",
                "Private room. Messages here disappear 24 hours after they are sent.",
            ]
        );
        assert_eq!(page.text("main button"), "Join Tea club");
        assert_eq!(page.attribute("main form", "action"), link);
        assert!(!page.body.contains("between us"));
        let head = bob.request(Method::HEAD, &link).await;
        assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    }
    assert_eq!(uses_left(&app).await, [Some(1)]);
    bob.room(room).await.assert_status(404);

    let joined = bob.accept(&link).await;

    joined.assert_redirect(&format!("/rooms/{room}?done=joined#now"));
    assert_eq!(bob.messages(room).await, ["between us"]);
    assert_eq!(ada.members(room).await, ["ada (you), owner", "bob"]);
}

#[actix_web::test]
async fn a_short_message_lifespan_is_shown_before_joining() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    set(&app, room, room::Column::MessageLifespan, 300_000_i64).await;
    let link = ada.invite_to(room, "day", "one").await;

    let page = app.anonymous().get(&link).await;

    assert!(
        page.text("main p:first-of-type")
            .contains("disappear 5 minutes after")
    );
}

#[actix_web::test]
async fn each_join_spends_one_use_and_the_last_use_ends_the_link() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let ten = ada.invite_to(room, "day", "ten").await;
    let joined = format!("/rooms/{room}?done=joined#now");

    for number in 0..10_i64 {
        assert_eq!(uses_left(&app).await, [Some(10 - number)]);
        let guest = app.sign_up(&format!("guest-{number}")).await;
        guest.accept(&ten).await.assert_redirect(&joined);
    }

    assert_eq!(uses_left(&app).await, [Some(0)]);
    let late = app.sign_up("late").await;
    late.accept(&ten).await.assert_status(404);
    let no_limit = ada.invite_to(room, "day", "no-limit").await;
    late.accept(&no_limit).await.assert_redirect(&joined);
    assert_eq!(uses_left(&app).await, [Some(0), None]);
}

#[actix_web::test]
async fn a_member_who_follows_an_invite_spends_no_use() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "day", "one").await;

    let page = ada.get(&link).await;

    assert_eq!(page.text("main .onward a"), "Open Tea");
    assert_eq!(
        page.attribute("main .onward a", "href"),
        format!("/rooms/{room}#now")
    );
    assert!(!page.has("main form"));
    ada.accept(&link)
        .await
        .assert_redirect(&format!("/rooms/{room}#now"));
    assert_eq!(uses_left(&app).await, [Some(1)]);
    bob.accept(&link)
        .await
        .assert_redirect(&format!("/rooms/{room}?done=joined#now"));
}

#[actix_web::test]
async fn of_two_concurrent_joins_with_one_use_left_exactly_one_succeeds() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let (bob, cleo) = (app.sign_up("bob").await, app.sign_up("cleo").await);
    let room = ada.create_private_room("Tea").await;

    for round in 0..25 {
        let link = ada.invite_to(room, "hour", "one").await;

        let (one, other) = tokio::join!(bob.accept(&link), cleo.accept(&link));

        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 404], "round {round}");
        assert_eq!(ada.members(room).await.len(), 2);
        assert_eq!(uses_left(&app).await.last(), Some(&Some(0)));
        let winner = if one.status == 303 { &bob } else { &cleo };
        winner.leave(room).await;
    }
}

#[actix_web::test]
async fn a_double_click_spends_one_use() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "hour", "ten").await;

    for left in (1..10).rev() {
        let (one, other) = tokio::join!(bob.accept(&link), bob.accept(&link));

        one.assert_status(303);
        other.assert_status(303);
        assert_eq!(uses_left(&app).await, [Some(left)]);
        bob.leave(room).await;
    }
}

#[actix_web::test]
async fn an_invite_link_continues_after_creating_an_account() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "day", "one").await;
    let guest = app.anonymous();

    let page = guest.get(&link).await;
    page.assert_status(200);
    assert_eq!(page.text("h1"), "You are invited to Tea");
    assert!(!page.has("main form"));
    assert_eq!(
        page.texts("main .actions a"),
        ["Create an account to join", "Sign in to join"]
    );
    let addresses = page.attributes("main .actions a", "href");
    let form = guest.get(&addresses[0]).await;
    let next = form.attribute("[name=next]", "value");
    let sent = [("name", "guest"), ("password", PASSWORD), ("next", &next)];
    let signed_up = guest.post("/register", &sent).await;
    signed_up.assert_redirect(&link);
    let page = guest.get(signed_up.location()).await;
    let joined = guest.accept(&page.attribute("main form", "action")).await;

    joined.assert_redirect(&format!("/rooms/{room}?done=joined#now"));
}

#[actix_web::test]
async fn an_invite_link_continues_after_signing_in() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    app.sign_up("bob").await;
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "day", "one").await;
    let bob = app.anonymous();

    let page = bob.get(&link).await;
    let login = bob
        .get(&page.attributes("main .actions a", "href")[1])
        .await;
    let next = login.attribute("[name=next]", "value");
    let form = [("name", "bob"), ("password", PASSWORD), ("next", &next)];
    bob.post("/login", &form).await.assert_redirect(&link);

    // A person whose session ended meanwhile is redirected to sign in and back, too.
    let gone = app.anonymous().accept(&link).await;
    gone.assert_redirect(&format!("/login?next={link}"));
    bob.accept(&link)
        .await
        .assert_redirect(&format!("/rooms/{room}?done=joined#now"));
}

#[actix_web::test]
async fn all_dead_invite_links_look_the_same() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    let cake = ada.create_private_room("Cake").await;

    let never = answers(&bob, "/invite/never").await;
    for page in &never {
        page.assert_status(404);
        assert_eq!(page.text("h1"), "This link does not work");
        assert!(!page.has("main form"));
    }

    let revoked = ada.invite_to(room, "week", "ten").await;
    ada.post(
        &format!("/rooms/{room}/invites/1/revoke"),
        &[("revoke", "1")],
    )
    .await
    .assert_status(303);
    let used_up = ada.invite_to(room, "week", "one").await;
    let guest = app.sign_up("guest").await;
    guest.accept(&used_up).await.assert_status(303);
    let expired = ada.invite_to(room, "hour", "no-limit").await;
    let of_public_room = ada.invite_to(cake, "week", "ten").await;
    let banned_from = ada.invite_to(room, "week", "ten").await;
    let garbled = "/invite/%FF%2F%00".to_owned();
    let gone = ada.create_private_room("Bread").await;
    let of_gone_room = ada.invite_to(gone, "week", "ten").await;
    for link in [&expired, &of_public_room, &banned_from, &of_gone_room] {
        bob.get(link).await.assert_status(200);
    }
    app.clock.advance(HOUR);
    set(&app, cake, room::Column::IsPrivate, false).await;
    ban(&app, room, "ada", "bob").await;
    ada.leave(gone).await;

    for link in [
        revoked,
        used_up,
        expired,
        of_public_room,
        banned_from,
        garbled,
        of_gone_room,
    ] {
        assert_eq!(answers(&bob, &link).await, never, "{link}");
    }
    assert!(!bob.get("/rooms/mine").await.has("main li"));
}

#[actix_web::test]
async fn an_invite_link_works_until_it_expires() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    for (life, span) in [("hour", HOUR), ("day", 24 * HOUR), ("week", 168 * HOUR)] {
        let link = ada.invite_to(room, life, "no-limit").await;

        app.clock.advance(span - Duration::from_millis(1));
        bob.get(&link).await.assert_status(200);
        bob.accept(&link).await.assert_status(303);
        bob.leave(room).await;

        app.clock.advance(Duration::from_millis(1));
        bob.get(&link).await.assert_status(404);
        bob.accept(&link).await.assert_status(404);
    }
}

#[actix_web::test]
async fn joining_a_full_room_fails_and_spends_no_use() {
    let app = TestApp::with(&["--members-per-room=2"]).await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    bob.join_privately("Tea", ROOM_PASSWORD)
        .await
        .assert_status(303);
    let link = ada.invite_to(room, "day", "one").await;
    let cleo = app.sign_up("cleo").await;

    let full = cleo.accept(&link).await;

    full.assert_status(403);
    assert_eq!(full.text("h1"), "This room is full");
    assert_eq!(uses_left(&app).await, [Some(1)]);
    bob.leave(room).await;
    cleo.accept(&link)
        .await
        .assert_redirect(&format!("/rooms/{room}?done=joined#now"));
}

#[actix_web::test]
async fn invite_links_survive_a_restart() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_private_room("Tea").await;
    let link = ada.invite_to(room, "day", "one").await;

    let _app = app.restart().await;

    bob.accept(&link)
        .await
        .assert_redirect(&format!("/rooms/{room}?done=joined#now"));
}
