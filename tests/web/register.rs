use std::time::Duration;

use crate::support::{PASSWORD, TestApp, db_column, reset_link, sign_up_link};

const TAKEN: &str =
    "Someone else has this name, or one that looks too similar. Choose a different name";

#[actix_web::test]
async fn creating_an_account_signs_in_and_opens_the_public_rooms() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();

    let page = ada
        .post("/register", &[("name", " Ada "), ("password", PASSWORD)])
        .await;

    page.assert_redirect("/rooms?done=registered");
    let landed = ada.get(page.location()).await;
    assert_eq!(landed.text("header .sign-out b"), "Ada");
    assert!(
        landed
            .text("title")
            .starts_with("Account created – Public rooms")
    );
    assert_eq!(landed.text(".done"), "Account created.");
    assert_eq!(landed.text("main .button"), "Create the first room");
    assert!(!ada.get("/rooms").await.has(".done"));
}

#[actix_web::test]
async fn creating_an_account_redirects_to_the_return_path() {
    let app = TestApp::spawn().await;
    let form = app.anonymous().get("/register?next=/rooms/private").await;
    assert_eq!(form.attribute("[name=next]", "value"), "/rooms/private");

    let form = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("next", "/rooms/private"),
    ];

    app.anonymous()
        .post("/register", &form)
        .await
        .assert_redirect("/rooms/private");
}

#[actix_web::test]
async fn creating_an_account_never_redirects_to_another_site() {
    let app = TestApp::spawn().await;
    let form = app.anonymous().get("/register?next=//example.org").await;
    assert!(!form.has("[name=next]"));

    let form = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("next", "https://example.org/rooms"),
    ];

    app.anonymous()
        .post("/register", &form)
        .await
        .assert_redirect("/rooms?done=registered");
}

#[actix_web::test]
async fn an_invalid_name_is_refused_and_kept_in_the_form() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    for (name, sentence) in [
        ("", "Enter a name"),
        ("a", "Your name must be at least 2 characters long"),
        (
            "<b>ada</b>",
            "Your name can only contain letters, digits, hyphens (-) and underscores (_)",
        ),
        ("аlice", "Use letters from only one alphabet in your name"),
    ] {
        let page = browser
            .post("/register", &[("name", name), ("password", PASSWORD)])
            .await;

        page.assert_status(422)
            .assert_problem("name", sentence)
            .assert_value("#name", name);
        assert_eq!(page.attributes("#password", "value"), [""; 0]);
    }
}

#[actix_web::test]
async fn a_password_that_is_too_short_too_common_or_the_name_is_refused() {
    let app = TestApp::spawn().await;
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
        let page = browser
            .post(
                "/register",
                &[("name", "kettle-club"), ("password", password)],
            )
            .await;

        page.assert_status(422).assert_problem("password", sentence);
        page.assert_value("#name", "kettle-club");
    }
}

#[actix_web::test]
async fn all_errors_are_reported_at_once() {
    let app = TestApp::spawn().await;

    let page = app.anonymous().post("/register", &[]).await;

    page.assert_status(422);
    assert_eq!(
        page.texts(".problems a"),
        ["Enter a name", "Enter a password"]
    );
}

#[actix_web::test]
async fn two_people_cannot_have_names_that_look_alike() {
    let app = TestApp::spawn().await;
    app.sign_up("alice").await;
    app.sign_up("сосо").await;

    for twin in ["alice", "Alice", "ALICE", "aIice", "ａｌｉｃｅ", "coco"] {
        let form = [("name", twin), ("password", PASSWORD)];
        let page = app.anonymous().post("/register", &form).await;

        page.assert_status(422)
            .assert_problem("name", TAKEN)
            .assert_value("#name", twin);
    }
}

#[actix_web::test]
async fn of_eight_concurrent_sign_ups_for_one_name_exactly_one_succeeds() {
    let app = TestApp::spawn().await;
    let form = [("name", "ada"), ("password", PASSWORD)];
    let browsers: Vec<_> = (0..8).map(|_| app.anonymous()).collect();

    let attempts: Vec<_> = browsers
        .iter()
        .map(|browser| {
            let browser = browser.clone();
            tokio::spawn(async move { browser.post("/register", &form).await })
        })
        .collect();
    let mut pages = Vec::new();
    for attempt in attempts {
        pages.push(attempt.await.unwrap());
    }

    let (won, lost): (Vec<_>, Vec<_>) = pages.iter().partition(|page| page.status == 303);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for page in lost {
        page.assert_status(422).assert_problem("name", TAKEN);
    }
}

