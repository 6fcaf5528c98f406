//! Error pages, in plain words and in the site's layout.

use reqwest::Method;
use sea_orm::ConnectionTrait;

use crate::support::{Browser, PASSWORD, Page, ROOM_PASSWORD, TestApp, reset_link, sign_up_link};

/// Asserts that an error page has the site's layout, an explanation in plain words and a link to go on.
#[track_caller]
fn assert_plain_page(page: &Page, status: u16, h1: &str) {
    page.assert_status(status);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.text("h1"), h1);
    assert_eq!(page.text("title"), format!("{h1} – Mirage"));
    assert!(page.has("header nav a") && page.has("footer") && page.has("main p"));
    assert!(page.attributes("main a", "href").contains(&"/".to_owned()));
    // The ID that people are asked to quote is called so.
    let words = page.text("main").to_lowercase().replace("error id", "");
    for word in [
        "invalid",
        "forbidden",
        "oops",
        "illegal",
        "error",
        "sqlite",
        "database",
    ] {
        assert!(!words.contains(word), "“{word}” in {words}");
    }
}

#[actix_web::test]
async fn an_unknown_path_gets_a_404_page() {
    let app = TestApp::spawn().await;

    for path in [
        "/nowhere",
        "/nowhere/",
        "/favicon.ico",
        "/assets/nothing.js",
    ] {
        let page = app.anonymous().get(path).await;
        assert_plain_page(&page, 404, "Page not found");
    }
}

#[actix_web::test]
async fn a_page_with_a_slash_at_its_end_is_redirected_to_the_page() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    for (path, page) in [
        ("/login/", "/login"),
        ("/login/?next=/rooms/", "/login?next=/rooms/"),
        ("/rooms/", "/rooms"),
        ("/rooms/7/?before=3", "/rooms/7?before=3"),
        ("/rooms/7/members/", "/rooms/7/members"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = browser.request(method, path).await;
            assert_eq!((answer.status.as_u16(), answer.location()), (308, page));
        }
        let answer = browser.request(Method::POST, path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    for path in [
        "//example.org/",
        "/\\example.org/",
        "/rooms/7/poll/",
        "/rooms/7//",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.location()),
            (404, ""),
            "{path}"
        );
    }
}

#[actix_web::test]
async fn the_first_of_repeated_query_parameters_counts() {
    let app = TestApp::spawn().await;

    let page = app
        .anonymous()
        .get("/login?next=/rooms/mine&next=/rooms/new&done=x")
        .await;

    page.assert_status(200);
    page.assert_value("main [name=next]", "/rooms/mine");
}

#[actix_web::test]
async fn a_missing_room_gets_a_404_page() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    for path in [
        "/rooms/999",
        "/rooms/x",
        "/rooms/99999999999999999999",
        "/rooms/-1",
        "/rooms/%ff",
    ] {
        let page = ada.get(path).await;
        assert_plain_page(&page, 404, "There is no such room, or you are not in it");
        assert_eq!(page.text("header .sign-out b"), "ada");
    }
}

#[actix_web::test]
async fn an_unsupported_method_gets_a_405_page() {
    let app = TestApp::spawn().await;

    for (method, path, allowed) in [
        (Method::DELETE, "/login", "GET, HEAD, POST"),
        (Method::GET, "/logout", "POST"),
        (Method::POST, "/rooms", "GET, HEAD"),
    ] {
        let page = app.anonymous().request(method, path).await;
        assert_plain_page(&page, 405, "This address cannot be used that way");
        assert_eq!(page.header("allow"), allowed);
    }
}

#[actix_web::test]
async fn a_head_request_gets_the_headers_of_the_page() {
    let app = TestApp::spawn().await;

    let page = app.anonymous().request(Method::HEAD, "/login").await;

    page.assert_status(200);
    assert_eq!(page.body, "");
}

#[actix_web::test]
async fn an_unreadable_request_gets_a_400_page() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let post = |content_type: &'static str, body: &'static str| {
        let request = browser.client.post(browser.url("/login"));
        Browser::answer(request.header("content-type", content_type).body(body))
    };

    for page in [
        post("application/x-www-form-urlencoded", "name=a&name=b").await,
        post("application/json", "{}").await,
        post("multipart/form-data; boundary=x", "--x--").await,
    ] {
        assert_plain_page(&page, 400, "The server could not read this request");
    }
}

#[actix_web::test]
async fn unreadable_cookies_are_ignored() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();

    for cookie in [
        "mirage=x",
        "mirage=",
        "mirage",
        "=;=",
        "mirage=%ff%00; mirage=y",
    ] {
        let request = browser
            .client
            .get(browser.url("/rooms"))
            .header("cookie", cookie.as_bytes());
        Browser::answer(request)
            .await
            .assert_redirect("/login?next=/rooms");
    }
}

