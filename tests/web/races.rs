//! Races: of two concurrent requests, exactly one wins.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use mirage::domain::RoomId;
use mirage::live::messages::Since;
use mirage::live::sessions::LiveSession;
use mirage::security::tokens::Token;
use mirage::services::messages::{self, Polled, Visibility, WaitMode};
use tokio_util::sync::CancellationToken;

use crate::support::{ROOM_PASSWORD, START, TestApp};

const ROUNDS: usize = 20;

#[actix_web::test]
async fn of_two_concurrent_handovers_exactly_one_succeeds() {
    for _ in 0..ROUNDS {
        let app = TestApp::spawn().await;
        let (owner, one, other) = (
            app.sign_up("owner").await,
            app.sign_up("one").await,
            app.sign_up("other").await,
        );
        let room = owner.create_public_room("Tea").await;
        one.join(room).await;
        other.join(room).await;
        let to = async |name| owner.member_id(room, name).await;
        let paths = [to("one").await, to("other").await]
            .map(|person| format!("/rooms/{room}/members/{person}/owner"));

        let answers = tokio::join!(
            owner.post(&paths[0], &[("confirm", "1")]),
            owner.post(&paths[1], &[("confirm", "1")]),
        );

        let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 403]);
        let members = owner.get(&format!("/rooms/{room}/members")).await;
        let texts = members.texts(".members li");
        let owners = texts.iter().filter(|text| text.contains(", owner"));
        assert_eq!(owners.count(), 1, "{texts:?}");
    }
}

#[actix_web::test]
async fn a_removed_member_cannot_post() {
    for round in 0..ROUNDS {
        let app = TestApp::spawn().await;
        let (owner, member) = (app.sign_up("owner").await, app.sign_up("member").await);
        let room = owner.create_private_room("Den").await;
        let joined = member.join_privately("Den", ROOM_PASSWORD).await;
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
    for _ in 0..ROUNDS {
        let app = TestApp::with(&["--members-per-room=2"]).await;
        let owner = app.sign_up("owner").await;
        let room = owner.create_public_room("Tea").await;
        let (one, other) = (app.sign_up("one").await, app.sign_up("other").await);
        let path = format!("/rooms/{room}/join");

        let answers = tokio::join!(
            one.post(&path, &[("join", "1")]),
            other.post(&path, &[("join", "1")]),
        );

        let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 403]);
    }
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
        core.messages.clear(id, core.clock.site_time()).await.unwrap();
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
