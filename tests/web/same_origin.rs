//! Cross-site request forgery.

use reqwest::Method;

use crate::support::{Browser, Page, TestApp};

async fn post_with(browser: &Browser, headers: &[(&str, &str)]) -> Page {
    let mut request = browser
        .client
        .request(Method::POST, browser.url("/rooms/new"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Browser::answer(request.form(&[("name", "")])).await
}

#[actix_web::test]
async fn cross_site_posts_are_refused_and_same_origin_posts_are_accepted() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let ours = format!("http://{}", app.address);
    let other_port = "http://127.0.0.1:1".to_owned();

    for (site, origin, is_refused) in [
        (None, None, false),
        (None, Some(ours.as_str()), false),
        (None, Some(other_port.as_str()), true),
        (None, Some("null"), true),
        (None, Some("https://example.org"), true),
        (Some("same-origin"), Some(ours.as_str()), false),
        (Some("same-origin"), Some("null"), false),
        (Some("none"), None, false),
        (Some("same-site"), Some(ours.as_str()), true),
        (Some("cross-site"), Some("https://example.org"), true),
        (Some("cross-site"), None, true),
        (Some("nonsense"), None, true),
    ] {
        let site = site.map(|site| ("sec-fetch-site", site));
        let origin = origin.map(|origin| ("origin", origin));
        let headers: Vec<_> = site.into_iter().chain(origin).collect();

        let page = post_with(&ada, &headers).await;

        // The form is empty, so an accepted request gets 422.
        assert_eq!(
            page.status,
            if is_refused { 403 } else { 422 },
            "{headers:?}"
        );
    }
}

#[actix_web::test]
async fn a_refused_cross_site_request_gets_an_error_page() {
    let app = TestApp::spawn().await;

    let page = post_with(&app.anonymous(), &[("sec-fetch-site", "cross-site")]).await;

    page.assert_status(403);
    assert_eq!(page.text("h1"), "This request came from another site");
}

#[actix_web::test]
async fn behind_a_proxy_the_accepted_origin_is_the_public_url() {
    let app = TestApp::with(&["--public-url=https://chat.example.org"]).await;
    let browser = app.anonymous();
    let own_host = format!("http://{}", app.address);

    for (origin, status) in [
        ("https://chat.example.org", 303),
        ("http://chat.example.org", 403),
        ("https://chat.example.org:8443", 403),
        (own_host.as_str(), 403),
    ] {
        assert_eq!(
            post_with(&browser, &[("origin", origin)]).await.status,
            status,
            "{origin}"
        );
    }
}

#[actix_web::test]
async fn links_on_other_sites_can_open_pages() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    let request = browser
        .client
        .get(browser.url("/login"))
        .header("sec-fetch-site", "cross-site");

    Browser::answer(request).await.assert_status(200);
}