#[actix_web::test]
async fn an_oversized_form_gets_a_413_page() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;

    let page = ada.send_with(room, &"x".repeat(1024 * 1024), "").await;

    assert_plain_page(&page, 413, "You sent too much at once");
    assert!(page.text("main").contains("your text is still in its box"));
}

#[actix_web::test]
async fn a_server_error_page_reveals_no_details() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    app.core
        .writer
        .execute_unprepared("DROP TABLE room_members")
        .await
        .unwrap();

    let page = ada.get("/rooms/mine").await;

    assert_plain_page(&page, 500, "Something went wrong on our side");
    assert!(!page.body.contains("room_members"));
    assert_eq!(
        page.text("main code").len(),
        36,
        "the request's id, to be found in the log"
    );
}

#[actix_web::test]
async fn an_unavailable_database_gets_a_503_page() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    ada.get("/rooms/mine").await.assert_status(200);
    app.close_database().await;

    let page = ada.get("/rooms/mine").await;

    assert_plain_page(&page, 503, "The server cannot do that right now");
    assert_eq!(page.header("retry-after"), "5");
}

#[actix_web::test]
async fn an_unavailable_database_during_session_lookup_gets_a_503_page() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    for core in app.cores() {
        core.sessions.sweep();
        core.sessions.sweep();
    }
    app.close_database().await;

    let page = ada.get("/rooms").await;

    assert_plain_page(&page, 503, "The server cannot do that right now");
}

/// The names and values of a form's fields.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// The error on a form that the server cannot process now.
pub const BUSY: &str = "The server cannot do that right now. Wait 5 seconds, then try again";

#[track_caller]
fn assert_form_for_later(page: &Page, field: &str) {
    page.assert_status(503).assert_problem(field, BUSY);
    assert_eq!(page.header("retry-after"), "5");
    assert_eq!(page.header("set-cookie"), "");
}

#[actix_web::test]
async fn under_overload_every_password_form_comes_back_filled_in() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_private_room("Tea").await;
    let (link, reset) = (sign_up_link(&app).await, reset_link(&app, "ada").await);
    let nobody = app.anonymous();
    let bob = [("name", "bob"), ("password", PASSWORD)];
    let cake = [
        ("name", "Cake"),
        ("kind", "private"),
        ("password", ROOM_PASSWORD),
    ];
    let change = [("current", PASSWORD), ("password", "an owl in a willow")];
    let others = [("password", "open barley"), ("others", "go")];
    let passwords = format!("/rooms/{room}/settings/password");
    let olga = app.operator("olga").await;
    let suspend = format!("/site/people/{}/suspend", app.user_id("ada").await);
    let spam = [("reason", "Spam"), ("password", PASSWORD)];
    let forms: [(&Browser, &str, Fields<'_>, &str); 11] = [
        (&nobody, "/login", &bob, "name"),
        (&nobody, "/register", &bob, "name"),
        (&nobody, &link, &bob, "name"),
        (&nobody, &reset, &[("password", PASSWORD)], "password"),
        (&ada, "/rooms/private", &bob, "name"),
        (&ada, "/rooms/new", &cake, "name"),
        (&ada, "/account/password", &change, "current"),
        (
            &ada,
            "/account/delete",
            &[("password", PASSWORD)],
            "password",
        ),
        (&ada, &passwords, &others, "password"),
        (&olga, &suspend, &spam, "reason"),
        (&olga, "/site/sign-up-link", &spam[1..], "password"),
    ];
    let hashes = app.hashes();
    let crowd = app.overload();

    for (browser, path, form, field) in forms {
        let page = browser.post(path, form).await;

        assert_form_for_later(&page, field);
        for (name, value) in form.iter().filter(|(name, _)| *name == "name") {
            page.assert_value(&format!("#{name}"), value);
        }
    }

    assert_eq!(app.hashes(), hashes);
    drop(crowd);
    for (browser, path, form, _) in &forms[1..3] {
        let name = if *path == "/register" { "bob" } else { "eve" };
        let form = [("name", name), form[1]];
        browser.post(path, &form).await.assert_status(303);
    }
}

#[actix_web::test]
async fn with_the_database_unavailable_a_form_comes_back_filled_in() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    app.close_database().await;

    for path in ["/login", "/register"] {
        let form = [("name", "ada"), ("password", PASSWORD)];
        let page = browser.post(path, &form).await;

        assert_form_for_later(&page, "name");
        page.assert_value("#name", "ada");
    }
}
