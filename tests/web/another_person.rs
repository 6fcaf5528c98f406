//! Forms and polls of a page that was made for another person: somebody else has signed in in the same browser since.

use mirage::web::routes;

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, dump};

/// The routes of forms that are made for nobody in particular.
pub const FOR_NOBODY: [&str; 4] = ["/register", "/register/{token}", "/login", "/reset/{token}"];

/// The fields of signed-in pages that people type text into: the form's route, the field and its label. Not the
/// message box, which has tests of its own.
pub const TYPED: [(&str, &str, &str); 7] = [
    ("/rooms/new", "name", "Room name"),
    ("/rooms/private", "name", "Room name"),
    ("/rooms/{room}/members/{person}/ban", "reason", "Reason"),
    (
        "/rooms/{room}/messages/{message}/report",
        "reason",
        "Reason",
    ),
    ("/rooms/{room}/settings", "name", "Room name"),
    ("/rooms/{room}/settings", "description", "Description"),
    ("/site/people/{person}/suspend", "reason", "Reason"),
];

const MESSAGES: &str = "/rooms/{room}/messages";

/// The routes of the forms of signed-in pages.
pub fn routes_of_forms() -> Vec<&'static str> {
    routes::table()
        .iter()
        .filter(|route| route.method == "POST" && !FOR_NOBODY.contains(&route.pattern))
        .map(|route| route.pattern)
        .collect()
}

/// Values with which the forms of zoe's room would do something.
const VALUES: [(&str, &str); 14] = [
    ("name", "Cake <3"),
    ("kind", "public"),
    ("password", "an owl in a willow"),
    ("current", PASSWORD),
    ("description", "All sorts of cake"),
    ("reason", "Loud & rude"),
    ("announcements", "none"),
    ("role", "moderator"),
    ("life", "week"),
    ("uses", "one"),
    ("lifespan", "1800"),
    ("slow-mode", "30"),
    ("posting", "moderators"),
    ("others", "go"),
];

struct Scene {
    app: TestApp,
    zoe: Browser,
    /// A private room of zoe's, in which ada and bob are members.
    room: i64,
    ada_id: String,
    bob_id: String,
    /// An invite to another private room, of ada's.
    invite: String,
}

async fn scene() -> Scene {
    let app = TestApp::spawn().await;
    // Operators can send all forms.
    let (ada, zoe) = (app.sign_up("ada").await, app.operator("zoe").await);
    let bob = app.sign_up("bob").await;
    let room = zoe.create_private_room("Tea").await;
    for member in [&ada, &bob] {
        let joined = member.join_privately("Tea", ROOM_PASSWORD).await;
        joined.assert_status(303);
    }
    zoe.send(room, "hello").await.assert_status(303);
    zoe.invite_to(room, "week", "one").await;
    let attic = ada.create_private_room("Attic").await;
    let invite = ada.invite_to(attic, "week", "one").await;
    app.sign_in("zoe", PASSWORD).await;
    let (ada_id, bob_id) = (app.user_id("ada").await, app.user_id("bob").await);
    Scene {
        app,
        zoe,
        room,
        ada_id: ada_id.to_string(),
        bob_id: bob_id.to_string(),
        invite,
    }
}

impl Scene {
    fn path(&self, pattern: &str) -> String {
        pattern
            .replace("/invite/{token}", &self.invite)
            .replace("{room}", &self.room.to_string())
            .replace("{person}", &self.bob_id)
            .replace("{message}", "1")
            .replace("{invite}", "1")
            .replace("{session}", &"0".repeat(64))
    }

    /// Sends a form of a page that was made for ada, while zoe is signed in.
    async fn send_as_zoe(&self, pattern: &str) -> Page {
        let mut form = vec![("for", self.ada_id.as_str())];
        form.extend(VALUES);
        self.zoe.post(&self.path(pattern), &form).await
    }
}

fn assert_says_zoe(page: &Page) {
    page.assert_status(422);
    assert_eq!(page.text("h1"), "You are now signed in as zoe");
    assert_eq!(page.text("title"), "You are now signed in as zoe – Mirage");
    assert_eq!(page.text(".sign-out p"), "Signed in as zoe");
    assert_eq!(page.header("cache-control"), "no-store, no-cache");
}

