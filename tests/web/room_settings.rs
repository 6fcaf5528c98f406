//! Room settings, and their effects on members and messages.

use std::time::Duration;

use crate::support::{Browser, Page, ROOM_PASSWORD, TestApp, start_poll};

/// The initial values of the form.
const SETTINGS: [(&str, &str); 6] = [
    ("name", "Tea"),
    ("description", ""),
    ("lifespan", "longest"),
    ("slow-mode", "0"),
    ("language", ""),
    ("posting", "everyone"),
];

/// Submits [`SETTINGS`] with one field changed.
async fn submit_with(owner: &Browser, room: i64, name: &str, value: &str) -> Page {
    let form = SETTINGS.map(|field| {
        if field.0 == name {
            (name, value)
        } else {
            field
        }
    });
    owner.post(&format!("/rooms/{room}/settings"), &form).await
}

async fn save(owner: &Browser, room: i64, name: &str, value: &str) {
    let page = submit_with(owner, room, name, value).await;
    page.assert_redirect(&format!("/rooms/{room}/settings?done=saved"));
}

async fn confirm(owner: &Browser, room: i64, action: &str) -> Page {
    let path = format!("/rooms/{room}/settings/{action}");
    owner.get(&path).await.assert_status(200);
    owner.post(&path, &[("confirm", "1")]).await
}

/// An owner, a member, and the public room Tea.
async fn public_room(flags: &[&str]) -> (TestApp, Browser, Browser, i64) {
    let app = TestApp::with(flags).await;
    let (owner, member) = (app.sign_up("owner").await, app.sign_up("member").await);
    let room = owner.create_public_room("Tea").await;
    member.join(room).await;
    (app, owner, member, room)
}

/// An owner, a member, and the private room Den.
async fn private_room() -> (TestApp, Browser, Browser, i64) {
    let app = TestApp::spawn().await;
    let (owner, member) = (app.sign_up("owner").await, app.sign_up("member").await);
    let room = owner.create_private_room("Den").await;
    let joined = member.join_privately("Den", ROOM_PASSWORD).await;
    joined.assert_status(303);
    (app, owner, member, room)
}

#[actix_web::test]
async fn the_form_shows_the_current_settings() {
    let (_app, owner, _, room) = public_room(&[]).await;
    let path = format!("/rooms/{room}/settings");
    let blank = owner.get(&path).await;
    blank.assert_value("#name", "Tea");
    assert_eq!(
        blank.attributes("option[selected]", "value"),
        ["longest", "0"]
    );
    let form = [
        ("name", "Tea house"),
        ("description", "All about\r\ntea"),
        ("lifespan", "1800"),
        ("slow-mode", "30"),
        ("language", "he"),
        ("posting", "moderators"),
    ];

    let saved = owner.post(&path, &form).await;

    saved.assert_redirect(&format!("{path}?done=saved"));
    let page = owner.get(saved.location()).await;
    assert_eq!(page.text(".done"), "Settings saved.");
    page.assert_value("#name", "Tea house");
    assert_eq!(page.text("#description"), "All about tea");
    assert_eq!(
        page.attributes("option[selected]", "value"),
        ["1800", "30", "he"]
    );
    assert_eq!(page.attribute("[checked]", "value"), "moderators");
}

#[actix_web::test]
async fn a_renamed_room_is_found_by_its_new_name() {
    let (app, owner, member, room) = public_room(&[]).await;
    owner.create_public_room("Cake").await;

    save(&owner, room, "name", "Coffee").await;

    assert_eq!(member.room(room).await.text("h1"), "Coffee");
    let stranger = app.sign_up("stranger").await;
    let list = stranger.get("/rooms?search=coffee").await;
    assert_eq!(list.text(".rooms h2"), "Coffee");
    let taken = submit_with(&owner, room, "name", "cake").await;
    let problem =
        "Another room has this name, or one that looks too similar. Choose a different name";
    taken.assert_status(422).assert_problem("name", problem);
    taken.assert_value("#name", "cake");
    // A room's own name does not count as taken.
    save(&owner, room, "name", "COFFEE").await;
}

