//! What operators do: suspend and delete accounts, delete public rooms, and create links.

use std::time::Duration;

use crate::program::{Running, printed};
use crate::support::{
    Browser, PASSWORD, Page, TestApp, db_column, reset_link, sign_up_link, start_poll,
};

const REASON: &str = "Spam in <b>three</b> rooms";

/// Sends an act's form with the operator's password.
async fn act(operator: &Browser, path: &str) -> Page {
    let form = [("password", PASSWORD), ("reason", REASON)];
    operator.post(path, &form).await
}

async fn page_of(app: &TestApp, name: &str) -> String {
    format!("/site/people/{}", app.user_id(name).await)
}

async fn suspend(app: &TestApp, operator: &Browser, name: &str) {
    let person = page_of(app, name).await;
    let page = act(operator, &format!("{person}/suspend")).await;
    page.assert_redirect(&format!("{person}?done=suspended"));
}

async fn log_in(app: &TestApp, name: &str, password: &str) -> Page {
    let form = [("name", name), ("password", password)];
    app.anonymous().post("/login", &form).await
}

#[actix_web::test]
async fn a_suspended_person_is_signed_out_everywhere_at_once_and_can_post_nothing() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "before").await.assert_status(303);
    let nonce = ada.nonce(room).await;
    let other = app.sign_in("ada", PASSWORD).await;
    let polls = [
        start_poll(&app, &ada, room).await,
        start_poll(&app, &other, room).await,
    ];

    suspend(&app, &olga, "ada").await;

    for poll in polls {
        assert_eq!(poll.answer().await.status, 401);
    }
    for browser in [&ada, &other] {
        let page = browser.get("/rooms").await;
        page.assert_redirect("/login?next=/rooms");
    }
    // The text is kept, as after the end of any session.
    let page = ada.send_with(room, "after", &nonce).await;
    page.assert_status(303);
    assert!(
        page.location().starts_with("/login?next="),
        "{}",
        page.location()
    );
    let bob = app.sign_up("bob").await;
    bob.join(room).await;
    assert_eq!(bob.messages(room).await, ["before"]);
    let members = bob.get(&format!("/rooms/{room}/members")).await;
    assert!(
        members
            .text("h1 + p + .members li:first-child")
            .starts_with("ada, owner")
    );
}

#[actix_web::test]
async fn the_reason_for_a_suspension_is_shown_only_after_the_right_password() {
    let app = TestApp::with(&["--contact=help@example.org"]).await;
    let olga = app.operator("olga").await;
    app.sign_up("ada").await;
    suspend(&app, &olga, "ada").await;
    let unknown = log_in(&app, "nobody", PASSWORD).await;

    let wrong = log_in(&app, "ada", "a kettle of cats").await;
    let right = log_in(&app, "ada", PASSWORD).await;

    let sentence = "The name or password is wrong. Check both and try again";
    wrong.assert_status(422).assert_problem("name", sentence);
    unknown.assert_problem("name", sentence);
    assert_eq!(
        wrong.body,
        unknown.body.replace("value=\"nobody\"", "value=\"ada\"")
    );
    right
        .assert_status(422)
        .assert_problem("name", "This account is suspended");
    assert_eq!(right.text("main blockquote"), REASON);
    assert!(
        right
            .body
            .contains("If you think that this is a mistake: help@example.org")
    );
    assert_eq!(right.header("set-cookie"), "");
}

#[actix_web::test]
async fn signing_in_to_a_suspended_account_hashes_as_often_as_a_wrong_password() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    app.sign_up("ada").await;
    let hashes = || app.hashes();
    let cost = async || {
        let before = hashes();
        log_in(&app, "ada", "a kettle of cats")
            .await
            .assert_status(422);
        hashes() - before
    };
    let before = cost().await;

    suspend(&app, &olga, "ada").await;

    assert_eq!(cost().await, before);
}

#[actix_web::test]
async fn a_lifted_suspension_lets_the_person_in_again_with_all_they_had() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let room = ada.create_private_room("Attic").await;
    ada.send(room, "still here").await.assert_status(303);
    suspend(&app, &olga, "ada").await;
    let person = page_of(&app, "ada").await;
    let page = olga.get(&person).await;
    assert_eq!(page.text("main blockquote"), REASON);
    let taken = [("name", "ADA"), ("password", PASSWORD)];
    let taken = app.anonymous().post("/register", &taken).await;
    taken.assert_status(422);

    let lifted = act(&olga, &format!("{person}/lift")).await;

    lifted.assert_redirect(&format!("{person}?done=lifted"));
    let ada = app.sign_in("ada", PASSWORD).await;
    assert_eq!(ada.messages(room).await, ["still here"]);
    assert!(!olga.get(&person).await.has("main blockquote"));
    // There is nothing more to lift.
    let page = olga.get(&format!("{person}/lift")).await;
    page.assert_redirect(&person);
}

