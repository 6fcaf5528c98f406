//! Forms of a room's private time that are sent after the room was made public.

use std::time::Duration;

use mirage::database::feed::Change;
use mirage::domain::{Lifespan, RoomId};

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, db_column};

const PUBLIC_NOW: &str =
    "This room is public now. Your message is still here: send it again to publish it";

struct Scene {
    app: TestApp,
    owner: Browser,
    member: Browser,
    /// The private room Den.
    room: i64,
}

async fn scene() -> Scene {
    let app = TestApp::spawn().await;
    let (owner, member) = (app.sign_up("owner").await, app.sign_up("member").await);
    let room = owner.create_private_room("Den").await;
    let joined = member.join_privately("Den", ROOM_PASSWORD).await;
    joined.assert_status(303);
    Scene {
        app,
        owner,
        member,
        room,
    }
}

impl Scene {
    fn path(&self, page: &str) -> String {
        format!("/rooms/{}{page}", self.room)
    }

    /// The audience for which the owner's form at this path is made.
    async fn audience(&self, path: &str) -> String {
        let page = self.owner.get(path).await;
        page.attribute("[name=audience]", "value")
    }

    async fn make_public(&self) {
        let path = self.path("/settings/public");
        let page = self.owner.post(&path, &[("confirm", "1")]).await;
        page.assert_status(303);
    }

    /// Saves a description that was written for this audience.
    async fn describe(&self, audience: &str) -> Page {
        let form = [
            ("name", "Den"),
            ("description", "Our plans"),
            ("lifespan", "1800"),
            ("slow-mode", "0"),
            ("posting", "everyone"),
            ("audience", audience),
        ];
        self.owner.post(&self.path("/settings"), &form).await
    }

    async fn make_private(&self) {
        let path = self.path("/settings/password");
        let form = [("password", ROOM_PASSWORD)];
        self.owner.post(&path, &form).await.assert_status(303);
    }
}

/// Sends the form of a room page with this text.
pub async fn send_form(browser: &Browser, page: &Page, text: &str) -> Page {
    let form = "#write input[type=hidden]";
    let (names, values) = (
        page.attributes(form, "name"),
        page.attributes(form, "value"),
    );
    let mut form = vec![("text", text)];
    form.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(values.iter().map(String::as_str)),
    );
    browser
        .post(&page.attribute("#write", "action"), &form)
        .await
}

#[actix_web::test]
async fn a_message_written_in_private_is_published_only_when_it_is_sent_again() {
    let scene = scene().await;
    let page = scene.member.room(scene.room).await;
    scene.make_public().await;

    let refused = send_form(&scene.member, &page, "between us").await;

    refused
        .assert_status(422)
        .assert_problem("message", PUBLIC_NOW);
    assert_eq!(refused.text("#message"), "between us");
    assert_eq!(scene.owner.messages(scene.room).await, [""; 0]);
    // The old form is refused as often as it is sent.
    send_form(&scene.member, &page, "between us")
        .await
        .assert_status(422);

    let sent = send_form(&scene.member, &refused, "between us").await;
    sent.assert_status(303);
    assert_eq!(scene.owner.messages(scene.room).await, ["between us"]);
}

#[actix_web::test]
async fn a_message_is_not_published_if_its_room_is_made_public_while_it_is_posted() {
    let scene = scene().await;
    let page = scene.member.room(scene.room).await;
    // The log has been told of the change, and the room is still held in memory as it was.
    let change = "UPDATE rooms SET is_private = FALSE, password_hash = NULL, version = version + 1";
    scene.app.execute(change).await;
    let version = db_column(&scene.app, "SELECT CAST(version AS TEXT) FROM rooms").await;
    let version = version[0].parse().unwrap();
    let log = &scene.app.core.messages;
    log.raise_version(RoomId(scene.room), version)
        .await
        .unwrap();

    let refused = send_form(&scene.member, &page, "between us").await;

    refused
        .assert_status(422)
        .assert_problem("message", PUBLIC_NOW);
    assert_eq!(scene.owner.messages(scene.room).await, [""; 0]);
}