#[actix_web::test]
async fn errors_are_reported_and_input_is_kept() {
    let (_app, owner, _, room) = public_room(&[]).await;
    let problem = async |name, value: &str, field, sentence| {
        let page = submit_with(&owner, room, name, value).await;
        page.assert_status(422).assert_problem(field, sentence);
        page
    };

    problem("name", " ", "name", "Enter a room name").await;
    let long = "é".repeat(301);
    let sentence = "The description must be 300 characters or fewer";
    let page = problem("description", &long, "description", sentence).await;
    assert_eq!(page.text("#description"), long);
    let sentence = "Choose how long messages last";
    problem("lifespan", "1", "lifespan", sentence).await;
    let sentence = "Choose how long people have to wait";
    problem("slow-mode", "1", "slow-mode", sentence).await;
    let sentence = "Choose a language from the list";
    problem("language", "xx", "language", sentence).await;
    let sentence = "Choose who can write";
    problem("posting", "", "posting-everyone", sentence).await;
}

#[actix_web::test]
async fn a_description_is_shown_in_lists_and_on_the_room_page() {
    let (app, owner, member, room) = public_room(&[]).await;
    let text = "Tea <b>& cake</b>";
    save(&owner, room, "description", text).await;
    let stranger = app.sign_up("stranger").await;

    for page in [
        member.room(room).await,
        stranger.room(room).await,
        stranger.get("/rooms").await,
        member.get("/rooms/mine").await,
    ] {
        assert!(
            page.texts("main p").contains(&text.to_owned()),
            "{}",
            page.body
        );
    }
}

#[actix_web::test]
async fn a_shorter_lifespan_applies_at_once_and_a_longer_one_revives_no_message() {
    let (app, owner, member, room) = public_room(&[]).await;
    member.send(room, "old").await.assert_status(303);
    app.clock.advance(Duration::from_secs(3 * 3600));
    member.send(room, "new").await.assert_status(303);

    save(&owner, room, "lifespan", "7200").await;
    assert_eq!(member.messages(room).await, ["new"]);
    save(&owner, room, "lifespan", "longest").await;
    assert_eq!(member.messages(room).await, ["new"]);
    app.clock.advance(Duration::from_secs(2 * 3600));
    assert!(member.messages(room).await.is_empty());
}

#[actix_web::test]
async fn lifespans_are_offered_up_to_the_operators_maximum() {
    let (_app, owner, _, room) = public_room(&["--message-lifespan=2h"]).await;
    let page = owner.get(&format!("/rooms/{room}/settings")).await;

    assert_eq!(
        page.texts("#lifespan option"),
        ["5 minutes", "30 minutes", "2 hours (maximum)"]
    );
    submit_with(&owner, room, "lifespan", "43200")
        .await
        .assert_status(422);
}

#[actix_web::test]
async fn a_short_lifespan_is_shown_before_joining() {
    let (app, owner, _, room) = public_room(&[]).await;
    let stranger = app.sign_up("stranger").await;
    let words = async || stranger.room(room).await.texts("main p")[0].clone();
    assert!(!words().await.contains("That is a short time"));

    save(&owner, room, "lifespan", "43200").await;

    assert!(
        words()
            .await
            .contains("12 hours after they are sent. That is a short time")
    );
    let list = stranger.get("/rooms").await;
    assert!(
        list.text(".rooms p")
            .contains("Messages disappear after 12 hours.")
    );
}

#[actix_web::test]
async fn in_slow_mode_members_wait_and_keep_their_text() {
    let (app, owner, member, room) = public_room(&[]).await;
    save(&owner, room, "slow-mode", "30").await;
    member.send(room, "one").await.assert_status(303);
    let refused = member.send(room, "two").await;

    refused.assert_status(429);
    assert_eq!(refused.header("retry-after"), "30");
    refused.assert_problem(
        "message",
        "This room is in slow mode: one message every 30 seconds. Wait 30 seconds, then send your message again",
    );
    assert_eq!(refused.text("#message"), "two");
    for text in ["three", "four"] {
        owner.send(room, text).await.assert_status(303);
    }
    app.clock.advance(Duration::from_secs(30));
    member.send(room, "two").await.assert_status(303);
    assert_eq!(owner.messages(room).await, ["one", "three", "four", "two"]);
}

