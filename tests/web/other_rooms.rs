//! What a poll tells about the reader's other rooms.

use std::time::Duration;

use crate::support::{Browser, Poll, TestApp, start_poll_from};

/// Longer than the time in which a change is told twice.
const LATER: Duration = Duration::from_secs(2);
const LIFESPAN: Duration = Duration::from_secs(86_400);

/// Three rooms of ada's. Bob is in all of them, and has Tea open.
struct Scene {
    app: TestApp,
    ada: Browser,
    bob: Browser,
    tea: i64,
    cake: i64,
    pie: i64,
    cursor: String,
}

impl Scene {
    async fn spawn() -> Self {
        let app = TestApp::spawn().await;
        let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
        let tea = ada.create_public_room("Tea").await;
        let cake = ada.create_public_room("Cake").await;
        let pie = ada.create_public_room("Pie").await;
        for room in [tea, cake, pie] {
            bob.join(room).await;
        }
        // Opening the page reads the list of rooms.
        bob.room(tea).await;
        app.clock.advance(LATER);
        let cursor = bob.cursor(tea).await;
        Self {
            app,
            ada,
            bob,
            tea,
            cake,
            pie,
            cursor,
        }
    }

    /// Makes bob a member of 120 more rooms, and then of another one.
    async fn bring_into_very_many_rooms(&self) {
        let bob = self.app.user_id("bob").await;
        let rooms = "INSERT INTO rooms (name, folded_name, folded_skeleton, typed_skeleton, is_private, owner_id, \
                     description, slow_mode, language, posting, version, created_at) \
                     WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 120) \
                     SELECT 'Room ' || n, 'room ' || n, 'r' || n, 'r' || n, FALSE, owner_id, \
                     '', 0, '', posting, 0, created_at FROM numbers, (SELECT * FROM rooms WHERE name = 'Tea') tea";
        self.app.execute(rooms).await;
        let members = format!(
            "INSERT INTO room_members (room_id, user_id, joined_at, role) \
             SELECT id, {bob}, 0, 'member' FROM rooms WHERE name LIKE 'Room %'"
        );
        self.app.execute(&members).await;
        // Joining a room drops the list that is held.
        let last = self.ada.create_public_room("Last").await;
        self.bob.join(last).await;
    }

    /// Polls Tea for bob from the cursor of the answer before, and returns what the answer tells about other rooms.
    async fn told(&mut self) -> String {
        let poll = self.poll("").await;
        poll.page.header("mirage-rooms").to_owned()
    }

    async fn poll(&mut self, more: &str) -> Poll {
        self.app.clock.advance(LATER);
        self.app.hear_all(self.tea).await;
        let query = format!("?after={}&wait=0{more}", self.cursor);
        let poll = self.bob.poll(self.tea, &query).await;
        self.cursor.clone_from(&poll.cursor);
        poll
    }
}

#[actix_web::test]
async fn a_poll_tells_how_many_messages_are_new_in_each_other_room_that_changed() {
    let mut scene = Scene::spawn().await;
    assert_eq!(scene.told().await, "");

    scene.ada.send(scene.cake, "one").await;
    scene.ada.send(scene.cake, "two").await;
    assert_eq!(scene.told().await, format!("{}=2", scene.cake));
    assert_eq!(scene.told().await, "", "it has been told");

    scene.ada.send(scene.cake, "three").await;
    scene.ada.send(scene.pie, "one").await;
    let both = format!("{}=3, {}=1", scene.cake, scene.pie);
    let before = scene.app.db_statements();
    assert_eq!(scene.told().await, both);
    assert_eq!(scene.app.db_statements(), before, "without a query");
}

#[actix_web::test]
async fn a_poll_does_not_tell_of_its_own_room_or_of_rooms_of_others() {
    let mut scene = Scene::spawn().await;
    let other = scene.ada.create_public_room("Other").await;
    scene.ada.send(other, "hello").await;
    scene.ada.send(scene.tea, "hello").await;

    let poll = scene.poll("").await;

    assert_eq!(poll.added, ["hello"]);
    assert_eq!(poll.page.header("mirage-rooms"), "");
}

