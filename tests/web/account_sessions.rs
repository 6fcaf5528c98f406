use std::time::Duration;

use reqwest::header::USER_AGENT;

use crate::support::{Browser, PASSWORD, TestApp, is_cluster, start_poll_from};

const AT: &str = "/account/sessions";
const END: [(&str, &str); 1] = [("end", "1")];
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1";
const MINUTE: Duration = Duration::from_secs(60);

/// Signs in with a browser that sends this `User-Agent`.
async fn sign_in_as(app: &TestApp, name: &str, user_agent: &str) -> Browser {
    let browser = app.anonymous();
    let form = [("name", name), ("password", PASSWORD)];
    let request = browser.client.post(browser.url("/login")).form(&form);
    let request = request.header(USER_AGENT, user_agent);
    Browser::answer(request).await.assert_redirect("/");
    browser
}

/// The action of the form whose button begins with `button`.
async fn form_for(browser: &Browser, button: &str) -> String {
    let page = browser.get(AT).await;
    let buttons = page.texts(".sessions button");
    let number = buttons.iter().position(|text| text.starts_with(button));
    let number = number.unwrap_or_else(|| panic!("{button} is none of {buttons:?}"));
    page.attributes(".sessions form", "action")[number].clone()
}

#[actix_web::test]
async fn a_single_session_is_listed_as_this_browser_without_a_button() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;

    let page = ada.get(AT).await;

    assert_eq!(
        page.texts(".sessions li"),
        [
            "Unknown browser (this browser) Signed in 22 November 2026 13:05 UTC. \
             Last used 22 November 2026 13:05 UTC."
        ]
    );
    assert!(!page.has("main button"));
}

#[actix_web::test]
async fn sessions_are_listed_with_browser_and_times_newest_first() {
    let app = TestApp::spawn().await;
    app.sign_up("bob").await;
    let ada = app.sign_up("ada").await;
    app.clock.advance(MINUTE);
    let phone = sign_in_as(&app, "ada", IPHONE).await;
    app.clock.advance(MINUTE);
    sign_in_as(&app, "ada", FIREFOX).await;
    app.clock.advance(MINUTE);
    // A second use within the hour is kept in memory only, not in the database. Two servers show what the database has.
    phone.get("/rooms").await.assert_status(200);
    let used = if is_cluster() { 6 } else { 8 };
    app.clock.advance(MINUTE);

    let page = ada.get(AT).await;

    assert_eq!(
        page.texts(".sessions h2"),
        [
            "Firefox on Linux",
            "Safari on iPhone",
            "Unknown browser (this browser)"
        ]
    );
    let times = [(7, 7), (6, used), (5, 9)].map(|(signed_in, used)| {
        format!(
            "Signed in 22 November 2026 13:0{signed_in} UTC. Last used 22 November 2026 13:0{used} UTC."
        )
    });
    assert_eq!(page.texts(".sessions p"), times);
    assert_eq!(
        page.attributes(".sessions time", "datetime")[2..4],
        [6, used].map(|minute| format!("2026-11-22T13:0{minute}:00.000Z"))
    );
    assert_eq!(
        page.texts(".sessions button"),
        [
            "Sign out Firefox on Linux (signed in 22 November 2026 13:07 UTC)",
            "Sign out Safari on iPhone (signed in 22 November 2026 13:06 UTC)"
        ]
    );
}

#[actix_web::test]
async fn identical_sessions_have_distinct_button_names() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    app.clock.advance(MINUTE);
    for _ in 0..3 {
        sign_in_as(&app, "ada", FIREFOX).await;
    }

    let button = "Sign out Firefox on Linux (signed in 22 November 2026 13:06 UTC";
    assert_eq!(
        ada.get(AT).await.texts(".sessions button"),
        [
            format!("{button})"),
            format!("{button}, number 2)"),
            format!("{button}, number 3)")
        ]
    );
}

#[actix_web::test]
async fn an_expired_session_is_not_listed() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    sign_in_as(&app, "ada", FIREFOX).await;
    app.clock.advance(29 * 24 * 60 * MINUTE);
    ada.get("/rooms").await.assert_status(200);
    app.clock.advance(24 * 60 * MINUTE);

    assert_eq!(ada.get(AT).await.texts(".sessions li").len(), 1);
}