#[actix_web::test]
async fn in_a_moderators_only_room_members_can_read_but_not_post() {
    let (_app, owner, member, room) = public_room(&[]).await;
    let nonce = member.nonce(room).await;
    save(&owner, room, "posting", "moderators").await;

    let page = member.room(room).await;
    assert!(!page.has("#write") && page.has("[data-poll]"));
    let refused = member.send_with(room, "may I?", &nonce).await;
    refused.assert_status(403);
    assert_eq!(
        refused.text("#reason"),
        "Only the owner and moderators can write in Tea."
    );
    assert_eq!(refused.text("#message"), "may I?");
    member.send_with(room, " ", &nonce).await.assert_status(403);
    owner.make_moderator(room, "member").await;
    member.send(room, "I may").await.assert_status(303);
}

#[actix_web::test]
async fn the_main_language_is_set_on_the_messages() {
    let (_app, owner, member, room) = public_room(&[]).await;
    member.send(room, "שלום").await.assert_status(303);
    assert!(!member.room(room).await.has("#log [lang]"));

    save(&owner, room, "language", "he").await;

    let page = member.room(room).await;
    assert_eq!(page.attributes("#log > ol", "lang"), ["he"]);
    assert_eq!(page.attribute("#log", "data-lang"), "he");
    assert_eq!(page.attribute("html", "lang"), "en");
}

#[actix_web::test]
async fn open_pages_are_told_about_changed_settings() {
    let (app, owner, member, room) = public_room(&[]).await;
    let cursor = member.cursor(room).await;
    let poll = start_poll(&app, &member, room).await;

    save(&owner, room, "name", "Coffee").await;

    let answer = poll.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.page.header("mirage-changed"), "1");
    let query = format!("?after={}&wait=0", answer.cursor);
    assert_eq!(member.poll(room, &query).await.status, 204);
    // A page whose poll was not waiting at that moment learns of the change, too.
    let late = member.poll(room, &format!("?after={cursor}&wait=0")).await;
    assert_eq!(late.page.header("mirage-changed"), "1");
}

#[actix_web::test]
async fn making_a_room_public_deletes_its_private_messages() {
    let (app, owner, member, room) = private_room().await;
    member.send(room, "between us").await.assert_status(303);
    let poll = start_poll(&app, &member, room).await;

    let link = owner.invite_to(room, "day", "ten").await;
    let question = owner.get(&format!("/rooms/{room}/settings/public")).await;
    assert!(
        question
            .texts("main p")
            .iter()
            .any(|p| p.contains("messages in it now are deleted"))
    );
    let page = confirm(&owner, room, "public").await;

    page.assert_redirect(&format!("/rooms/{room}/settings?done=public"));
    let answer = poll.answer().await;
    assert_eq!((answer.status, answer.removed.len()), (200, 1));
    let stranger = app.sign_up("stranger").await;
    stranger.join(room).await;
    assert!(stranger.messages(room).await.is_empty());
    let old = stranger.join_privately("Den", ROOM_PASSWORD).await;
    old.assert_redirect(&format!("/rooms/{room}#now"));
    stranger.get(&link).await.assert_status(404);
}

