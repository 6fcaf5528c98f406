use crate::support::{PASSWORD, TestApp, start_poll_from};

const AT: &str = "/account/password";
const NEW: &str = "another kettle of fish";
const FORM: [(&str, &str); 2] = [("current", PASSWORD), ("password", NEW)];
const WRONG: &str = "The current password is wrong. Check it and try again";

#[actix_web::test]
async fn after_a_change_only_the_new_password_signs_in() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    ada.post(AT, &FORM)
        .await
        .assert_redirect("/account?done=password");

    let page = ada.get("/account?done=password").await;
    assert_eq!(
        page.text(".done"),
        "Password changed. You are signed out everywhere else."
    );
    assert!(page.text("title").starts_with("Password changed – "));
    app.sign_in("ada", NEW).await;
    let old = [("name", "ada"), ("password", PASSWORD)];
    app.anonymous()
        .post("/login", &old)
        .await
        .assert_status(422);
}

#[actix_web::test]
async fn changing_the_password_keeps_this_browser_signed_in_under_a_new_session_key() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();
    let form = [("name", "ada"), ("password", PASSWORD)];
    let signed_up = ada.post("/register", &form).await;
    let old = signed_up.header("set-cookie").split(';').next().unwrap();

    let changed = ada.post(AT, &FORM).await;

    let new = changed.header("set-cookie").split(';').next().unwrap();
    assert!(new.starts_with("mirage-") && new != old);
    assert_eq!(ada.get("/rooms").await.text("header .sign-out b"), "ada");
    let thief = app.anonymous();
    let request = thief.client.get(thief.url("/rooms")).header("cookie", old);
    crate::support::Browser::answer(request)
        .await
        .assert_redirect("/login?next=/rooms");
    assert_eq!(
        ada.get("/account/sessions")
            .await
            .texts(".sessions li")
            .len(),
        1
    );
}

#[actix_web::test]
async fn changing_the_password_signs_out_other_browsers_and_ends_their_polls() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    let other = app.sign_in("ada", PASSWORD).await;
    let cursor = other.cursor(room).await;
    let waiting = start_poll_from(&app, &other, room, &cursor).await;
    let of_bob = start_poll_from(&app, &bob, room, &cursor).await;

    ada.post(AT, &FORM).await.assert_status(303);

    let poll = waiting.answer().await;
    assert_eq!((poll.status, poll.page.body.as_str()), (401, ""));
    other
        .get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    // Bob's poll in the same room keeps waiting.
    assert_eq!(app.waiting_polls(room), 1);
    ada.send(room, "hello").await.assert_status(303);
    assert_eq!(of_bob.answer().await.added, ["hello"]);
}

#[actix_web::test]
async fn a_wrong_current_password_changes_nothing() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let other = app.sign_in("ada", PASSWORD).await;

    for current in ["a kettle of cats", "a kettle of fish ", "A kettle of fish"] {
        let form = [("current", current), ("password", NEW)];
        let page = ada.post(AT, &form).await;

        page.assert_status(422).assert_problem("current", WRONG);
        assert_eq!(page.attributes("main [type=password]", "value"), [""; 0]);
        assert_eq!(page.header("set-cookie"), "");
    }
    for browser in [&ada, &other] {
        browser.get("/rooms").await.assert_status(200);
    }
    app.sign_in("ada", PASSWORD).await;
}

#[actix_web::test]
async fn a_new_password_must_meet_the_sign_up_rules() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("kettle-club").await;

    for (password, sentence) in [
        ("", "Enter a new password"),
        ("x7#kQ!z", "The password must be at least 8 characters long"),
        (
            &"Yx3! ".repeat(26),
            "The password must be 128 characters or fewer",
        ),
        ("Kettle-Club", "The password must not be your name"),
        (
            "password1",
            "This password is too common. Choose one that is harder to guess",
        ),
    ] {
        let hashes = app.hashes();
        let form = [("current", PASSWORD), ("password", password)];
        let page = ada.post(AT, &form).await;

        page.assert_status(422).assert_problem("password", sentence);
        assert_eq!(page.attributes("main [type=password]", "value"), [""; 0]);
        assert_eq!(app.hashes(), hashes);
    }
    app.sign_in("kettle-club", PASSWORD).await;
}

#[actix_web::test]
async fn empty_fields_are_reported() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada.post(AT, &[]).await;

    page.assert_status(422);
    assert_eq!(
        page.texts(".problems a"),
        ["Enter your current password", "Enter a new password"]
    );
}

#[actix_web::test]
async fn of_two_concurrent_password_changes_exactly_one_succeeds() {
    let app = TestApp::spawn().await;
    let browsers = [app.sign_up("ada").await, app.sign_in("ada", PASSWORD).await];
    let forms = [NEW, "a kettle of cats"].map(|new| [("current", PASSWORD), ("password", new)]);

    let (one, other) = tokio::join!(
        browsers[0].post(AT, &forms[0]),
        browsers[1].post(AT, &forms[1])
    );

    // The loser learns that the password is wrong, or is signed out.
    let has_won = [one, other].map(|page| page.location() == "/account?done=password");
    assert_ne!(has_won[0], has_won[1]);
    for number in 0..2 {
        let page = browsers[number].get("/account/sessions").await;
        let listed = page.texts(".sessions li").len();
        assert_eq!(listed, usize::from(has_won[number]));
        let form = [("name", "ada"), forms[number][1]];
        let status = app.anonymous().post("/login", &form).await.status;
        assert_eq!(status == 303, has_won[number]);
    }
}

#[actix_web::test]
async fn an_interrupted_password_change_is_rolled_back() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let other = app.sign_in("ada", PASSWORD).await;
    let room = ada.create_public_room("Tea").await;
    let cursor = other.cursor(room).await;
    let waiting = start_poll_from(&app, &other, room, &cursor).await;
    // The last statement fails, after the password was set and the sessions were deleted.
    app.refuse("INSERT ON sessions").await;

    ada.post(AT, &FORM).await.assert_status(500);

    app.allow("sessions").await;
    for browser in [&ada, &other] {
        browser.get("/rooms").await.assert_status(200);
    }
    ada.send(room, "hello").await.assert_status(303);
    assert_eq!(waiting.answer().await.added, ["hello"]);
    app.sign_in("ada", PASSWORD).await;
    let app = app.restart().await;
    other.get("/rooms").await.assert_status(200);
    ada.post(AT, &FORM).await.assert_status(303);
    drop(app);
}