#[actix_web::test]
async fn a_form_that_was_made_for_another_person_does_nothing_and_says_who_is_signed_in() {
    let scene = scene().await;
    let before = dump(scene.app.core.database.connections()).await;

    for pattern in routes_of_forms() {
        if pattern == MESSAGES {
            continue;
        }
        let page = scene.send_as_zoe(pattern).await;

        assert_says_zoe(&page);
        for password in ["an owl in a willow", PASSWORD] {
            assert!(!page.body.contains(password), "{pattern}");
        }
    }
    assert_eq!(dump(scene.app.core.database.connections()).await, before);
    assert_eq!(scene.zoe.messages(scene.room).await, ["hello"]);
}

#[actix_web::test]
async fn a_form_that_was_made_for_the_person_who_sends_it_is_accepted() {
    let scene = scene().await;
    let zoe_id = scene.app.user_id("zoe").await.to_string();

    // Each does something that the other test would notice, and the last ones end the session.
    for pattern in [
        "/account",
        "/rooms/{room}/members/{person}/role",
        "/rooms/{room}/settings",
        "/account/sessions/end-others",
        "/rooms/{room}/leave",
        "/logout",
    ] {
        let mut form = vec![("for", zoe_id.as_str())];
        form.extend(VALUES);
        let page = scene.zoe.post(&scene.path(pattern), &form).await;

        page.assert_status(303);
    }
}

#[actix_web::test]
async fn what_was_typed_into_a_form_of_another_person_comes_back_ready_to_copy() {
    let scene = scene().await;
    let value_of = |name: &str| VALUES.iter().find(|(field, _)| field == &name).unwrap().1;

    for (pattern, _, _) in TYPED {
        let page = scene.send_as_zoe(pattern).await;

        let fields = TYPED.iter().filter(|(of, ..)| *of == pattern);
        let (labels, texts): (Vec<_>, Vec<_>) = fields
            .map(|(_, name, label)| (format!("{label}, ready to copy"), value_of(name).to_owned()))
            .unzip();
        assert_eq!(page.texts("main label"), labels, "{pattern}");
        assert_eq!(page.texts("main textarea[readonly]"), texts, "{pattern}");
        assert!(!page.has("main form"), "{pattern}");
    }
}

#[actix_web::test]
async fn the_refusal_leads_back_to_the_page_with_the_form() {
    let scene = scene().await;
    let room = format!("/rooms/{}", scene.room);

    for (pattern, page) in [
        ("/rooms/new", "/rooms/new".to_owned()),
        ("/rooms/{room}/join", room.clone()),
        (
            "/rooms/{room}/settings/clear",
            format!("{room}/settings/clear"),
        ),
    ] {
        let refused = scene.send_as_zoe(pattern).await;

        let link = "main a:not([href='/'])";
        assert_eq!(refused.attribute(link, "href"), page);
        assert_eq!(refused.text(link), "Open the page again as zoe");
    }
}

#[actix_web::test]
async fn a_form_of_another_person_leads_to_the_sign_in_page_if_nobody_is_signed_in() {
    let scene = scene().await;
    let form = [("for", scene.ada_id.as_str()), ("name", "Cake")];

    let nobody = scene.app.anonymous();
    let page = nobody.post("/rooms/new", &form).await;

    page.assert_redirect("/login?next=/rooms/new");
    let page = nobody.post("/logout", &form).await;
    page.assert_redirect("/login?done=signed-out");
}