#[actix_web::test]
async fn making_a_room_private_sets_a_password_and_keeps_its_members() {
    let (app, owner, member, room) = public_room(&[]).await;
    member.send(room, "hello").await.assert_status(303);
    let poll = start_poll(&app, &member, room).await;
    let path = format!("/rooms/{room}/settings/password");
    let short = owner.post(&path, &[("password", "short")]).await;
    let sentence = "The room password must be at least 6 characters long";
    short
        .assert_status(422)
        .assert_problem("password", sentence);

    let page = owner.post(&path, &[("password", "seven spoons")]).await;

    page.assert_redirect(&format!("/rooms/{room}/settings?done=private"));
    assert_eq!(poll.answer().await.page.header("mirage-changed"), "1");
    assert_eq!(member.messages(room).await, ["hello"]);
    let stranger = app.sign_up("stranger").await;
    stranger.room(room).await.assert_status(404);
    assert!(!stranger.get("/rooms").await.has(".rooms li"));
    let joined = stranger.join_privately("Tea", "seven spoons").await;
    joined.assert_status(303);
}

#[actix_web::test]
async fn the_list_of_public_rooms_follows_each_change_and_is_cached_between() {
    let (app, owner, _, room) = public_room(&[]).await;
    // Each server holds a list.
    let reader = app.sign_up("reader").await.at(&app.address);
    let listed = async || {
        let names = reader.get("/rooms").await.texts(".rooms h2");
        let before = app.db_statements();
        assert_eq!(reader.get("/rooms").await.texts(".rooms h2"), names);
        assert_eq!(app.db_statements(), before);
        names
    };
    assert_eq!(listed().await, ["Tea"]);

    save(&owner, room, "name", "Zen").await;
    assert_eq!(listed().await, ["Zen"]);
    owner.create_public_room("Cocoa").await;
    assert_eq!(listed().await, ["Cocoa", "Zen"]);
    let private = [("password", ROOM_PASSWORD)];
    let path = format!("/rooms/{room}/settings/password");
    owner.post(&path, &private).await.assert_status(303);
    assert_eq!(listed().await, ["Cocoa"]);
    confirm(&owner, room, "public").await.assert_status(303);
    assert_eq!(listed().await, ["Cocoa", "Zen"]);
    confirm(&owner, room, "delete").await.assert_status(303);
    assert_eq!(listed().await, ["Cocoa"]);
}

#[actix_web::test]
async fn a_new_room_password_keeps_or_removes_the_other_members() {
    let (app, owner, member, room) = private_room().await;
    let path = format!("/rooms/{room}/settings/password");
    let change = async |password, others| {
        let form = [("password", password), ("others", others)];
        owner.post(&path, &form).await
    };
    let sentence = "Choose what happens to the other members";
    let undecided = change("seven spoons", "").await;
    undecided
        .assert_status(422)
        .assert_problem("others-stay", sentence);

    let done = format!("/rooms/{room}/settings?done=password");
    let link = owner.invite_to(room, "day", "ten").await;
    change("seven spoons", "stay").await.assert_redirect(&done);
    member.room(room).await.assert_status(200);
    member.get(&link).await.assert_status(200);

    let poll = start_poll(&app, &member, room).await;
    change("eight spoons", "go").await.assert_redirect(&done);
    assert_eq!(poll.answer().await.status, 404);
    member.room(room).await.assert_status(404);
    member.get(&link).await.assert_status(404);
    owner.room(room).await.assert_status(200);
    for (password, status) in [
        (ROOM_PASSWORD, 403),
        ("seven spoons", 403),
        ("eight spoons", 303),
    ] {
        member
            .join_privately("Den", password)
            .await
            .assert_status(status);
    }
}

#[actix_web::test]
async fn a_room_can_be_cleared() {
    let (app, owner, member, room) = public_room(&[]).await;
    member.send(room, "hello").await.assert_status(303);
    let poll = start_poll(&app, &member, room).await;

    let page = confirm(&owner, room, "clear").await;

    page.assert_redirect(&format!("/rooms/{room}/settings?done=cleared"));
    assert_eq!(poll.answer().await.removed.len(), 1);
    assert!(member.messages(room).await.is_empty());
}