async fn has_accounts(app: &TestApp) -> bool {
    !db_column(app, "SELECT name FROM users").await.is_empty()
}

#[actix_web::test]
async fn with_sign_up_closed_the_pages_say_so_and_offer_no_account() {
    for (policy, h1) in [
        (
            "--sign-up=link",
            "You need a sign-up link to create an account here",
        ),
        ("--sign-up=closed", "Sign-up is closed"),
    ] {
        let app = TestApp::with(&[policy, "--contact=help@example.org"]).await;
        let browser = app.anonymous();

        let asked = browser.get("/register?next=/rooms/new").await;
        let form = [("name", "ada"), ("password", PASSWORD)];
        let tried = browser.post("/register", &form).await;

        asked.assert_status(200);
        tried.assert_status(403);
        for page in [&asked, &tried] {
            assert_eq!(page.text("h1"), h1);
            assert!(page.text("main").contains("help@example.org"));
            assert!(!page.has("form"));
        }
        assert_eq!(
            asked.attributes("main a", "href"),
            ["/login?next=/rooms/new"]
        );
        assert!(!has_accounts(&app).await);
        for page in ["/", "/login", "/nowhere"] {
            let page = browser.get(page).await;
            assert!(!page.has("[href^='/register']"), "{}", page.body);
        }
    }
}

#[actix_web::test]
async fn existing_accounts_can_sign_in_under_every_sign_up_policy() {
    for policy in ["--sign-up=link", "--sign-up=closed"] {
        let app = TestApp::with(&[policy]).await;
        let page = app.anonymous().get("/").await;

        assert_eq!(page.attributes("main a", "href"), ["/login"]);
        app.anonymous().get("/login").await.assert_status(200);
    }
}

#[actix_web::test]
async fn a_sign_up_link_creates_exactly_one_account() {
    for policy in ["--sign-up=link", "--sign-up=open"] {
        let app = TestApp::with(&[policy]).await;
        let link = sign_up_link(&app).await;
        let ada = app.anonymous();

        let form = ada.get(&format!("{link}?next=/rooms/private")).await;
        form.assert_status(200);
        assert_eq!(form.attribute("main form", "action"), link);
        assert_eq!(form.attribute("[name=next]", "value"), "/rooms/private");
        let filled_in = [
            ("name", "ada"),
            ("password", PASSWORD),
            ("next", "/rooms/private"),
        ];
        ada.post(&link, &filled_in)
            .await
            .assert_redirect("/rooms/private");

        assert_eq!(ada.get("/rooms").await.text("header .sign-out b"), "ada");
        let filled_in = [("name", "bob"), ("password", PASSWORD)];
        let bob = app.anonymous();
        bob.post(&link, &filled_in).await.assert_status(404);
        bob.get(&link).await.assert_status(404);
        assert_eq!(db_column(&app, "SELECT name FROM users").await, ["ada"]);
    }
}

#[actix_web::test]
async fn an_invalid_form_or_a_taken_name_does_not_use_up_a_link() {
    let app = TestApp::with(&["--sign-up=link"]).await;
    let form = |name| [("name", name), ("password", PASSWORD)];
    let (first, link) = (sign_up_link(&app).await, sign_up_link(&app).await);
    app.anonymous()
        .post(&first, &form("ada"))
        .await
        .assert_status(303);
    let bob = app.anonymous();

    let mistaken = bob.post(&link, &form("b")).await;
    let taken = bob.post(&link, &form("ada")).await;

    for page in [&mistaken, &taken] {
        page.assert_status(422);
        assert_eq!(page.attribute("main form", "action"), link);
    }
    taken.assert_problem("name", TAKEN);
    bob.post(&link, &form("bob")).await.assert_status(303);
}