#[actix_web::test]
async fn suspending_again_replaces_the_reason() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    app.sign_up("ada").await;
    suspend(&app, &olga, "ada").await;
    let path = format!("{}/suspend", page_of(&app, "ada").await);
    assert_eq!(olga.get(&path).await.text("#reason"), REASON);

    let form = [("password", PASSWORD), ("reason", "Insults")];
    olga.post(&path, &form).await.assert_status(303);

    let refused = log_in(&app, "ada", PASSWORD).await;
    assert_eq!(refused.text("main blockquote"), "Insults");
}

#[actix_web::test]
async fn a_reset_link_does_not_lift_a_suspension_and_tells_no_reason() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    app.sign_up("ada").await;
    let link = reset_link(&app, "ada").await;
    suspend(&app, &olga, "ada").await;
    let browser = app.anonymous();

    let form = [("password", "an owl in a willow")];
    let reset = browser.post(&link, &form).await;

    reset.assert_redirect("/login?done=password");
    assert_eq!(reset.header("set-cookie"), "");
    let page = browser.get("/login?done=password").await;
    assert_eq!(page.text(".done"), "Password changed.");
    assert!(!page.body.contains("Spam"));
    browser.get("/rooms").await.assert_status(303);
    let refused = log_in(&app, "ada", "an owl in a willow").await;
    assert_eq!(refused.text("main blockquote"), REASON);
    let count = db_column(
        &app,
        "SELECT key_digest FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.name = 'ada'",
    );
    assert_eq!(count.await.len(), 0);
}

#[actix_web::test]
async fn a_sign_up_form_that_is_sent_again_after_a_suspension_signs_nobody_in() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    let ada = app.anonymous();
    let nonce = ada.get("/register").await;
    let nonce = nonce.attribute("main form [name=nonce]", "value");
    let form = [("name", "ada"), ("password", PASSWORD), ("nonce", &nonce)];
    ada.post("/register", &form).await.assert_status(303);
    suspend(&app, &olga, "ada").await;

    let again = ada.post("/register", &form).await;

    again.assert_redirect("/login");
    ada.get("/rooms").await.assert_status(303);
}

#[actix_web::test]
async fn a_deleted_account_goes_with_its_messages_and_a_repeated_form_leads_to_the_same_page() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "mine").await.assert_status(303);
    let waiting = start_poll(&app, &ada, room).await;
    let path = format!("{}/delete", page_of(&app, "ada").await);

    let first = act(&olga, &path).await;
    let again = act(&olga, &path).await;

    for page in [&first, &again] {
        page.assert_redirect("/site/people?done=deleted");
    }
    let page = olga.get("/site/people?done=deleted").await;
    assert_eq!(page.text(".done"), "Account deleted.");
    assert_eq!(waiting.answer().await.status, 401);
    assert_eq!(bob.messages(room).await, [""; 0]);
    assert_eq!(bob.members(room).await, ["bob (you), owner"]);
    app.sign_up("ada").await;
}

#[actix_web::test]
async fn a_deleted_room_disappears_for_its_members() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let room = ada.create_public_room("Tea").await;
    let waiting = start_poll(&app, &ada, room).await;
    let path = format!("/site/rooms/{room}/delete");

    let first = act(&olga, &path).await;
    let again = act(&olga, &path).await;

    for page in [&first, &again] {
        page.assert_redirect("/site/rooms?done=deleted");
    }
    assert_eq!(waiting.answer().await.status, 404);
    ada.room(room).await.assert_status(404);
    let page = olga.get("/site/rooms?done=deleted").await;
    assert_eq!(page.text(".done"), "Room deleted.");
}

/// Sends the form of an act that creates a link, with the nonce of its page, and returns the link's path.
async fn link_by(operator: &Browser, path: &str) -> String {
    let page = operator.get(path).await;
    let nonce = page.attribute("main form [name=nonce]", "value");
    let form = [("password", PASSWORD), ("nonce", &nonce)];
    let first = operator.post(path, &form).await;
    let again = operator.post(path, &form).await;
    first.assert_status(200);
    let link = |page: &Page| {
        let link = page.attribute("main p a", "href");
        link.strip_prefix(&operator.shown_url(""))
            .unwrap()
            .to_owned()
    };
    assert_eq!(link(&first), link(&again), "a form makes one link");
    link(&first)
}

#[actix_web::test]
async fn a_sign_up_link_creates_one_account() {
    let app = TestApp::with(&["--sign-up=link"]).await;
    let link = sign_up_link(&app).await;
    let form = [("name", "olga"), ("password", PASSWORD)];
    app.anonymous().post(&link, &form).await.assert_status(303);
    app.execute("UPDATE users SET is_operator = TRUE").await;
    let olga = app.sign_in("olga", PASSWORD).await;

    let link = link_by(&olga, "/site/sign-up-link").await;

    let form = [("name", "ada"), ("password", PASSWORD)];
    app.anonymous().post(&link, &form).await.assert_status(303);
    app.anonymous().post(&link, &form).await.assert_status(404);
}