#[actix_web::test]
async fn the_script_gets_the_sentence_and_a_form_that_publishes() {
    let scene = scene().await;
    let nonce = scene.member.nonce(scene.room).await;
    scene.make_public().await;
    let send = async |nonce: &str, audience: &str| {
        let url = scene.member.url(&scene.path("/messages"));
        let form = [("text", "tea"), ("nonce", nonce), ("audience", audience)];
        let send = scene.member.client.post(url).header("Mirage-Script", "1");
        Browser::answer(send.form(&form)).await
    };

    let refused = send(&nonce, "members").await;

    refused
        .assert_status(422)
        .assert_problem("message", PUBLIC_NOW);
    let audience = refused.attribute("#write [name=audience]", "value");
    assert_eq!(audience, "everyone");
    let next = refused.attribute("#write [name=nonce]", "value");
    send(&next, &audience).await.assert_status(204);
}

#[actix_web::test]
async fn a_message_that_is_refused_for_another_reason_is_still_not_published_without_a_word() {
    let scene = scene().await;
    let page = scene.member.room(scene.room).await;
    scene.make_public().await;

    let refused = send_form(&scene.member, &page, &"x".repeat(2_001)).await;

    refused.assert_status(422);
    assert!(
        refused
            .text("#message-problem")
            .contains("2,001 characters")
    );
    send_form(&scene.member, &refused, "between us")
        .await
        .assert_status(422)
        .assert_problem("message", PUBLIC_NOW);
}

#[actix_web::test]
async fn a_draft_that_was_written_in_private_is_published_only_when_it_is_sent_again() {
    for is_public in [false, true] {
        let scene = scene().await;
        let page = scene.member.room(scene.room).await;
        scene.member.post("/logout", &[]).await.assert_status(303);
        let kept = send_form(&scene.member, &page, "between us").await;
        if is_public {
            scene.make_public().await;
        }

        let login = scene.member.get(kept.location()).await;
        let next = login.attribute("[name=next]", "value");
        let form = [("name", "member"), ("password", PASSWORD), ("next", &next)];
        let signed_in = scene.member.post("/login", &form).await;
        let draft = scene.member.get(signed_in.location()).await;
        assert_eq!(draft.text("#message"), "between us");
        let sent = send_form(&scene.member, &draft, "between us").await;

        if is_public {
            sent.assert_status(422)
                .assert_problem("message", PUBLIC_NOW);
        } else {
            sent.assert_status(303);
        }
    }
}

#[actix_web::test]
async fn another_person_is_asked_too_before_they_publish_what_was_written_in_private() {
    let scene = scene().await;
    let page = scene.member.room(scene.room).await;
    scene.make_public().await;

    let box_of_owner = send_form(&scene.owner, &page, "between us").await;
    let sent = send_form(&scene.owner, &box_of_owner, "between us").await;

    let problem = box_of_owner.text("#message-problem");
    assert!(problem.contains("You are now signed in as owner."));
    sent.assert_status(422)
        .assert_problem("message", PUBLIC_NOW);
}

#[actix_web::test]
async fn a_message_written_in_public_or_for_a_room_that_is_private_again_is_sent() {
    let scene = scene().await;
    let private = scene.member.room(scene.room).await;
    scene.make_public().await;
    let public = scene.member.room(scene.room).await;
    scene.make_private().await;

    for (page, text) in [(private, "for members"), (public, "for everyone")] {
        send_form(&scene.member, &page, text)
            .await
            .assert_status(303);
    }
}

#[actix_web::test]
async fn polls_tell_that_a_room_is_public() {
    let scene = scene().await;
    let poll = async |cursor: &str| {
        let query = format!("?after={cursor}&wait=0");
        scene.member.poll(scene.room, &query).await
    };
    let cursor = scene.member.cursor(scene.room).await;
    assert_eq!(poll(&cursor).await.page.header("mirage-public"), "");

    scene.make_public().await;
    scene.app.hear_all(scene.room).await;

    // Also later, when nothing has happened since the poll before.
    let first = poll(&cursor).await;
    assert_eq!(first.page.header("mirage-public"), "1");
    let second = poll(&first.cursor).await;
    assert_eq!(
        (second.status, second.page.header("mirage-public")),
        (204, "1")
    );
    scene.make_private().await;
    assert_eq!(poll(&cursor).await.page.header("mirage-public"), "");
}

