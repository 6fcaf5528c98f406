//! The session cookie and the lifetime of sessions.

use std::time::Duration;

use crate::support::{Browser, PASSWORD, Page, TestApp, db_column, is_cluster, start_poll};

const DAY: Duration = Duration::from_secs(86_400);
const FORM: [(&str, &str); 2] = [("name", "ada"), ("password", PASSWORD)];

/// The `name=value` of the cookie that a response sets.
fn cookie(page: &Page) -> String {
    page.header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned()
}

async fn get_with(app: &TestApp, cookie: &str, path: &str) -> Page {
    let browser = app.anonymous();
    Browser::answer(
        browser
            .client
            .get(browser.url(path))
            .header("cookie", cookie),
    )
    .await
}

#[actix_web::test]
async fn the_session_cookie_is_http_only_and_same_site() {
    let app = TestApp::spawn().await;

    let page = app.anonymous().post("/register", &FORM).await;

    let set = page.header("set-cookie");
    assert!(set.starts_with("mirage-"), "{set}");
    let attributes: Vec<_> = set.split("; ").skip(1).collect();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=34560000"] {
        assert!(
            attributes.contains(&attribute),
            "{attribute} is not in {set}"
        );
    }
    assert!(!attributes.contains(&"Secure"));
}

#[actix_web::test]
async fn behind_tls_the_session_cookie_is_secure_and_host_prefixed() {
    let app = TestApp::with(&["--public-url=https://chat.example.org"]).await;

    let page = app.anonymous().post("/register", &FORM).await;

    let set = page.header("set-cookie");
    assert!(set.starts_with("__Host-mirage-"), "{set}");
    assert!(set.contains("; Secure") && set.contains("; Path=/") && !set.contains("Domain"));
}

#[actix_web::test]
async fn the_session_cookie_is_set_only_at_sign_in() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    app.clock.advance(DAY);

    for page in [
        ada.get("/rooms").await,
        ada.send(room, "hello").await,
        ada.get(&format!("/rooms/{room}/poll")).await,
    ] {
        assert_eq!(page.header("set-cookie"), "");
    }
    assert_eq!(app.anonymous().get("/").await.header("set-cookie"), "");
}

#[actix_web::test]
async fn signing_in_gives_a_new_key_and_ends_the_old_session() {
    let app = TestApp::spawn().await;
    let ada = app.anonymous();
    let first = cookie(&ada.post("/register", &FORM).await);

    let second = cookie(&ada.post("/login", &FORM).await);

    assert_ne!(first, second);
    get_with(&app, &first, "/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    get_with(&app, &second, "/rooms").await.assert_status(200);
}

#[actix_web::test]
async fn signing_in_over_a_planted_session_cookie_replaces_and_ends_that_session() {
    let app = TestApp::spawn().await;
    let planted = cookie(
        &app.anonymous()
            .post("/register", &[("name", "eve"), ("password", PASSWORD)])
            .await,
    );
    app.sign_up("ada").await;
    let victim = app.anonymous();

    let request = victim
        .client
        .post(victim.url("/login"))
        .header("cookie", &planted)
        .form(&FORM);
    let signed_in = cookie(&Browser::answer(request).await);

    assert_ne!(signed_in, planted);
    get_with(&app, &planted, "/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    assert_eq!(
        get_with(&app, &signed_in, "/rooms")
            .await
            .text("header .sign-out b"),
        "ada"
    );
}

#[actix_web::test]
async fn the_database_stores_only_the_digest_of_the_session_key() {
    let app = TestApp::spawn().await;
    let cookie = cookie(&app.anonymous().post("/register", &FORM).await);

    let stored = db_column(&app, "SELECT key_digest FROM sessions").await;

    // A signed cookie is a signature of 44 characters, followed by the value.
    let (_, key) = cookie.split_once('=').unwrap();
    let key = &key[key.len() - 43..];
    let digest: String = {
        use sha2::Digest;
        sha2::Sha256::digest(key)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    assert_eq!(stored, [digest]);
}

/// Uses a session, and waits until the database has the time: that is stored in the background.
async fn use_session(app: &TestApp, browser: &Browser) {
    browser.get("/rooms").await.assert_status(200);
    let now = mirage::clock::Clock::now(&*app.clock).0.to_string();
    let latest = "SELECT CAST(MAX(last_seen) AS TEXT) FROM sessions";
    while db_column(app, latest).await != [now.as_str()] {}
}

#[actix_web::test]
async fn a_session_expires_after_thirty_idle_days_unless_it_is_used() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    for _ in 0..3 {
        app.clock.advance(29 * DAY);
        use_session(&app, &ada).await;
    }

    bob.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    app.clock.advance(30 * DAY);
    ada.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    assert!(
        db_column(&app, "SELECT key_digest FROM sessions")
            .await
            .is_empty()
    );
}

#[actix_web::test]
async fn a_session_expires_after_a_year_even_when_it_is_used() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    for _ in 0..18 {
        app.clock.advance(20 * DAY);
        use_session(&app, &ada).await;
    }

    app.clock.advance(5 * DAY);

    ada.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
}

