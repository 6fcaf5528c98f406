use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use mirage::config::HashCost;

use crate::support::{HASH_COST, PASSWORD, Page, TestApp, db_column};

const REFUSED: &str = "The name or password is wrong. Check both and try again";

#[actix_web::test]
async fn signing_in_ignores_the_case_of_the_name_but_not_of_the_password() {
    let app = TestApp::spawn().await;
    app.sign_up("Ada").await;
    let browser = app.anonymous();

    let page = browser
        .post("/login", &[("name", " aDA "), ("password", PASSWORD)])
        .await;

    page.assert_redirect("/");
    assert_eq!(
        browser.get("/rooms").await.text("header .sign-out b"),
        "Ada"
    );
}

#[actix_web::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer_for_the_same_work() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let attempt = async |name, password| {
        let (hashes, statements) = (app.hashes(), app.db_statements());
        let page = app
            .anonymous()
            .post("/login", &[("name", name), ("password", password)])
            .await;
        page.assert_status(422)
            .assert_problem("name", REFUSED)
            .assert_value("#name", name);
        let hashes = app.hashes() - hashes;
        let statements = app.db_statements() - statements;
        (page.body.replace(name, "NAME"), hashes, statements)
    };

    let wrong_password = attempt("ada", "a kettle of cats").await;
    let almost = attempt("ada", "a kettle of fish ").await;
    let unknown_name = attempt("bob", PASSWORD).await;
    let impossible_name = attempt("!?", PASSWORD).await;

    assert_eq!(wrong_password.1, 1);
    assert_eq!(wrong_password, almost);
    assert_eq!(wrong_password, unknown_name);
    assert_eq!(wrong_password, impossible_name);

    // A password with letters that have two forms takes one hash for each.
    let wrong_password = attempt("ada", "a kettle of kāts").await;
    let unknown_name = attempt("bob", "a kettle of kāts").await;
    let impossible_name = attempt("!?", "a kettle of kāts").await;

    assert_eq!(wrong_password.1, 2);
    assert_eq!(wrong_password, unknown_name);
    assert_eq!(wrong_password, impossible_name);
}

#[actix_web::test]
async fn a_password_opens_the_account_in_either_normalization_form() {
    let app = TestApp::spawn().await;
    let (composed, decomposed) = (
        "th\u{e9} \u{e0} dix heures",
        "the\u{301} a\u{300} dix heures",
    );
    for (name, typed) in [("ada", composed), ("bob", decomposed)] {
        let form = [("name", name), ("password", typed)];
        let page = app.anonymous().post("/register", &form).await;
        page.assert_status(303);

        app.sign_in(name, composed).await;
        app.sign_in(name, decomposed).await;
    }
}

#[actix_web::test]
async fn empty_fields_are_reported() {
    let app = TestApp::spawn().await;

    let page = app
        .anonymous()
        .post("/login", &[("name", " "), ("password", "")])
        .await;

    page.assert_status(422);
    assert_eq!(
        page.texts(".problems a"),
        ["Enter your name", "Enter your password"]
    );
}

#[actix_web::test]
async fn a_protected_page_redirects_to_sign_in_and_back() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let browser = app.anonymous();

    let refused = browser.get("/rooms/private?x=1&y=%2F").await;
    let form = browser.get(refused.location()).await;
    let next = form.attribute("[name=next]", "value");
    let page = browser
        .post(
            "/login",
            &[("name", "ada"), ("password", PASSWORD), ("next", &next)],
        )
        .await;

    page.assert_redirect("/rooms/private?x=1&y=%2F");
}

#[actix_web::test]
async fn signing_in_never_redirects_to_another_site() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;

    for next in [
        "//example.org",
        "https://example.org/",
        "/\\example.org",
        "/logout",
        "javascript:alert(1)",
    ] {
        let form = [("name", "ada"), ("password", PASSWORD), ("next", next)];
        app.anonymous()
            .post("/login", &form)
            .await
            .assert_redirect("/");
    }
}

#[actix_web::test]
async fn the_return_path_survives_a_mistake_and_switching_to_the_other_form() {
    let app = TestApp::spawn().await;

    let form = [
        ("name", "ada"),
        ("password", "wrong"),
        ("next", "/rooms/new"),
    ];
    let page = app.anonymous().post("/login", &form).await;

    page.assert_value("[name=next]", "/rooms/new");
    assert_eq!(
        page.attribute("main p a", "href"),
        "/register?next=/rooms/new"
    );
}

#[actix_web::test]
async fn the_form_says_how_long_sessions_last_and_whom_to_ask() {
    let app = TestApp::with(&["--contact=Ask Grace at the library"]).await;

    let page = app.anonymous().get("/login").await;

    let says =
        |page: &Page, words: &str| page.texts("main p").iter().any(|text| text.contains(words));
    assert!(says(&page, "30 days"));
    assert!(says(&page, "Ask Grace at the library"));
}

/// An outdated hash of [`PASSWORD`]: an older Argon2 version at another cost.
fn old_hash() -> String {
    let params = Params::new(1024, 1, 1, None).unwrap();
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2i, Version::V0x10, params)
        .hash_password(PASSWORD.as_bytes())
        .unwrap();
    hash.to_string()
}

async fn stored_hash(app: &TestApp) -> String {
    let hashes = db_column(app, "SELECT password_hash FROM users").await;
    hashes.concat()
}

#[actix_web::test]
async fn an_outdated_password_hash_is_upgraded_at_sign_in() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let old = old_hash();
    app.execute(&format!("UPDATE users SET password_hash = '{old}'"))
        .await;

    let wrong = [("name", "ada"), ("password", "a kettle of cats")];
    let page = app.anonymous().post("/login", &wrong).await;
    page.assert_status(422);
    assert_eq!(stored_hash(&app).await, old);

    app.sign_in("ada", PASSWORD).await;
    let new = stored_hash(&app).await;
    let HashCost { memory, passes } = HASH_COST;
    let start = format!("$argon2id$v=19$m={memory},t={passes},p=1$");
    assert!(new.starts_with(&start), "{new}");
    let hashes = app.hashes();
    app.sign_in("ada", PASSWORD).await;
    assert_eq!(stored_hash(&app).await, new);
    assert_eq!(app.hashes() - hashes, 1);
}

#[actix_web::test]
async fn four_concurrent_sign_ins_with_an_outdated_hash_all_succeed() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    let old = old_hash();
    app.execute(&format!("UPDATE users SET password_hash = '{old}'"))
        .await;

    tokio::join!(
        app.sign_in("ada", PASSWORD),
        app.sign_in("ada", PASSWORD),
        app.sign_in("ada", PASSWORD),
        app.sign_in("ada", PASSWORD),
    );

    assert_ne!(stored_hash(&app).await, old);
    app.sign_in("ada", PASSWORD).await;
}

#[actix_web::test]
async fn signed_in_users_are_redirected_from_the_sign_in_and_sign_up_pages() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    for page in ["/login", "/register"] {
        for (next, to) in [
            ("", "/"),
            ("?next=/rooms/new", "/rooms/new"),
            ("?next=https://example.org", "/"),
        ] {
            ada.get(&format!("{page}{next}")).await.assert_redirect(to);
        }
    }
}

#[actix_web::test]
async fn a_password_manager_is_led_to_the_page_that_changes_a_password() {
    let app = TestApp::spawn().await;

    let answer = app.anonymous().get("/.well-known/change-password").await;

    answer.assert_redirect("/account/password");
}