#[actix_web::test]
async fn where_sign_up_is_closed_the_page_says_that_the_link_does_not_work() {
    for (policy, works) in [("closed", false), ("link", true), ("open", true)] {
        let app = TestApp::with(&[&format!("--sign-up={policy}")]).await;
        app.execute("INSERT INTO users (name, folded_name, folded_skeleton, typed_skeleton, password_hash, is_operator, created_at) VALUES ('olga', 'olga', 'olga', 'olga', '', TRUE, 0)").await;
        let olga = signed_in_without_password(&app).await;

        let page = olga.get("/site/sign-up-link").await;

        page.assert_status(200);
        assert_eq!(!page.has("main strong"), works, "{policy}");
    }
}

/// A browser with a session of the only account, which has no password.
async fn signed_in_without_password(app: &TestApp) -> Browser {
    let link = reset_link(app, "olga").await;
    let browser = app.anonymous();
    let form = [("password", PASSWORD)];
    browser.post(&link, &form).await.assert_status(303);
    browser
}

#[actix_web::test]
async fn a_reset_link_ends_all_sessions_and_the_person_is_told() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let room = ada.create_public_room("Tea").await;
    let waiting = start_poll(&app, &ada, room).await;
    let path = format!("{}/reset-link", page_of(&app, "ada").await);

    let link = link_by(&olga, &path).await;

    ada.get("/rooms").await.assert_status(200);
    let form = [("password", "an owl in a willow")];
    app.anonymous().post(&link, &form).await.assert_status(303);
    assert_eq!(waiting.answer().await.status, 401);
    ada.get("/rooms").await.assert_status(303);
    let told = log_in(&app, "ada", "an owl in a willow").await;
    told.assert_redirect("/account/reset");
}

#[actix_web::test]
async fn operators_have_no_power_over_each_other_or_themselves_here() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    let oleg = app.operator("oleg").await;
    for name in ["oleg", "olga"] {
        let person = page_of(&app, name).await;
        for what in ["suspend", "lift", "delete", "reset-link"] {
            let path = format!("{person}/{what}");

            for page in [olga.get(&path).await, act(&olga, &path).await] {
                page.assert_status(403);
                assert_eq!(page.text("h1"), "This person is an operator");
            }
        }
    }
    oleg.get("/site").await.assert_status(200);
    let links = db_column(&app, "SELECT token_digest FROM password_resets").await;
    assert_eq!(links.len(), 0);
}

#[actix_web::test]
async fn each_act_asks_for_the_operator_s_own_password() {
    let app = TestApp::spawn().await;
    let (olga, ada) = (app.operator("olga").await, app.sign_up("ada").await);
    let room = ada.create_public_room("Tea").await;
    let person = page_of(&app, "ada").await;
    suspend(&app, &olga, "ada").await;

    for path in [
        format!("{person}/suspend"),
        format!("{person}/lift"),
        format!("{person}/delete"),
        format!("{person}/reset-link"),
        format!("/site/rooms/{room}/delete"),
        "/site/sign-up-link".to_owned(),
    ] {
        let page = olga.get(&path).await;
        assert_eq!(page.text("main [for=password]"), "Your password");
        let none = olga.post(&path, &[("reason", REASON)]).await;
        let wrong = [("password", "a kettle of cats"), ("reason", "Changed")];
        let wrong = olga.post(&path, &wrong).await;

        none.assert_status(422)
            .assert_problem("password", "Enter your password");
        let sentence = "The password is wrong. Check it and try again";
        wrong
            .assert_status(422)
            .assert_problem("password", sentence);
        assert_eq!(
            page.text("main form button"),
            wrong.text("main form button")
        );
        assert!(!wrong.body.contains("a kettle of cats"));
    }
    let nobody = "SELECT token_digest FROM signup_links";
    assert_eq!(db_column(&app, nobody).await.len(), 0);
    let reason = log_in(&app, "ada", PASSWORD).await;
    assert_eq!(reason.text("main blockquote"), REASON);
    olga.room(room).await.assert_status(200);
}

#[actix_web::test]
async fn a_suspension_needs_a_reason_which_comes_back_with_a_wrong_password() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    app.sign_up("ada").await;
    let path = format!("{}/suspend", page_of(&app, "ada").await);

    let empty = olga.post(&path, &[("password", PASSWORD)]).await;
    let wrong = [("password", "a kettle of cats"), ("reason", REASON)];
    let wrong = olga.post(&path, &wrong).await;

    empty
        .assert_status(422)
        .assert_problem("reason", "Enter a reason");
    assert_eq!(wrong.text("#reason"), REASON);
    app.sign_in("ada", PASSWORD).await;
}