#[actix_web::test]
async fn the_last_use_of_a_session_is_stored_at_most_hourly() {
    let app = TestApp::spawn().await;
    // By each server.
    let ada = app.sign_up("ada").await.at(&app.address);
    let path = "/login";
    ada.get("/rooms").await;
    let uses = async || {
        let before = app.db_statements();
        ada.get("/rooms/private").await.assert_status(200);
        app.db_statements() - before
    };

    assert_eq!(uses().await, 0);
    app.clock.advance(Duration::from_secs(3600));
    let before = app.db_statements();
    ada.get("/rooms/private").await;
    // The write happens in the background and is counted once it is done.
    while app.db_statements() == before {
        tokio::task::yield_now().await;
    }
    let seen = "SELECT CAST(last_seen AS TEXT) FROM sessions";
    let now = mirage::clock::Clock::now(&*app.clock).0.to_string();
    assert_eq!(db_column(&app, seen).await, [now]);
    assert_eq!(uses().await, 0);
    app.anonymous().get(path).await.assert_status(200);
}

#[actix_web::test]
async fn creating_another_account_ends_the_session_of_the_first() {
    let app = TestApp::spawn().await;
    let browser = app.anonymous();
    let first = cookie(&browser.post("/register", &FORM).await);

    browser
        .post("/register", &[("name", "bob"), ("password", PASSWORD)])
        .await
        .assert_status(303);

    get_with(&app, &first, "/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
}

#[actix_web::test]
async fn abandoned_sessions_are_deleted() {
    let app = TestApp::spawn().await;
    app.sign_up("ada").await;
    app.clock.advance(20 * DAY);
    app.sign_up("bob").await;

    app.clock.advance(11 * DAY);
    mirage::services::sessions::delete_expired(&app.core)
        .await
        .unwrap();

    assert_eq!(
        db_column(&app, "SELECT key_digest FROM sessions")
            .await
            .len(),
        1
    );
}

#[actix_web::test]
async fn the_twenty_first_sign_in_ends_the_least_recently_used_session() {
    const MINUTE: Duration = Duration::from_secs(60);
    let app = TestApp::spawn().await;
    let first = app.sign_up("ada").await;
    let room = first.create_public_room("Tea").await;
    let second = app.sign_in("ada", PASSWORD).await;
    let poll = start_poll(&app, &second, room).await;
    let mut others = Vec::new();
    for _ in 2..20 {
        app.clock.advance(MINUTE);
        others.push(app.sign_in("ada", PASSWORD).await);
    }
    if is_cluster() {
        app.clock.advance(60 * MINUTE);
        use_session(&app, &first).await;
    } else {
        // Within an hour of the last use, only memory is updated, which is that of one server.
        first.get("/rooms").await.assert_status(200);
    }

    let newest = app.sign_in("ada", PASSWORD).await;

    assert_eq!(poll.answer().await.status, 401);
    second
        .get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    for browser in others.iter().chain([&first, &newest]) {
        browser.get("/rooms").await.assert_status(200);
    }
    let digests = db_column(&app, "SELECT key_digest FROM sessions").await;
    assert_eq!(digests.len(), 20);
}

#[actix_web::test]
async fn signing_in_again_in_one_of_twenty_browsers_ends_no_other_session() {
    let app = TestApp::spawn().await;
    let mut browsers = vec![app.sign_up("ada").await];
    for _ in 1..20 {
        app.clock.advance(Duration::from_secs(60));
        browsers.push(app.sign_in("ada", PASSWORD).await);
    }

    browsers[19]
        .post("/login", &FORM)
        .await
        .assert_redirect("/");

    for browser in &browsers {
        browser.get("/rooms").await.assert_status(200);
    }
}

#[actix_web::test]
async fn an_expired_session_is_evicted_before_a_live_one() {
    let app = TestApp::spawn().await;
    let mut browsers = vec![app.sign_up("ada").await];
    // The first session is used until it expires, a year after it began.
    for _ in 0..18 {
        app.clock.advance(20 * DAY);
        use_session(&app, &browsers[0]).await;
    }
    for _ in 1..20 {
        browsers.push(app.sign_in("ada", PASSWORD).await);
    }
    app.clock.advance(DAY);
    browsers[0].get("/rooms").await.assert_status(200);
    app.clock.advance(4 * DAY);

    browsers.push(app.sign_in("ada", PASSWORD).await);

    for browser in &browsers[1..] {
        browser.get("/rooms").await.assert_status(200);
    }
    let digests = db_column(&app, "SELECT key_digest FROM sessions").await;
    assert_eq!(digests.len(), 20);
}

#[actix_web::test]
async fn the_session_limit_is_per_account() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    for _ in 0..21 {
        app.clock.advance(Duration::from_secs(60));
        app.sign_in("ada", PASSWORD).await;
    }

    bob.get("/rooms").await.assert_status(200);
    ada.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
}