#[actix_web::test]
async fn a_deleted_room_disappears_for_everybody() {
    for is_private in [false, true] {
        let (app, owner, member, room) = if is_private {
            private_room().await
        } else {
            public_room(&[]).await
        };
        member.send(room, "hello").await.assert_status(303);
        let nonce = member.nonce(room).await;
        let poll = start_poll(&app, &member, room).await;

        let page = confirm(&owner, room, "delete").await;

        page.assert_redirect("/rooms/mine?done=deleted");
        assert_eq!(poll.answer().await.status, 404);
        let landed = owner.get(page.location()).await;
        assert_eq!(landed.text(".done"), "Room deleted.");
        member.room(room).await.assert_status(404);
        let unsent = member.send_with(room, "hello?", &nonce).await;
        unsent.assert_status(404);
        assert_eq!(unsent.text("#message"), "hello?");
        assert_eq!(app.core.messages.bytes().await.unwrap(), 0);
        // The name is free again.
        member
            .create_public_room(if is_private { "Den" } else { "Tea" })
            .await;
    }
}

#[actix_web::test]
async fn the_number_of_rooms_a_person_owns_is_limited() {
    let app = TestApp::with(&["--rooms-per-person=2"]).await;
    let owner = app.sign_up("owner").await;
    let first = owner.create_public_room("One").await;
    owner.create_private_room("Two").await;
    let form = [("name", "Three"), ("kind", "public")];
    let refused = owner.post("/rooms/new", &form).await;

    refused.assert_status(422).assert_problem(
        "name",
        "You own 2 rooms, which is the maximum. Delete one or make someone else its owner first",
    );
    refused.assert_value("#name", "Three");
    confirm(&owner, first, "delete").await.assert_status(303);
    owner.create_public_room("Three").await;
}

#[actix_web::test]
async fn the_number_of_members_of_a_room_is_limited() {
    let app = TestApp::with(&["--members-per-room=2"]).await;
    let owner = app.sign_up("owner").await;
    let (tea, den) = (
        owner.create_public_room("Tea").await,
        owner.create_private_room("Den").await,
    );
    let (second, third) = (app.sign_up("second").await, app.sign_up("third").await);
    second.join(tea).await;
    second
        .join_privately("Den", ROOM_PASSWORD)
        .await
        .assert_status(303);

    let public = third
        .post(&format!("/rooms/{tea}/join"), &[("join", "1")])
        .await;
    let private = third.join_privately("Den", ROOM_PASSWORD).await;

    for page in [public, private] {
        page.assert_status(403);
        assert_eq!(page.text("h1"), "This room is full");
    }
    third.room(den).await.assert_status(404);
    second.leave(tea).await;
    third.join(tea).await;
}

#[actix_web::test]
async fn the_number_of_public_rooms_is_limited() {
    let app = TestApp::with(&["--public-rooms=1"]).await;
    let owner = app.sign_up("owner").await;
    owner.create_public_room("Tea").await;
    let den = owner.create_private_room("Den").await;

    let form = [("name", "Cake"), ("kind", "public")];
    let refused = owner.post("/rooms/new", &form).await;
    refused.assert_status(422).assert_problem(
        "kind-public",
        "This server has the maximum number of public rooms. Make this room private",
    );
    let page = confirm(&owner, den, "public").await;
    page.assert_status(403);
    assert_eq!(page.text("h1"), "This room cannot be made public");
    owner.room(den).await.assert_status(200);
}

#[actix_web::test]
async fn a_change_that_fails_midway_is_rolled_back() {
    let (app, owner, member, room) = private_room().await;
    let link = owner.invite_to(room, "day", "ten").await;
    app.refuse("DELETE ON invites").await;

    let public = owner
        .post(
            &format!("/rooms/{room}/settings/public"),
            &[("confirm", "1")],
        )
        .await;
    let form = [("password", "eight spoons"), ("others", "go")];
    let password = owner
        .post(&format!("/rooms/{room}/settings/password"), &form)
        .await;

    public.assert_status(500);
    password.assert_status(500);
    app.allow("invites").await;
    let stranger = app.sign_up("stranger").await;
    stranger.room(room).await.assert_status(404);
    stranger.get(&link).await.assert_status(200);
    member.room(room).await.assert_status(200);
    let joined = stranger.join_privately("Den", ROOM_PASSWORD).await;
    joined.assert_status(303);
}