#[actix_web::test]
async fn a_change_of_another_room_does_not_wake_a_poll_that_waits() {
    let scene = Scene::spawn().await;
    let waiting = start_poll_from(&scene.app, &scene.bob, scene.tea, &scene.cursor).await;

    scene.ada.send(scene.cake, "elsewhere").await;
    let subscribers = scene.app.waiting_polls(scene.cake);
    scene.ada.send(scene.tea, "here").await;

    let poll = waiting.answer().await;
    assert_eq!(poll.added, ["here"]);
    let told = format!("{}=1", scene.cake);
    assert_eq!(poll.page.header("mirage-rooms"), told);
    assert_eq!(subscribers, 0);
}

#[actix_web::test]
async fn reading_another_room_in_another_tab_clears_its_number() {
    let mut scene = Scene::spawn().await;
    scene.ada.send(scene.cake, "one").await;
    assert_eq!(scene.told().await, format!("{}=1", scene.cake));

    scene.bob.room(scene.cake).await;
    assert_eq!(scene.told().await, format!("{}=0", scene.cake));
    assert_eq!(scene.told().await, "");

    // An open page counts as having read what an earlier answer brought.
    let open = scene.bob.cursor(scene.cake).await;
    scene.told().await;
    scene.ada.send(scene.cake, "two").await;
    scene.app.hear_all(scene.cake).await;
    let query = format!("?after={open}&wait=0");
    let brought = scene.bob.poll(scene.cake, &query).await.cursor;
    assert_eq!(scene.told().await, format!("{}=1", scene.cake));
    let next = format!("?after={brought}&wait=0");
    scene.bob.poll(scene.cake, &next).await;
    assert_eq!(scene.told().await, format!("{}=0", scene.cake));
}

#[actix_web::test]
async fn messages_that_expire_or_are_deleted_no_longer_count() {
    let mut scene = Scene::spawn().await;
    let sent = scene.ada.send(scene.cake, "one").await;
    scene.ada.send(scene.cake, "two").await;
    assert_eq!(scene.told().await, format!("{}=2", scene.cake));

    let location = sent.location();
    let (_, message) = location.split_once("sent=").unwrap();
    let message = message.trim_end_matches("#message");
    let path = format!("/rooms/{}/messages/{message}/delete", scene.cake);
    let deleted = scene.ada.post(&path, &[("confirm", "1")]).await;
    deleted.assert_status(303);
    assert_eq!(scene.told().await, format!("{}=1", scene.cake));

    scene.app.clock.advance(LIFESPAN);
    assert_eq!(scene.told().await, format!("{}=0", scene.cake));
}

#[actix_web::test]
async fn messages_of_ignored_people_and_ones_own_do_not_count() {
    let mut scene = Scene::spawn().await;
    scene.bob.send(scene.pie, "mine").await;
    scene.ada.send(scene.cake, "one").await;
    let told = scene.told().await;
    assert_eq!(told, format!("{}=1, {}=0", scene.cake, scene.pie));

    let ada = scene.app.user_id("ada").await;
    let path = format!("/rooms/{}/members/{ada}/ignore", scene.cake);
    let ignored = scene.bob.post(&path, &[("confirm", "1")]).await;
    ignored.assert_status(303);

    let poll = scene.poll("").await;
    assert!(poll.is_reset);
    let all = format!("{}=0, {}=0", scene.cake, scene.pie);
    assert_eq!(poll.page.header("mirage-rooms"), all);
}

#[actix_web::test]
async fn a_room_that_one_has_left_is_not_told_of() {
    let mut scene = Scene::spawn().await;
    scene.bob.leave(scene.cake).await;
    scene.ada.send(scene.cake, "hello").await;
    scene.ada.send(scene.pie, "hello").await;

    assert_eq!(scene.told().await, format!("{}=1", scene.pie));
}

/// What a poll tells of rooms with new messages. A room may be told of without any, which does no harm.
fn news(poll: &Poll) -> Vec<&str> {
    let rooms = poll.page.header("mirage-rooms").split(", ");
    rooms.filter(|room| !room.ends_with("=0")).collect()
}

