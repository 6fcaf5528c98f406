use std::time::Duration;

use crate::support::{
    Browser, PASSWORD, START, TestApp, db_column, reset_link, sign_up_link, start_poll_from,
};

const NEW_PASSWORD: &str = "an owl in a willow";
const FORM: [(&str, &str); 1] = [("password", NEW_PASSWORD)];
const DAY: Duration = Duration::from_secs(86_400);

async fn sign_in(browser: &Browser, name: &str, password: &str) -> u16 {
    let form = [("name", name), ("password", password)];
    browser.post("/login", &form).await.status.as_u16()
}

#[actix_web::test]
async fn the_form_names_its_account_to_people_and_to_password_managers() {
    let app = TestApp::spawn().await;
    app.sign_up("Ada").await;
    let link = reset_link(&app, "ada").await;

    let page = app.anonymous().get(&link).await;

    page.assert_status(200).assert_value("#name", "Ada");
    assert_eq!(page.attribute("#name", "autocomplete"), "username");
    assert!(page.has("#name[readonly]"));
    assert_eq!(page.attribute("#password", "autocomplete"), "new-password");
    assert!(
        page.text("#password-hint")
            .starts_with("8 to 128 characters.")
    );
}

#[actix_web::test]
async fn a_reset_replaces_the_password_and_signs_in() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let link = reset_link(&app, "ada").await;
    let browser = app.anonymous();

    let page = browser.post(&link, &FORM).await;

    page.assert_redirect("/rooms/mine?done=password-changed");
    let landing = browser.get(page.location()).await;
    assert_eq!(landing.text("main .done"), "Password changed.");
    assert!(landing.text("title").starts_with("Password changed – "));
    assert_eq!(landing.text("header .sign-out b"), "ada");
    assert_eq!(sign_in(&app.anonymous(), "ada", PASSWORD).await, 422);
    assert_eq!(sign_in(&app.anonymous(), "ada", NEW_PASSWORD).await, 303);
}

#[actix_web::test]
async fn a_reset_ends_every_session_of_the_account_and_its_waiting_polls() {
    let app = TestApp::spawn().await;
    let (laptop, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let phone = app.anonymous();
    assert_eq!(sign_in(&phone, "ada", PASSWORD).await, 303);
    let room = laptop.create_public_room("Tea").await;
    let cursor = phone.cursor(room).await;
    let waiting = start_poll_from(&app, &phone, room, &cursor).await;
    laptop.get("/rooms").await.assert_status(200);
    let link = reset_link(&app, "ada").await;
    let tablet = app.anonymous();

    tablet.post(&link, &FORM).await.assert_status(303);

    assert_eq!(waiting.answer().await.status, 401);
    for browser in [&laptop, &phone] {
        browser
            .get("/rooms")
            .await
            .assert_redirect("/login?next=/rooms");
    }
    tablet.get("/rooms").await.assert_status(200);
    bob.get("/rooms").await.assert_status(200);
    let sessions = "SELECT key_digest FROM sessions";
    assert_eq!(db_column(&app, sessions).await.len(), 2);
}

#[actix_web::test]
async fn an_invalid_password_is_refused_and_does_not_use_up_the_link() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("kettle-club").await;
    let link = reset_link(&app, "kettle-club").await;
    let browser = app.anonymous();

    for (password, sentence) in [
        ("", "Enter a password"),
        ("x7#kQ!z", "The password must be at least 8 characters long"),
        ("Kettle-Club", "The password must not be your name"),
        (
            "password1",
            "This password is too common. Choose one that is harder to guess",
        ),
    ] {
        let form = [("name", "somebody-else"), ("password", password)];
        let page = browser.post(&link, &form).await;

        page.assert_status(422)
            .assert_problem("password", sentence)
            .assert_value("#name", "kettle-club");
        assert!(!page.has("#password[value]"));
    }
    ada.get("/rooms").await.assert_status(200);
    browser.post(&link, &FORM).await.assert_status(303);
}