#[actix_web::test]
async fn tries_of_an_operator_s_password_count_towards_the_sign_in_limit() {
    let app = TestApp::with(&["--limits=on", "--limit-sign-in=3+1/30s"]).await;
    // Signing in has counted one.
    let olga = app.operator("olga").await;
    app.sign_up("ada").await;
    let path = format!("{}/suspend", page_of(&app, "ada").await);
    let wrong = [("password", "a kettle of cats"), ("reason", REASON)];
    for _ in 0..2 {
        olga.post(&path, &wrong).await.assert_status(422);
    }
    let hashes = app.hashes();

    let page = act(&olga, &path).await;

    let sentence = "Too many attempts. Wait 30 seconds, then try again";
    page.assert_status(429).assert_problem("reason", sentence);
    assert_eq!(page.header("retry-after"), "30");
    assert_eq!(page.text("#reason"), REASON);
    assert_eq!(app.hashes(), hashes, "nothing was hashed");
    app.clock.advance(Duration::from_secs(30));
    act(&olga, &path).await.assert_status(303);
}

#[actix_web::test]
async fn an_operator_who_is_one_no_longer_changes_nothing_with_an_open_form() {
    let app = TestApp::spawn().await;
    let olga = app.operator("olga").await;
    app.sign_up("ada").await;
    let path = format!("{}/suspend", page_of(&app, "ada").await);
    olga.get(&path).await.assert_status(200);
    app.execute("UPDATE users SET is_operator = FALSE").await;

    act(&olga, &path).await.assert_status(404);

    app.sign_in("ada", PASSWORD).await;
}

#[actix_web::test]
async fn a_session_that_outlives_a_suspension_gives_no_right() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    // No service leaves such a session.
    app.execute("UPDATE users SET suspended_at = 1, suspension_reason = 'Spam'")
        .await;

    let app = app.restart().await;

    ada.get("/rooms").await.assert_status(303);
    log_in(&app, "ada", PASSWORD).await.assert_status(422);
}

#[actix_web::test]
async fn every_act_is_written_to_the_log_with_who_and_whom() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), &["--limits=off"]);
    let address = running.browser.address.clone();
    let sign_up = async |name: &str| {
        let browser = Browser::new(&address);
        let form = [("name", name), ("password", PASSWORD)];
        browser.post("/register", &form).await.assert_status(303);
        browser
    };
    sign_up("olga").await;
    let ada = sign_up("ada").await;
    printed(folder.path(), &["user", "make-operator", "olga"]);
    let olga = Browser::new(&address);
    let form = [("name", "olga"), ("password", PASSWORD)];
    olga.post("/login", &form).await.assert_status(303);
    let room = ada.create_public_room("Tea & cake").await;
    let bob = sign_up("bob").await;
    bob.join(room).await;
    ada.send(room, "go away").await.assert_status(303);
    let message = bob.room(room).await.attribute("#log li", "id")[1..].to_owned();
    let report = format!("/rooms/{room}/messages/{message}/report");
    bob.post(&report, &[("reason", "Rude")])
        .await
        .assert_status(303);

    let close = format!("/site/reports/{room}/{message}/close");
    olga.post(&close, &[("x", "1")]).await.assert_status(303);
    // Twice: what changes nothing is not written.
    for path in ["/site/people/2/suspend", "/site/people/2/suspend"] {
        act(&olga, path).await.assert_status(303);
    }
    act(&olga, "/site/people/2/lift").await.assert_status(303);
    act(&olga, "/site/people/2/reset-link")
        .await
        .assert_status(200);
    act(&olga, &format!("/site/rooms/{room}/delete"))
        .await
        .assert_status(303);
    act(&olga, "/site/people/2/delete").await.assert_status(303);
    act(&olga, "/site/sign-up-link").await.assert_status(200);

    let (_, log) = running.stop("-TERM");
    let acts: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once("operator act "))
        .map(|(_, fields)| fields)
        .collect();
    let olga = "operator_id=1 operator=\"olga\"";
    let ada = format!("{olga} person_id=2 person=\"ada\"");
    let room = format!("room_id={room} room=\"Tea & cake\"");
    assert_eq!(
        acts,
        [
            format!("act=\"close-report\" {ada} {room}"),
            format!("act=\"suspend\" {ada}"),
            format!("act=\"lift\" {ada}"),
            format!("act=\"reset-link\" {ada}"),
            format!("act=\"delete-room\" {olga} {room}"),
            format!("act=\"delete-account\" {ada}"),
            format!("act=\"sign-up-link\" {olga}"),
        ]
    );
    for secret in [PASSWORD, REASON, "go away", "Rude"] {
        assert!(!log.contains(secret), "{secret}");
    }
}
