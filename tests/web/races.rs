//! Races: of two concurrent requests, exactly one wins.

use crate::support::{ROOM_PASSWORD, TestApp};

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