#[actix_web::test]
async fn a_poll_that_may_not_wait_and_one_of_a_hidden_tab_tell_of_other_rooms_too() {
    let mut scene = Scene::spawn().await;
    // Each server counts the polls that wait at it.
    scene.bob = scene.bob.at(&scene.app.address);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let poll = start_poll_from(&scene.app, &scene.bob, scene.tea, &scene.cursor);
        waiting.push(poll.await);
    }
    scene.ada.send(scene.cake, "hello").await;
    scene.app.hear_all(scene.tea).await;
    let told = format!("{}=1", scene.cake);

    let query = format!("?after={}", scene.cursor);
    let fifth = scene.bob.poll(scene.tea, &query).await;
    assert_eq!(fifth.page.header("mirage-wait"), "0");
    assert_eq!(news(&fifth), [told.as_str()]);

    let hidden = scene.poll("&hidden=1").await;
    assert_eq!(news(&hidden), [told.as_str()]);
}

#[actix_web::test]
async fn an_answer_tells_of_a_hundred_rooms_at_most() {
    let mut scene = Scene::spawn().await;
    scene.bring_into_very_many_rooms().await;

    let told = scene.told().await;

    assert_eq!(told.split(", ").count(), 100);
}

#[actix_web::test]
async fn a_member_who_leaves_or_is_removed_costs_the_others_no_query() {
    let mut scene = Scene::spawn().await;
    let carol = scene.app.sign_up("carol").await;
    let carol_id = scene.app.user_id("carol").await;
    let remove = format!("/rooms/{}/members/{carol_id}/remove", scene.cake);
    for is_removed in [false, true] {
        carol.join(scene.cake).await;
        scene.told().await;
        if is_removed {
            let removed = scene.ada.post(&remove, &[("confirm", "1")]).await;
            removed.assert_status(303);
        } else {
            carol.leave(scene.cake).await;
        }
        let before = scene.app.db_statements();

        scene.told().await;

        assert_eq!(scene.app.db_statements(), before, "removed: {is_removed}");
    }
}

#[actix_web::test]
async fn somebody_in_very_many_rooms_is_told_of_those_that_changed() {
    let mut scene = Scene::spawn().await;
    scene.bring_into_very_many_rooms().await;
    // What changed up to a second before an answer is told again.
    scene.told().await;
    scene.told().await;
    assert_eq!(scene.told().await, "");

    scene.ada.send(scene.cake, "one").await;
    scene.ada.send(scene.tea, "one").await;
    let other = scene.ada.create_public_room("Other").await;
    scene.ada.send(other, "hello").await;
    assert_eq!(scene.told().await, format!("{}=1", scene.cake));
    assert_eq!(scene.told().await, "", "it has been told");

    scene.bob.room(scene.cake).await;
    assert_eq!(scene.told().await, format!("{}=0", scene.cake));
    scene.ada.send(scene.pie, "one").await;
    assert_eq!(scene.told().await, format!("{}=1", scene.pie));
    scene.app.clock.advance(LIFESPAN);
    let expired = format!("{}=0, {}=0", scene.cake, scene.pie);
    assert_eq!(scene.told().await, expired);
}

#[actix_web::test]
async fn the_answer_to_a_poll_that_waited_costs_no_query() {
    let scene = Scene::spawn().await;
    let carol = scene.app.sign_up("carol").await;
    carol.join(scene.tea).await;
    scene.ada.send(scene.tea, "first").await;
    let cursor = scene.bob.cursor(scene.tea).await;
    // Nobody has asked for carol's list of rooms before.
    let waiting = start_poll_from(&scene.app, &carol, scene.tea, &cursor).await;
    let nonce = scene.ada.nonce(scene.tea).await;
    let before = scene.app.db_statements();

    scene.ada.send_with(scene.tea, "second", &nonce).await;

    assert_eq!(waiting.answer().await.added, ["second"]);
    assert_eq!(scene.app.db_statements(), before);
}
