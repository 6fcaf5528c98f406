//! Races: of two concurrent requests, exactly one wins.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mirage::domain::RoomId;
use mirage::live::messages::{EVERY_VERSION, Since};
use mirage::live::sessions::LiveSession;
use mirage::security::tokens::Token;
use mirage::services::messages::{self, Polled, Visibility, WaitMode};
use tokio_util::sync::CancellationToken;

use crate::support::{Page, ROOM_PASSWORD, START, TestApp, db_column};

const ROUNDS: usize = 20;

#[actix_web::test]
async fn of_two_concurrent_handovers_exactly_one_succeeds() {
    let app = TestApp::spawn().await;
    let (owner, one, other) = (
        app.sign_up("owner").await,
        app.sign_up("one").await,
        app.sign_up("other").await,
    );
    for round in 0..ROUNDS {
        let room = owner.create_public_room(&format!("Tea {round}")).await;
        one.join(room).await;
        other.join(room).await;
        let to = async |name| owner.member_id(room, name).await;
        let paths = [to("one").await, to("other").await]
            .map(|person| format!("/rooms/{room}/members/{person}/owner"));

        let answers = tokio::join!(
            owner.post(&paths[0], &[("confirm", "1")]),
            owner.post(&paths[1], &[("confirm", "1")]),
        );

        assert_eq!(sorted_statuses(&answers), [303, 403]);
        let members = owner.get(&format!("/rooms/{room}/members")).await;
        let texts = members.texts(".members li");
        let owners = texts.iter().filter(|text| text.contains(", owner"));
        assert_eq!(owners.count(), 1, "{texts:?}");
    }
}

#[actix_web::test]
async fn a_removed_member_cannot_post() {
    let app = TestApp::spawn().await;
    let (owner, member) = (app.sign_up("owner").await, app.sign_up("member").await);
    for round in 0..ROUNDS {
        let name = format!("Den {round}");
        let room = owner.create_private_room(&name).await;
        let joined = member.join_privately(&name, ROOM_PASSWORD).await;
        joined.assert_status(303);
        let nonce = member.nonce(room).await;
        let removal = async {
            // Varies which of the two requests comes first.
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            owner
                .manage(room, "member", "remove", &[("confirm", "1")])
                .await
                .assert_status(303);
            owner.messages(room).await.len()
        };

        let (there, sent) = tokio::join!(removal, member.send_with(room, "hello", &nonce));

        let is_in = sent.status == 303;
        assert!(is_in || sent.status == 404, "{}", sent.status);
        // No message was added after the removal was answered.
        assert_eq!(there, usize::from(is_in));
        assert_eq!(owner.messages(room).await.len(), there);
    }
}

#[actix_web::test]
async fn two_people_cannot_both_take_the_last_place_in_a_room() {
    let app = TestApp::with(&["--members-per-room=2"]).await;
    let owner = app.sign_up("owner").await;
    let (one, other) = (app.sign_up("one").await, app.sign_up("other").await);
    for round in 0..ROUNDS {
        let room = owner.create_public_room(&format!("Tea {round}")).await;
        let path = format!("/rooms/{room}/join");

        let answers = tokio::join!(
            one.post(&path, &[("join", "1")]),
            other.post(&path, &[("join", "1")]),
        );

        assert_eq!(sorted_statuses(&answers), [303, 403]);
    }
}

#[actix_web::test]
async fn of_two_people_who_choose_one_room_name_at_once_exactly_one_gets_it() {
    let app = TestApp::spawn().await;
    let (one, other) = (app.sign_up("one").await, app.sign_up("other").await);
    for round in 0..ROUNDS {
        // Names that look alike are one name.
        let names = [format!("Tea {round}"), format!("TEA {round}")];
        let forms = names
            .each_ref()
            .map(|name| [("name", name.as_str()), ("kind", "public")]);

        let answers = tokio::join!(
            one.post("/rooms/new", &forms[0]),
            other.post("/rooms/new", &forms[1]),
        );

        assert_eq!(sorted_statuses(&answers), [303, 422]);
        assert_eq!(one.get("/rooms").await.texts(".rooms h2").len(), round + 1);
    }
}