#[actix_web::test]
async fn signing_up_over_an_ended_session_cookie_issues_a_new_key() {
    let app = TestApp::spawn().await;
    // A cookie that the server has signed, for a session that has ended.
    let ada = app.anonymous();
    let planted = cookie(&ada.post("/register", &FORM).await);
    ada.post("/logout", &[("sign-out", "1")]).await;
    let victim = app.anonymous();

    let bob = [("name", "bob"), ("password", PASSWORD)];
    let request = victim.client.post(victim.url("/register"));
    let request = request.header("cookie", &planted).form(&bob);
    let signed_up = cookie(&Browser::answer(request).await);

    assert_ne!(signed_up, planted);
    get_with(&app, &planted, "/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    let page = get_with(&app, &signed_up, "/rooms").await;
    assert_eq!(page.text("header .sign-out b"), "bob");
}

#[actix_web::test]
async fn cookies_of_other_applications_have_no_effect() {
    let app = TestApp::spawn().await;
    let (own, other) = (cookie_of(&app, "ada").await, cookie_of(&app, "bob").await);
    let (name, signed) = own.split_once('=').unwrap();
    let foreign: [&[u8]; 8] = [
        b"city=M\xfcnchen",
        b"broken",
        b"=nameless",
        b";;; ;",
        b"quoted=\"a;b\"",
        format!("{name}=forged").leak().as_bytes(),
        format!("{name}={}x", &signed[..20]).leak().as_bytes(),
        b"mirage=forged",
    ];
    for foreign in foreign {
        for line in [
            [foreign, b"; ", own.as_bytes()].concat(),
            [own.as_bytes(), b";", foreign].concat(),
            [foreign, b"; ", own.as_bytes(), b"; ", foreign].concat(),
        ] {
            assert_signed_in_as(&app, &[line], "ada").await;
        }
        assert_signed_in_as(&app, &[foreign.to_vec(), own.as_bytes().to_vec()], "ada").await;
        let only_foreign = request(&app, "/account", &[foreign.to_vec()]).await;
        only_foreign.assert_redirect("/login?next=/account");
    }
    // Of two that verify, the first counts.
    let both = format!("{other}; {own}").into_bytes();
    assert_signed_in_as(&app, &[both], "bob").await;
    // The name of earlier versions is still read.
    let earlier = format!("a=b; mirage={signed}").into_bytes();
    assert_signed_in_as(&app, &[earlier], "ada").await;
}

#[actix_web::test]
async fn a_person_with_foreign_cookies_signs_in_and_out() {
    let app = TestApp::spawn().await;
    let _ = app.sign_up("ada").await;
    let form = [("name", "ada"), ("password", PASSWORD)];
    let nobody = app.anonymous();
    let foreign = reqwest::header::HeaderValue::from_bytes(b"city=M\xfcnchen").unwrap();
    let post = async |path: &str, form: &[(&str, &str)], cookie| {
        let request = nobody.client.post(nobody.url(path)).form(form);
        Browser::answer(request.header("cookie", cookie)).await
    };

    let signed_in = post("/login", &form, foreign.clone()).await;

    signed_in.assert_redirect("/");
    let (cookie, _) = signed_in.header("set-cookie").split_once(';').unwrap();
    let both = [foreign.as_bytes(), b"; ", cookie.as_bytes()].concat();
    assert_signed_in_as(&app, std::slice::from_ref(&both), "ada").await;
    let header = reqwest::header::HeaderValue::from_bytes(&both).unwrap();
    let signed_out = post("/logout", &[("sign-out", "1")], header).await;
    assert!(signed_out.header("set-cookie").contains("Max-Age=0"));
    request(&app, "/account", &[both])
        .await
        .assert_redirect("/login?next=/account");
}

#[actix_web::test]
async fn two_servers_on_one_host_have_cookies_of_their_own() {
    let (one, other) = (TestApp::spawn().await, TestApp::spawn().await);
    let (one_cookie, other_cookie) = (cookie_of(&one, "ada").await, cookie_of(&other, "bob").await);

    assert_ne!(one_cookie.split_once('='), other_cookie.split_once('='));
    let both = format!("{one_cookie}; {other_cookie}").into_bytes();
    assert_signed_in_as(&one, std::slice::from_ref(&both), "ada").await;
    assert_signed_in_as(&other, &[both], "bob").await;
}

/// Signs somebody up, and returns the cookie of their browser as it is sent.
async fn cookie_of(app: &TestApp, name: &str) -> String {
    let form = [("name", name), ("password", PASSWORD)];
    let page = app.anonymous().post("/register", &form).await;
    let (cookie, _) = page.header("set-cookie").split_once(';').unwrap();
    cookie.to_owned()
}

/// Asks for a page with these `Cookie` headers.
async fn request(app: &TestApp, path: &str, cookies: &[Vec<u8>]) -> Page {
    let browser = app.anonymous();
    let mut request = browser.client.get(browser.url(path));
    for line in cookies {
        request = request.header("cookie", line.as_slice());
    }
    Browser::answer(request).await
}

async fn assert_signed_in_as(app: &TestApp, cookies: &[Vec<u8>], name: &str) {
    let page = request(app, "/account", cookies).await;
    page.assert_status(200);
    let shown = cookies.iter().map(|line| String::from_utf8_lossy(line));
    let shown: Vec<_> = shown.collect();
    assert_eq!(page.text("header .sign-out b"), name, "{shown:?}");
}

#[actix_web::test]
async fn no_poll_goes_on_waiting_with_a_session_whose_end_nobody_would_tell() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    // As a server does that has lost its link to PostgreSQL.
    let forget_rows = || app.cores().for_each(|core| core.forget_rows());

    let waiting = start_poll(&app, &ada, room).await;
    forget_rows();
    assert_eq!(waiting.answer().await.status, 204);

    let waiting = start_poll(&app, &ada, room).await;
    app.execute("DELETE FROM sessions").await;
    forget_rows();
    assert_eq!(waiting.answer().await.status, 401);
}