#[actix_web::test]
async fn used_expired_and_invented_links_all_look_the_same() {
    let app = TestApp::spawn().await;
    let form = [("name", "ada"), ("password", PASSWORD)];
    let used = sign_up_link(&app).await;
    app.anonymous().post(&used, &form).await.assert_status(303);
    let expired = sign_up_link(&app).await;
    app.clock.advance(Duration::from_secs(7 * 86_400));
    let for_something_else = reset_link(&app, "ada").await.replace("reset", "register");

    let browser = app.anonymous();
    let made_up = browser.get("/register/x").await;
    made_up.assert_status(404);
    assert_eq!(made_up.text("h1"), "This link does not work");
    for link in [
        used.as_str(),
        &expired,
        &for_something_else,
        "/register/%ff",
        "/register/%3Cb%3E",
    ] {
        let form = [("name", "bob"), ("password", PASSWORD)];
        for page in [browser.get(link).await, browser.post(link, &form).await] {
            page.assert_status(404);
            assert_eq!(page.body, made_up.body, "{link}");
        }
    }
}

#[actix_web::test]
async fn a_sign_up_link_works_until_it_expires() {
    let app = TestApp::with(&["--sign-up=link"]).await;
    let link = sign_up_link(&app).await;
    let span = Duration::from_secs(7 * 86_400);
    app.clock.advance(span - Duration::from_millis(1));

    let form = [("name", "ada"), ("password", PASSWORD)];
    app.anonymous().post(&link, &form).await.assert_status(303);
}

#[actix_web::test]
async fn with_sign_up_closed_a_link_does_not_work_and_is_not_used_up() {
    let app = TestApp::with(&["--sign-up=closed"]).await;
    let link = sign_up_link(&app).await;
    let form = [("name", "ada"), ("password", PASSWORD)];

    for link in [link.as_str(), "/register/x"] {
        let (asked, tried) = (
            app.anonymous().get(link).await,
            app.anonymous().post(link, &form).await,
        );

        assert_eq!(asked.text("h1"), "Sign-up is closed");
        tried.assert_status(403);
    }
    let links = "SELECT token_digest FROM signup_links";
    assert_eq!(db_column(&app, links).await.len(), 1);
    assert!(!has_accounts(&app).await);
}

#[actix_web::test]
async fn of_four_concurrent_uses_of_a_link_exactly_one_creates_an_account() {
    let app = TestApp::with(&["--sign-up=link"]).await;
    let link = sign_up_link(&app).await;

    let attempts: Vec<_> = ["ada", "bob", "cleo", "dan"]
        .map(|name| (app.anonymous(), link.clone(), name))
        .map(|(browser, link, name)| {
            let form = [("name", name), ("password", PASSWORD)];
            tokio::spawn(async move { browser.post(&link, &form).await })
        })
        .into();
    let mut statuses = Vec::new();
    for attempt in attempts {
        statuses.push(attempt.await.unwrap().status.as_u16());
    }

    statuses.sort_unstable();
    assert_eq!(statuses, [303, 404, 404, 404]);
    assert_eq!(db_column(&app, "SELECT name FROM users").await.len(), 1);
}

#[actix_web::test]
async fn the_database_stores_only_the_digest_of_a_link_and_deletes_it_on_expiry() {
    let app = TestApp::spawn().await;
    let link = sign_up_link(&app).await;
    let token = link.trim_start_matches("/register/");
    let stored = db_column(&app, "SELECT token_digest FROM signup_links").await;
    assert_eq!(token.len(), 43);
    assert!(!stored[0].contains(token));

    app.clock.advance(Duration::from_secs(7 * 86_400));
    mirage::services::one_time_links::delete_expired(&app.core)
        .await
        .unwrap();

    let links = "SELECT token_digest FROM signup_links";
    assert!(db_column(&app, links).await.is_empty());
}

#[actix_web::test]
async fn a_name_with_a_hidden_dot_is_taken_and_a_dotted_capital_is_found() {
    let app = TestApp::spawn().await;
    app.sign_up("ali").await;

    let form = [("name", "ali\u{307}"), ("password", PASSWORD)];
    let page = app.anonymous().post("/register", &form).await;

    page.assert_status(422);
    app.sign_in("ALİ", PASSWORD).await;
}