#[actix_web::test]
async fn nobody_gets_more_rooms_than_a_person_may_own_by_making_two_at_once() {
    let app = TestApp::with(&["--rooms-per-person=1"]).await;
    for round in 0..ROUNDS {
        let owner = app.sign_up(&format!("owner-{round}")).await;
        let names = [format!("Tea {round}"), format!("Cake {round}")];
        let forms = names
            .each_ref()
            .map(|name| [("name", name.as_str()), ("kind", "public")]);

        let answers = tokio::join!(
            owner.post("/rooms/new", &forms[0]),
            owner.post("/rooms/new", &forms[1]),
        );

        assert_eq!(sorted_statuses(&answers), [303, 422]);
        let own = owner.get("/rooms/mine").await;
        assert_eq!(own.texts(".rooms h2").len(), 1);
    }
}

#[actix_web::test]
async fn a_room_has_one_owner_when_the_owner_and_the_heir_leave_at_once() {
    let app = TestApp::spawn().await;
    let (owner, heir, last) = (
        app.sign_up("owner").await,
        app.sign_up("heir").await,
        app.sign_up("last").await,
    );
    for round in 0..ROUNDS {
        let room = owner.create_public_room(&format!("Tea {round}")).await;
        for member in [&heir, &last] {
            app.clock.advance(Duration::from_secs(1));
            member.join(room).await;
        }

        tokio::join!(owner.leave(room), heir.leave(room));

        assert_eq!(last.members(room).await, ["last (you), owner"]);
        let owners = format!(
            "SELECT u.name FROM rooms r JOIN users u ON u.id = r.owner_id WHERE r.id = {room}"
        );
        assert_eq!(db_column(&app, &owners).await, ["last"]);
    }
}

#[actix_web::test]
async fn a_room_is_deleted_when_its_last_two_members_leave_at_once() {
    let app = TestApp::spawn().await;
    let (owner, heir) = (app.sign_up("owner").await, app.sign_up("heir").await);
    for _ in 0..ROUNDS {
        let room = owner.create_public_room("Tea").await;
        heir.join(room).await;

        tokio::join!(owner.leave(room), heir.leave(room));

        owner.room(room).await.assert_status(404);
        assert_eq!(db_column(&app, "SELECT name FROM rooms").await, [""; 0]);
    }
}

fn sorted_statuses(answers: &(Page, Page)) -> [u16; 2] {
    let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
    statuses.sort_unstable();
    statuses
}

#[actix_web::test]
async fn a_stranger_who_polls_while_a_room_becomes_public_receives_none_of_its_private_messages() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    app.sign_up("eve").await;
    let room = ada.create_private_room("Den").await;
    ada.send(room, "between us").await.assert_status(303);
    let eve = app.user_id("eve").await;
    let (key, stopping) = (Token::random().digest(), CancellationToken::new());
    let session = LiveSession::new(key, (eve, "eve".to_owned(), false), START, START, stopping);
    let (core, id) = (&app.core, RoomId(room));
    let session = Cell::new(Some(session));
    let held = core
        .sessions
        .get(key, async || Ok::<_, Infallible>(session.take()));
    let session = held.await.unwrap().unwrap();
    let poll = messages::poll(
        core,
        &session,
        id,
        None,
        WaitMode::Never,
        Visibility::Hidden,
    );
    let mut poll = pin!(poll);

    // What the services do when the room is made public and the stranger joins, with the poll begun before.
    let update = core.rooms.update_exclusive(id, async {
        let begun = poll_fn(|task| Poll::Ready(poll.as_mut().poll(task))).await;
        assert!(begun.is_pending());
        let now = START.0;
        for sql in [
            format!("UPDATE rooms SET is_private = FALSE, password_hash = NULL WHERE id = {room}"),
            format!(
                "INSERT INTO room_members (room_id, user_id, joined_at, role) VALUES ({room}, {}, {now}, 'member')",
                eve.0
            ),
        ] {
            app.execute(&sql).await;
        }
        let now = core.clock.site_time();
        core.messages.clear(id, EVERY_VERSION, now).await.unwrap();
    });
    update.await;

    let Polled::News(news) = poll.await.unwrap() else {
        panic!("the stranger has joined")
    };
    let Since::Reset(page) = news.since else {
        panic!("the stranger has no cursor")
    };
    assert!(page.messages.is_empty());
}