#[actix_web::test]
async fn a_reset_uses_up_every_link_of_the_account_and_no_others() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    app.sign_up("bob").await;
    let (first, second) = (reset_link(&app, "ada").await, reset_link(&app, "ada").await);
    let of_bob = reset_link(&app, "bob").await;

    app.anonymous()
        .post(&second, &FORM)
        .await
        .assert_status(303);

    for link in [&first, &second] {
        app.anonymous().get(link).await.assert_status(404);
        app.anonymous().post(link, &FORM).await.assert_status(404);
    }
    app.anonymous().get(&of_bob).await.assert_status(200);
}

#[actix_web::test]
async fn used_expired_and_invented_links_all_look_the_same() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let used = reset_link(&app, "ada").await;
    app.anonymous().post(&used, &FORM).await.assert_status(303);
    let expired = reset_link(&app, "ada").await;
    app.clock.advance(DAY);
    let for_something_else = sign_up_link(&app).await.replace("register", "reset");

    let browser = app.anonymous();
    let made_up = browser.get("/reset/x").await;
    made_up.assert_status(404);
    assert_eq!(made_up.text("h1"), "This link does not work");
    for link in [
        used.as_str(),
        &expired,
        &for_something_else,
        "/reset/%ff",
        "/reset/%3Cb%3E",
    ] {
        for page in [browser.get(link).await, browser.post(link, &FORM).await] {
            page.assert_status(404);
            assert_eq!(page.body, made_up.body, "{link}");
        }
    }
}

#[actix_web::test]
async fn opening_a_link_neither_uses_it_up_nor_disables_the_old_password() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let link = reset_link(&app, "ada").await;
    app.clock.advance(DAY - Duration::from_millis(1));

    for _ in 0..2 {
        app.anonymous().get(&link).await.assert_status(200);
    }

    assert_eq!(sign_in(&app.anonymous(), "ada", PASSWORD).await, 303);
    app.anonymous().post(&link, &FORM).await.assert_status(303);
}

#[actix_web::test]
async fn of_two_concurrent_uses_of_a_link_exactly_one_changes_the_password() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let link = reset_link(&app, "ada").await;
    let passwords = [NEW_PASSWORD, "a badger in a barn"];

    let attempts = passwords.map(|password| {
        let (browser, link) = (app.anonymous(), link.clone());
        let form = [("password", password)];
        tokio::spawn(async move { browser.post(&link, &form).await })
    });
    let mut won = Vec::new();
    for (attempt, password) in attempts.into_iter().zip(passwords) {
        let page = attempt.await.unwrap();
        match page.status.as_u16() {
            303 => won.push(password),
            other => assert_eq!(other, 404),
        }
    }

    assert_eq!(won.len(), 1);
    assert_eq!(sign_in(&app.anonymous(), "ada", won[0]).await, 303);
}

#[actix_web::test]
async fn using_another_accounts_link_ends_the_current_session() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let browser = app.sign_up("bob").await;
    let link = reset_link(&app, "ada").await;

    browser.post(&link, &FORM).await.assert_status(303);

    assert_eq!(
        browser.get("/rooms").await.text("header .sign-out b"),
        "ada"
    );
    let sessions = "SELECT key_digest FROM sessions";
    assert_eq!(db_column(&app, sessions).await.len(), 1);
}

#[actix_web::test]
async fn deleting_an_account_invalidates_its_reset_link() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let link = reset_link(&app, "ada").await;

    let (ada, writer) = (app.user_id("ada").await, &app.core.writer);
    let deleted = mirage::services::operators::delete_person(writer, ada, START).await;

    assert!(deleted.unwrap());
    app.anonymous().get(&link).await.assert_status(404);
}

#[actix_web::test]
async fn the_database_stores_only_the_digest_of_a_link_and_deletes_it_on_expiry() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let link = reset_link(&app, "ada").await;
    let digests = "SELECT token_digest FROM password_resets";
    let stored = db_column(&app, digests).await;
    assert!(!stored[0].contains(link.trim_start_matches("/reset/")));

    app.clock.advance(DAY);
    mirage::services::one_time_links::delete_expired(&app.core)
        .await
        .unwrap();

    assert!(db_column(&app, digests).await.is_empty());
}
