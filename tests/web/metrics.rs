//! Metrics for Prometheus: what a scrape has, and what it must not have.

use std::collections::BTreeSet;
use std::path::Path;

use crate::program::Running;
use crate::redis_server::RedisServer;
use crate::support::{Browser, PASSWORD};

/// Starts a server with metrics, and returns it with their URL.
fn start(folder: &Path, flags: &[&str]) -> (Running, String) {
    let running = Running::start(folder, &[&["--metrics-bind=127.0.0.1:0"], flags].concat());
    let url = format!("http://{}/metrics", running.metrics.as_ref().unwrap());
    (running, url)
}

async fn scrape(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.text().await.unwrap()
}

/// The value of a sample, by its name and labels as they are written.
#[track_caller]
fn value(text: &str, sample: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{sample} ")));
    let line = line.unwrap_or_else(|| panic!("{sample} is missing from\n{text}"));
    line.parse().unwrap()
}

/// A site on which people sign up, talk, and are refused, and its metrics.
async fn lively_site() -> (String, tempfile::TempDir, Running, String) {
    lively_site_with(&[]).await
}

async fn lively_site_with(flags: &[&str]) -> (String, tempfile::TempDir, Running, String) {
    let folder = tempfile::tempdir().unwrap();
    let (running, url) = start(
        folder.path(),
        &[&["--max-messages=2", "--limit-sign-in=10+1/1h"], flags].concat(),
    );
    let ada = running.browser.clone();
    let form = [("name", "ada"), ("password", PASSWORD)];
    ada.post("/register", &form).await.assert_status(303);
    let room = ada.create_private_room("A needle in the haystack").await;
    for text in ["one", "two", "three"] {
        ada.send(room, text).await.assert_status(303);
    }
    let stranger = Browser::new(&ada.address);
    for _ in 0..11 {
        let wrong = [("name", "ada"), ("password", "not the password")];
        stranger.post("/login", &wrong).await;
    }
    let text = scrape(&url).await;
    (text, folder, running, url)
}

