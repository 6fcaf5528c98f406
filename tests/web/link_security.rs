//! Links to PostgreSQL and Redis that are encrypted or need a password, and the warning about those that are neither
//! encrypted nor within one machine.

use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use redis::Value;

use crate::postgres::{PostgresDatabase, certificate_of_localhost};
use crate::program::{Running, program, run};
use crate::redis_server::{RedisServer, connect};
use crate::support::{Browser, PASSWORD, TestApp, start_poll};

const DAY: Duration = Duration::from_secs(86_400);

/// The settings for operators' Redis, with comments.
const SETTINGS: &str = include_str!("../../deploy/cluster/redis.conf");

/// What a program wrote to its standard error before it failed.
#[track_caller]
fn said_on_failure(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[actix_web::test]
async fn a_link_to_redis_with_tls_leads_to_the_right_server_or_nowhere() {
    let (folder, certificate) = certificate_of_localhost();
    let (other_folder, other) = certificate_of_localhost();
    let redis = RedisServer::with_tls(&folder.join("key.pem"), &certificate);
    let files = tempfile::tempdir().unwrap();
    let serve = |host: &str, trusted: &str| {
        let url = format!("--redis-url=rediss://{host}:{}", redis.port());
        let mut command = program(files.path(), &[&url, "--link-timeout=30s"]);
        // Stands for the certificates of the system.
        command.env("SSL_CERT_FILE", trusted);
        command
    };

    // The certificate is for another name, or signed by nobody whom the system trusts.
    for (host, trusted) in [("127.0.0.1", &certificate), ("localhost", &other)] {
        let said = said_on_failure(&serve(host, trusted).output().unwrap());
        assert!(said.contains("cannot use the Redis"), "{said}");
        assert!(said.contains("certificate"), "{said}");
    }

    let running = Running::spawn(serve("localhost", &certificate));
    let ada = &running.browser;
    let form = [("name", "ada"), ("password", PASSWORD)];
    ada.post("/register", &form).await.assert_status(303);
    let room = ada.create_public_room("Tea").await;
    let query = format!("?after={}", ada.cursor(room).await);
    let (poll, sent) = tokio::join!(ada.poll(room, &query), ada.send(room, "hello"));
    sent.assert_status(303);
    assert_eq!(poll.added, ["hello"]);
    assert_eq!(ada.messages(room).await, ["hello"]);
    drop(running);
    for folder in [folder, other_folder] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// A Redis with the settings for operators, these lines, and a user for the test. Returns it with its folder.
fn redis_with(lines: &str) -> (RedisServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis.conf");
    let settings = format!("{SETTINGS}\n{lines}\nuser tester on >test ~* &* +@all\n");
    std::fs::write(&file, settings).unwrap();
    let include = ["--include", &file.display().to_string()];
    (RedisServer::with(&include), folder)
}

/// Asserts that Redis has refused nothing for want of a right.
async fn assert_nothing_was_denied(redis: &RedisServer) {
    let url = format!("redis://tester:test@127.0.0.1:{}", redis.port());
    let mut connection = connect(&url).await;
    let mut log = redis::cmd("ACL");
    let denied: Vec<Value> = log.arg("LOG").query_async(&mut connection).await.unwrap();
    assert!(denied.is_empty(), "{denied:?}");
}

/// Sends, reads and polls. Returns the room's owner, and the room.
async fn talk(app: &TestApp) -> (Browser, i64) {
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    let waiting = start_poll(app, &ada, room).await;
    ada.send(room, "hello").await.assert_status(303);
    assert_eq!(waiting.answer().await.added, ["hello"]);
    assert_eq!(ada.messages(room).await, ["hello"]);
    (ada, room)
}

#[actix_web::test]
async fn the_user_of_the_settings_for_operators_has_every_right_that_mirage_needs() {
    let (_, user) = SETTINGS.split_once("a user of its own: ").unwrap();
    let user = user.lines().next().unwrap().replace("PASSWORD", "s3cret");
    let (redis, _folder) = redis_with(&format!("{user}\nuser default off"));
    let url = format!(
        "--redis-url=redis://mirage:s3cret@127.0.0.1:{}",
        redis.port()
    );
    let app = TestApp::with(&[&url, "--limits=on"]).await;

    let (ada, room) = talk(&app).await;
    let bob = app.sign_up("bob").await;
    bob.join(room).await;
    bob.send(room, "of bob").await.assert_status(303);
    let page = ada.get(&format!("/rooms/{room}?report=1")).await;
    let report = &page.attributes("#log a[aria-label^=Report]", "href")[0];
    ada.post(report, &[("reason", "rude")])
        .await
        .assert_status(303);
    ada.get("/rooms/mine").await.assert_status(200);
    ada.get(&format!("/rooms/{room}/members"))
        .await
        .assert_status(200);
    let own = ada.room(room).await;
    let delete = &own.attributes("#log a[href$='/delete']", "href")[0];
    ada.post(delete, &[("delete", "1")])
        .await
        .assert_status(303);
    let nonce = bob.nonce(room).await;
    bob.post("/logout", &[("sign-out", "1")])
        .await
        .assert_status(303);
    bob.send_with(room, "held", &nonce).await.assert_status(303);
    let form = [("name", "bob"), ("password", PASSWORD)];
    bob.post("/login", &form).await.assert_status(303);
    ada.ban(room, "bob", "crumbs").await;
    let app = app.restart().await;
    let sweep = app.next_sweep();
    app.clock.advance(DAY);
    sweep.done().await;
    ada.post("/account/delete", &[("password", PASSWORD)])
        .await
        .assert_status(303);

    assert_nothing_was_denied(&redis).await;
}

#[actix_web::test]
async fn a_redis_that_asks_for_a_password_is_used_with_the_right_one_alone() {
    let line = SETTINGS.lines().find(|line| line.contains("requirepass"));
    let line = line.unwrap().trim_start_matches('#');
    let (redis, _folder) = redis_with(&line.replace("PASSWORD", "s3cret"));
    let url = |password: &str| {
        let port = redis.port();
        format!("--redis-url=redis://:{password}@127.0.0.1:{port}")
    };

    talk(&TestApp::with(&[&url("s3cret")]).await).await;
    assert_nothing_was_denied(&redis).await;
    let folder = tempfile::tempdir().unwrap();
    let flags = [&url("a-guess"), "--link-timeout=30s"];
    let said = said_on_failure(&run(folder.path(), &flags));
    assert!(said.contains("cannot use the Redis"), "{said}");
    assert!(!said.contains("a-guess"), "{said}");
}

#[actix_web::test]
async fn a_plain_link_to_another_host_is_warned_about() {
    let (database, redis) = (PostgresDatabase::migrated().await, RedisServer::start());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = format!("--bind={}", taken.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let is_warned = |database_host: &str, redis_host: &str| {
        let url = database.url().replace("127.0.0.1", database_host);
        let flags = [
            bind.as_str(),
            &format!("--database-url={url}"),
            &format!("--redis-url=redis://{redis_host}:{}", redis.port()),
            "--link-timeout=30s",
        ];
        // The warnings precede the error about the taken port.
        let said = said_on_failure(&run(folder.path(), &flags));
        assert!(said.contains("listen"), "{said}");
        ["Set sslmode=verify-full", "use rediss://"].map(|advice| said.contains(advice))
    };

    // The last two lead to this machine, but are no loopback addresses. The client of Redis refuses the longer form.
    let hosts = [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0"),
    ];
    let warned = hosts.map(|(database, redis)| is_warned(database, redis));
    assert_eq!(warned, [[false, false], [true, false], [false, true]]);
}
