//! Shutdown while many polls wait.

use std::fmt::Write;
use std::time::Duration;

use mirage::clock::Stopwatch;
use mirage::security::secret::Secret;
use mirage::security::tokens::Token;
use mirage::web::cookie::CookieConfig;
use tokio::task::JoinSet;

use crate::support::{START, TestApp};

/// How many polls wait, and how many of them belong to one browser.
const POLLS: usize = 1_000;
const POLLS_PER_BROWSER: usize = 4;

/// Inserts sessions for this many browsers and returns their cookies. Real sign-ins would take minutes.
async fn add_sessions(app: &TestApp, name: &str, browsers: usize) -> Vec<String> {
    let secret = Secret::load_or_create(&app.core.config.secret_file).unwrap();
    let cookie = CookieConfig::new(&secret, false);
    let person = app.user_id(name).await;
    let mut rows = String::new();
    let mut cookies = Vec::new();
    for number in 0..browsers {
        let token = Token::received(format!("browser-{number}"));
        let digest = token.digest().to_hex();
        let comma = if number == 0 { "" } else { "," };
        write!(
            rows,
            "{comma}('{digest}', {person}, {}, {}, '')",
            START.0, START.0
        )
        .unwrap();
        cookies.push(cookie.header(&token));
    }
    app.execute(&format!(
        "INSERT INTO sessions (key_digest, user_id, created_at, last_seen, user_agent) VALUES {rows}"
    ))
    .await;
    cookies
}

#[actix_web::test]
async fn a_thousand_waiting_polls_are_answered_on_shutdown() {
    let app = TestApp::with(&["--poll-wait=2min", "--head-timeout=1min"]).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let cookies = add_sessions(&app, "ada", POLLS / POLLS_PER_BROWSER).await;
    let client = reqwest::Client::new();
    let path = format!("/rooms/{room}/poll?after={cursor}");
    let mut polls = JoinSet::new();
    for number in 0..POLLS {
        let cookie = &cookies[number / POLLS_PER_BROWSER];
        let request = client.get(ada.url(&path)).header("cookie", cookie);
        polls.spawn(async move { request.send().await.unwrap().status() });
    }
    while app.waiting_polls(room) < POLLS {
        let ended = polls.try_join_next();
        assert!(ended.is_none(), "a poll ended early: {ended:?}");
        tokio::task::yield_now().await;
    }

    let watch = Stopwatch::start();
    let stopped = tokio::spawn(async move {
        app.stop().await;
        watch.elapsed()
    });
    let mut answered = Duration::ZERO;
    while let Some(status) = polls.join_next().await {
        assert_eq!(status.unwrap(), 204);
        answered = watch.elapsed();
    }
    let stopped = stopped.await.unwrap();

    // A poll that had no answer when the server stopped would have failed.
    eprintln!("{POLLS} polls answered in {answered:?}, stopped in {stopped:?}");
}