#[actix_web::test]
async fn a_scrape_counts_what_people_did() {
    let (text, _folder, running, _) = lively_site().await;

    for (sample, expected) in [
        (
            r#"mirage_http_requests_total{route="/register",method="POST",status="303"}"#,
            1.0,
        ),
        (
            r#"mirage_http_requests_total{route="/rooms/{room}/messages",method="POST",status="303"}"#,
            3.0,
        ),
        (
            r#"mirage_http_requests_total{route="/login",method="POST",status="422"}"#,
            10.0,
        ),
        (
            r#"mirage_http_requests_total{route="/login",method="POST",status="429"}"#,
            1.0,
        ),
        (
            r#"mirage_http_request_duration_seconds_count{route="/login",method="POST"}"#,
            11.0,
        ),
        ("mirage_messages_added_total", 3.0),
        ("mirage_messages_evicted_total", 1.0),
        ("mirage_messages_expired_total", 0.0),
        ("mirage_messages", 2.0),
        ("mirage_rooms_in_memory", 1.0),
        ("mirage_members_in_memory", 1.0),
        ("mirage_sessions_in_memory", 1.0),
        ("mirage_polls_waiting", 0.0),
        (r#"mirage_rate_limit_refusals_total{limit="sign-in"}"#, 1.0),
        (r#"mirage_rate_limit_refusals_total{limit="links"}"#, 0.0),
        ("mirage_password_hashes_running", 0.0),
        ("mirage_password_hashes_waiting", 0.0),
        ("mirage_password_hashes_refused_total", 0.0),
        ("mirage_connections_refused_total", 0.0),
        (r#"mirage_connections_timed_out_total{step="body"}"#, 0.0),
    ] {
        assert_eq!(value(&text, sample), expected, "{sample} in\n{text}");
    }
    for sample in [
        "mirage_message_bytes",
        "mirage_message_added_bytes_total",
        "mirage_message_evicted_bytes_total",
        "mirage_password_hashes_total",
        "mirage_database_statements_total",
        "mirage_database_statement_seconds_total",
        "mirage_connections_open",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_cpu_seconds_total",
    ] {
        assert!(value(&text, sample) > 0.0, "{sample}");
    }
    assert!(value(&text, "mirage_change_feed_lag_seconds") < 60.0);
    running.stop("-TERM");
}

#[actix_web::test]
async fn no_metric_names_a_person_or_a_room_or_grows_with_them() {
    let (before, _folder, running, url) = lively_site().await;
    let bob = Browser::new(&running.browser.address);
    let form = [("name", "bob"), ("password", PASSWORD)];
    bob.post("/register", &form).await.assert_status(303);
    let room = bob.create_private_room("Another needle").await;
    bob.send(room, "hello").await.assert_status(303);
    bob.get("/nowhere/at/all").await.assert_status(404);
    bob.get("/nowhere/else").await.assert_status(404);

    let after = scrape(&url).await;

    for name in ["needle", "haystack", "ada", "bob", "nowhere"] {
        assert!(!after.contains(name), "{name} in\n{after}");
    }
    let samples = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect()
    };
    let (before, after) = (samples(&before), samples(&after));
    let new: Vec<_> = after.difference(&before).collect();
    assert!(
        new.iter().all(|sample| sample.contains(r#"route="none""#)),
        "{new:?}"
    );
    running.stop("-TERM");
}

#[actix_web::test]
async fn metrics_have_a_listener_of_their_own_and_are_off_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (running, url) = start(folder.path(), &[]);
    running.browser.get("/metrics").await.assert_status(404);
    let other = reqwest::get(url.replace("/metrics", "/")).await.unwrap();
    assert_eq!(other.status(), 404, "no page of the site is there");
    running.stop("-TERM");

    let quiet = Running::start(folder.path(), &[]);
    quiet.browser.get("/metrics").await.assert_status(404);
    let (_, log) = quiet.stop("-TERM");
    assert!(!log.contains("metrics"), "{log}");
}

#[actix_web::test]
async fn a_waiting_poll_is_counted_while_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (running, url) = start(folder.path(), &[]);
    let ada = running.browser.clone();
    let form = [("name", "ada"), ("password", PASSWORD)];
    ada.post("/register", &form).await.assert_status(303);
    let room = ada.create_public_room("Tea").await;
    let cursor = ada.cursor(room).await;
    let poll = {
        let ada = ada.clone();
        tokio::spawn(async move { ada.poll(room, &format!("?after={cursor}")).await })
    };

    while value(&scrape(&url).await, "mirage_polls_waiting") == 0.0 {
        assert!(!poll.is_finished(), "the poll did not wait");
    }
    ada.send(room, "hello").await.assert_status(303);

    assert_eq!(poll.await.unwrap().status, 200);
    assert_eq!(value(&scrape(&url).await, "mirage_polls_waiting"), 0.0);
    running.stop("-TERM");
}

#[actix_web::test]
async fn round_trips_to_redis_are_counted_with_their_time_and_errors() {
    let mut redis = RedisServer::start();
    let flags = [&*redis.flag(), "--link-timeout=5s"];
    let (text, _folder, running, url) = lively_site_with(&flags).await;
    let name = "mirage_redis_round_trip_duration_seconds";

    assert_eq!(value(&text, "mirage_redis_up"), 1.0);
    // Each of the sign-ups, messages and attempts to sign in is counted towards a limit there.
    let trips = value(&text, &format!("{name}_count"));
    assert!(trips > 10.0, "{trips}");
    assert!(value(&text, &format!("{name}_sum")) > 0.0);
    assert_eq!(
        value(&text, &format!(r#"{name}_bucket{{le="+Inf"}}"#)),
        trips
    );
    for reason in ["unanswered", "refused", "unsent"] {
        let sample = format!(r#"mirage_redis_errors_total{{reason="{reason}"}}"#);
        assert_eq!(value(&text, &sample), 0.0, "{sample}");
    }

    redis.kill();
    let stranger = Browser::new(&running.browser.address);
    let form = [("name", "ada"), ("password", PASSWORD)];
    while stranger.post("/login", &form).await.status != 503 {}

    let text = scrape(&url).await;
    assert_eq!(value(&text, "mirage_redis_up"), 0.0);
    let errors = |reason: &str| {
        value(
            &text,
            &format!(r#"mirage_redis_errors_total{{reason="{reason}"}}"#),
        )
    };
    assert!(errors("unanswered") + errors("unsent") >= 1.0, "{text}");
    running.stop("-TERM");
}

#[actix_web::test]
async fn a_server_without_redis_has_no_metrics_of_it() {
    let (text, _folder, running, _) = lively_site().await;
    running.stop("-TERM");

    assert!(!text.contains("redis"), "{text}");
}

/// The metrics that a file names.
fn named_in(file: &str) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(file).unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| word.starts_with("mirage_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[actix_web::test]
async fn every_metric_of_the_dashboard_and_the_alerts_is_in_a_scrape() {
    let redis = RedisServer::start();
    let (text, _folder, running, _) =
        lively_site_with(&[&redis.flag(), "--link-timeout=30s"]).await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let scraped: BTreeSet<_> = lines
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();

    for file in ["deploy/dashboard.json", "deploy/alerts.yml"] {
        let named = named_in(file);

        assert!(named.len() > 5, "{named:?}");
        for name in named {
            assert!(scraped.contains(name.as_str()), "{name} in {file}");
        }
    }
    running.stop("-TERM");
}

#[actix_web::test]
async fn a_scrape_follows_the_conventions_of_prometheus() {
    let redis = RedisServer::start();
    let (text, _folder, running, _) =
        lively_site_with(&[&redis.flag(), "--link-timeout=30s"]).await;
    running.stop("-TERM");

    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let [_, _, name, kind] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        let is_ours = name.starts_with("mirage_") || name.starts_with("process_");
        assert!(
            is_ours && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{name}"
        );
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
}
