//! What every answer carries.

use crate::support::{Page, TestApp};

fn assert_guarded(page: &Page) {
    let policy = page.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(
            policy.split("; ").any(|there| there == rule),
            "{rule} is not in {policy}"
        );
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "same-origin");
}

#[actix_web::test]
async fn every_kind_of_answer_is_guarded_and_kept_by_nobody() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    for page in [
        app.anonymous().get("/").await,
        app.anonymous().get("/rooms").await,
        app.anonymous().get("/nowhere").await,
        app.anonymous().post("/login", &[]).await,
        ada.room(room).await,
        ada.get(&format!("/rooms/{room}/poll")).await,
        ada.get("/rooms/999").await,
        ada.get("/rooms/999/poll").await,
        ada.post("/rooms", &[]).await,
        ada.send(room, "hello").await,
    ] {
        assert_guarded(&page);
        assert_eq!(page.header("cache-control"), "no-store, no-cache");
    }
}

#[actix_web::test]
async fn files_are_kept_for_good_under_the_address_with_their_fingerprint() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let style = browser
        .get("/")
        .await
        .attribute("link[rel=stylesheet]", "href");

    let page = browser.get(&style).await;
    assert_guarded(&page);
    assert_eq!(page.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(
        page.header("cache-control"),
        "public, max-age=31536000, immutable"
    );

    for other in ["/assets/app.css", "/assets/app.css?v=0"] {
        assert_eq!(browser.get(other).await.header("cache-control"), "no-cache");
    }
}

#[actix_web::test]
async fn only_the_files_of_the_pages_are_given_out() {
    let app = TestApp::spawn().await;

    for path in ["/assets/", "/assets/..%2fCargo.toml", "/assets/.gitignore"] {
        app.anonymous().get(path).await.assert_status(404);
    }
}