#[actix_web::test]
async fn ending_a_session_from_another_browser_ends_its_waiting_poll() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let (lost, kept) = (
        sign_in_as(&app, "ada", IPHONE).await,
        sign_in_as(&app, "ada", FIREFOX).await,
    );
    let cursor = lost.cursor(room).await;
    let waiting = start_poll_from(&app, &lost, room, &cursor).await;
    let address = form_for(&ada, "Sign out Safari on iPhone").await;

    ada.post(&address, &END)
        .await
        .assert_redirect("/account/sessions?done=ended");

    let poll = waiting.answer().await;
    assert_eq!((poll.status, poll.page.body.as_str()), (401, ""));
    lost.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    kept.get("/rooms").await.assert_status(200);
    let page = ada.get("/account/sessions?done=ended").await;
    assert_eq!(page.text(".done"), "Browser signed out.");
    assert!(page.text("title").starts_with("Browser signed out – "));
    assert_eq!(page.texts(".sessions li").len(), 2);
    // A second click on the same page succeeds, too.
    ada.post(&address, &END)
        .await
        .assert_redirect("/account/sessions?done=ended");
}

#[actix_web::test]
async fn an_ended_session_stays_ended_after_a_restart() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let lost = sign_in_as(&app, "ada", IPHONE).await;
    let app = app.restart().await;

    // The other browser has sent nothing since the restart, so its session is only in the database.
    let address = form_for(&ada, "Sign out Safari on iPhone").await;
    ada.post(&address, &END).await.assert_status(303);

    lost.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    drop(app);
}

#[actix_web::test]
async fn ending_the_session_of_this_browser_signs_it_out() {
    let app = TestApp::spawn().await;
    let ada = app.sign_up("ada").await;
    let other = sign_in_as(&app, "ada", IPHONE).await;
    let address = form_for(&other, "Sign out Unknown browser").await;

    let page = ada.post(&address, &END).await;

    page.assert_redirect("/login?done=signed-out");
    assert!(page.header("set-cookie").contains("Max-Age=0"));
    ada.get("/rooms")
        .await
        .assert_redirect("/login?next=/rooms");
    other.get("/rooms").await.assert_status(200);
}

#[actix_web::test]
async fn another_accounts_session_looks_like_a_missing_one() {
    let app = TestApp::spawn().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    sign_in_as(&app, "ada", IPHONE).await;
    let of_ada = form_for(&ada, "Sign out Safari on iPhone").await;
    // Each server holds what it has read.
    let eve = eve.at(&app.address);
    // The first request of a session loads the session from the database.
    eve.get(AT).await.assert_status(200);
    let end = async |address: &str| {
        let before = app.db_statements();
        let mut page = eve.post(address, &END).await;
        page.headers.remove("date");
        (page, app.db_statements() - before)
    };

    let answer = end(&of_ada).await;

    let nobodys = of_ada.replace(['0', '1'], "2");
    assert_ne!(nobodys, of_ada);
    assert_eq!(answer, end(&nobodys).await);
    for garbled in ["/account/sessions/x/end", "/account/sessions/%00/end"] {
        assert_eq!(answer.0, end(garbled).await.0);
    }
    assert_eq!(ada.get(AT).await.texts(".sessions li").len(), 2);
    assert_eq!(eve.get(AT).await.texts(".sessions li").len(), 1);
}

#[actix_web::test]
async fn signing_out_everywhere_else_keeps_this_browser_and_other_accounts_signed_in() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    let others = [
        sign_in_as(&app, "ada", IPHONE).await,
        sign_in_as(&app, "ada", FIREFOX).await,
    ];
    let mut waiting = Vec::new();
    for other in &others {
        let cursor = other.cursor(room).await;
        waiting.push(start_poll_from(&app, other, room, &cursor).await);
    }

    ada.post("/account/sessions/end-others", &END)
        .await
        .assert_redirect("/account/sessions?done=others-ended");

    for poll in waiting {
        let poll = poll.answer().await;
        assert_eq!(poll.status, 401);
    }
    for other in &others {
        other
            .get("/rooms")
            .await
            .assert_redirect("/login?next=/rooms");
    }
    bob.get("/rooms").await.assert_status(200);
    let page = ada.get("/account/sessions?done=others-ended").await;
    assert_eq!(page.text(".done"), "Signed out everywhere else.");
    assert!(
        page.text("title")
            .starts_with("Signed out everywhere else – ")
    );
    assert_eq!(page.texts(".sessions li").len(), 1);
    assert!(!page.has("main button"));
}