#[actix_web::test]
async fn a_message_of_another_person_is_not_sent_and_comes_back_in_the_box() {
    let app = TestApp::spawn().await;
    let (ada, zoe) = (app.sign_up("ada").await, app.sign_up("zoe").await);
    let room = ada.create_public_room("Tea").await;
    zoe.join(room).await;
    let (ada_id, nonce) = (app.user_id("ada").await.to_string(), ada.nonce(room).await);
    let zoes = zoe.nonce(room).await;
    let path = format!("/rooms/{room}/messages");

    for form in [
        // The nonce says whose form it is, and so does the field `for`.
        [("text", "<b>Tea?"), ("nonce", nonce.as_str()), ("x", "")],
        [
            ("text", "<b>Tea?"),
            ("nonce", zoes.as_str()),
            ("for", &ada_id),
        ],
        [("text", "<b>Tea?"), ("nonce", ""), ("for", &ada_id)],
    ] {
        let page = zoe.post(&path, &form).await;

        page.assert_status(422).assert_problem(
            "message",
            "You are now signed in as zoe. The message is still here: send it again to send it as zoe",
        );
        assert_eq!(page.text("#message"), "<b>Tea?");
    }
    assert_eq!(app.core.drafts.size().await.unwrap(), 0);
    assert_eq!(zoe.room(room).await.text("#message"), "");
    assert_eq!(ada.messages(room).await, [""; 0]);

    let again = zoe
        .post(&path, &[("text", "<b>Tea?"), ("nonce", &nonce)])
        .await;
    let zoe_id = app.user_id("zoe").await.to_string();
    let form = "#write input[type=hidden]";
    assert_eq!(
        again.attributes(form, "name"),
        ["for", "nonce", "audience", "seen"]
    );
    let values = again.attributes(form, "value");
    assert_eq!(values[0], zoe_id);
    zoe.send_with(room, "<b>Tea?", &values[1])
        .await
        .assert_status(303);
    assert_eq!(ada.messages(room).await, ["<b>Tea?"]);
}

#[actix_web::test]
async fn a_message_of_another_person_comes_back_in_a_room_that_the_person_cannot_write_in() {
    let app = TestApp::spawn().await;
    let (ada, zoe) = (app.sign_up("ada").await, app.sign_up("zoe").await);
    let room = ada.create_private_room("Tea").await;
    let nonce = ada.nonce(room).await;
    let ada_id = app.user_id("ada").await.to_string();
    let form = [("text", "Tea?"), ("nonce", &nonce), ("for", &ada_id)];

    let page = zoe.post(&format!("/rooms/{room}/messages"), &form).await;

    page.assert_status(422);
    assert_eq!(page.text("#message"), "Tea?");
    assert_eq!(
        page.text("#reason"),
        "You are now signed in as zoe. Someone else was signed in when this page was opened."
    );
    // Nor does the page say whether there is such a room.
    let missing = zoe
        .post(&format!("/rooms/{}/messages", room + 1), &form)
        .await;
    assert_eq!(missing.body, page.body);
    assert_eq!(ada.messages(room).await, [""; 0]);
}

#[actix_web::test]
async fn the_script_of_another_persons_page_gets_no_form_of_the_person_who_is_signed_in() {
    let app = TestApp::spawn().await;
    let (ada, zoe) = (app.sign_up("ada").await, app.sign_up("zoe").await);
    let room = ada.create_public_room("Tea").await;
    zoe.join(room).await;
    let nonce = ada.nonce(room).await;

    let page = zoe.send_by_script(room, "Tea?", &nonce).await;

    page.assert_status(422);
    assert!(
        page.text("#reason")
            .starts_with("You are now signed in as zoe.")
    );
    assert!(!page.has("[name=nonce]"));
    assert_eq!(ada.messages(room).await, [""; 0]);
}

#[actix_web::test]
async fn a_poll_of_another_persons_page_is_a_409_with_status_only() {
    let app = TestApp::spawn().await;
    let (ada, zoe) = (app.sign_up("ada").await, app.sign_up("zoe").await);
    let room = ada.create_public_room("Tea").await;
    zoe.join(room).await;
    let (ada_id, zoe_id) = (app.user_id("ada").await, app.user_id("zoe").await);
    // Each server holds what it has read.
    let zoe = zoe.at(&app.address);
    let cursor = zoe.cursor(room).await;
    ada.send(room, "hello").await.assert_status(303);
    let before = app.db_statements();

    for room in [room, room + 1] {
        let poll = zoe
            .poll(room, &format!("?after={cursor}&for={ada_id}"))
            .await;

        assert_eq!((poll.status, poll.page.body.as_str()), (409, ""));
        assert_eq!(poll.cursor, "");
    }

    assert_eq!(app.db_statements(), before);
    let own = zoe
        .poll(room, &format!("?after={cursor}&for={zoe_id}"))
        .await;
    assert_eq!((own.status, own.added.len()), (200, 1));
}