#[actix_web::test]
async fn a_reason_that_was_written_for_the_moderators_is_shown_to_the_banned_only_after_a_second_look()
 {
    let scene = scene().await;
    let person = scene.owner.member_id(scene.room, "member").await;
    let path = scene.path(&format!("/members/{person}/ban"));
    let of_private_time = scene.audience(&path).await;
    scene.make_public().await;
    let ban = async |audience: &str| {
        let form = [("reason", "Tells tales"), ("audience", audience)];
        scene.owner.post(&path, &form).await
    };

    let refused = ban(&of_private_time).await;

    const SENTENCE: &str = "This room is public now: they see the reason when they try to join. Check it, then ban them again";
    refused
        .assert_status(422)
        .assert_problem("reason", SENTENCE);
    assert_eq!(refused.text("#reason"), "Tells tales");
    // Nobody is banned yet.
    assert_eq!(scene.member.room(scene.room).await.status, 200);
    let again = refused.attribute("[name=audience]", "value");
    assert_eq!(again, scene.audience(&path).await);
    ban(&again).await.assert_status(303);
}

#[actix_web::test]
async fn what_was_written_for_members_is_not_published_by_a_server_that_holds_an_older_row() {
    let scene = scene().await;
    let person = scene.owner.member_id(scene.room, "member").await;
    let ban = scene.path(&format!("/members/{person}/ban"));
    let settings = scene.path("/settings");
    for path in [&ban, &settings] {
        scene.owner.get(path).await.assert_status(200);
    }
    // As between the commit of another server and the moment when this one hears of it.
    let sql = "UPDATE rooms SET is_private = FALSE, password_hash = NULL";
    scene.app.execute(sql).await;

    let form = [("reason", "Tells tales"), ("audience", "members")];
    let refused = scene.owner.post(&ban, &form).await;
    refused.assert_status(422);
    assert_eq!(refused.text("#reason"), "Tells tales");
    let refused = scene.describe("members").await;
    refused.assert_status(422);
    assert_eq!(refused.text("#description"), "Our plans");

    let bans = db_column(&scene.app, "SELECT reason FROM room_bans").await;
    assert_eq!(bans, [""; 0]);
    let described = db_column(&scene.app, "SELECT description FROM rooms").await;
    assert_eq!(described, [""]);
}

#[actix_web::test]
async fn a_description_that_was_written_for_members_is_shown_to_everyone_only_after_a_second_look()
{
    let scene = scene().await;
    let path = scene.path("/settings");
    let of_private_time = scene.audience(&path).await;
    scene.make_public().await;

    let refused = scene.describe(&of_private_time).await;

    refused.assert_status(422).assert_problem(
        "description",
        "This room is public now: everyone can see the description. Check it, then save again",
    );
    assert_eq!(refused.text("#description"), "Our plans");
    assert!(!scene.owner.get("/rooms").await.body.contains("Our plans"));
    let again = refused.attribute("[name=audience]", "value");
    scene.describe(&again).await.assert_status(303);
    assert!(scene.owner.get("/rooms").await.body.contains("Our plans"));
}

#[actix_web::test]
async fn changing_the_password_of_a_room_that_is_public_now_does_not_make_it_private_without_a_word()
 {
    let scene = scene().await;
    scene.make_public().await;
    let path = scene.path("/settings/password");
    let form = [("password", "eight spoons"), ("others", "go")];

    let refused = scene.owner.post(&path, &form).await;

    refused.assert_status(422).assert_problem(
        "password",
        "This room is public now. Setting a password makes it private again: enter it once more",
    );
    assert!(scene.owner.get("/rooms").await.has("h2 bdi"));
    assert!(!refused.has("[name=others][type=radio]"));
    scene
        .owner
        .post(&path, &form[..1])
        .await
        .assert_redirect(&scene.path("/settings?done=private"));
}

#[actix_web::test]
async fn a_change_that_is_told_late_deletes_and_shortens_nothing_that_was_posted_since() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let version = format!("SELECT CAST(version AS TEXT) FROM rooms WHERE id = {room}");
    let version = db_column(&app, &version).await[0].parse().unwrap();
    ada.send(room, "hello").await.assert_status(303);
    let page = ada.room(room).await;
    let id = RoomId(room);

    app.core
        .apply(Change::MessagesCleared { room: id, version });
    app.core.apply(Change::MessagesShortened {
        room: id,
        version,
        lifespan: Lifespan(Duration::from_secs(1)),
    });

    assert_eq!(ada.messages(room).await, ["hello"]);
    let deadlines = |page: &Page| page.attributes("#log li", "data-deadline");
    assert_eq!(deadlines(&ada.room(room).await), deadlines(&page));
}
