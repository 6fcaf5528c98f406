//! The page that tells a person that a reset link has changed their password.

use std::time::Duration;

use crate::support::{Browser, PASSWORD, Page, TestApp, reset_link};

const NEW: &str = "an owl in a willow";

/// Resets ada's password with a link, and returns the browser that this signs in.
async fn reset(app: &TestApp) -> Browser {
    app.sign_up("ada").await;
    let link = reset_link(app, "ada").await;
    let browser = app.anonymous();
    let page = browser.post(&link, &[("password", NEW)]).await;
    page.assert_redirect("/rooms/mine?done=password-changed");
    browser
}

/// Signs ada in with her own password, after which she is told.
async fn sign_in(app: &TestApp) -> Browser {
    let browser = app.anonymous();
    let form = [("name", "ada"), ("password", PASSWORD)];
    let page = browser.post("/login", &form).await;
    page.assert_redirect("/account/reset");
    browser
}

async fn log_in(app: &TestApp, next: &str) -> Page {
    let form = [("name", "ada"), ("password", NEW), ("next", next)];
    app.anonymous().post("/login", &form).await
}

#[actix_web::test]
async fn a_person_is_told_when_they_sign_in_and_goes_on_from_there() {
    let app = TestApp::with(&["--contact=help@example.org"]).await;
    let ada = reset(&app).await;

    log_in(&app, "").await.assert_redirect("/account/reset");
    let page = log_in(&app, "/rooms/private").await;
    page.assert_redirect("/account/reset?next=/rooms/private");

    let page = ada.get("/account/reset?next=/rooms/private").await;
    assert_eq!(page.text("h1"), "A reset link changed your password");
    assert_eq!(
        page.texts("main p")[0],
        "This was on 22 November 2026 at 13:05 UTC. An operator of this site made the link. It signed you out everywhere else."
    );
    assert!(page.texts("main p")[2].ends_with("the person who runs this server: help@example.org"));
    assert_eq!(page.attribute("a.button", "href"), "/rooms/private");
    for other in ["", "//example.org", "https://example.org/"] {
        let page = ada.get(&format!("/account/reset?next={other}")).await;
        assert_eq!(page.attribute("a.button", "href"), "/");
    }
}

#[actix_web::test]
async fn the_account_page_tells_of_it_for_30_days_and_nothing_hides_it_before() {
    let app = TestApp::spawn().await;
    let ada = reset(&app).await;
    let told = async |browser: &Browser| {
        let page = browser.get("/account").await;
        page.assert_status(200);
        page.has("main a[href='/account/reset']")
    };
    assert!(told(&ada).await);
    let change = [("current", NEW), ("password", PASSWORD)];
    ada.post("/account/password", &change)
        .await
        .assert_status(303);
    assert!(told(&ada).await, "a changed password does not hide it");
    assert!(told(&sign_in(&app).await).await);

    app.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    let ada = sign_in(&app).await;
    assert!(told(&ada).await);
    app.clock.advance(Duration::from_secs(1));

    assert!(!told(&ada).await);
    ada.get("/account/reset").await.assert_redirect("/");
    app.sign_in("ada", PASSWORD).await;
}

#[actix_web::test]
async fn nobody_else_is_told() {
    let app = TestApp::spawn().await;
    reset(&app).await;
    let bob = app.sign_up("bob").await;

    assert!(!bob.get("/account").await.has("main time"));
    bob.get("/account/reset").await.assert_redirect("/");
    app.sign_in("bob", PASSWORD).await;
}
