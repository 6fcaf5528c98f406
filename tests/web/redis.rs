//! One server whose messages are in Redis: what outlives a restart, and what happens while Redis is away.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mirage::live::redis::LinkState;
use tempfile::TempDir;

use crate::support::{Browser, TestApp, start_poll};

const MINUTE: Duration = Duration::from_secs(60);

/// A real `redis-server`, which is killed when this value is dropped.
pub struct Redis {
    port: u16,
    folder: TempDir,
    server: Child,
    log: Arc<Mutex<String>>,
}

impl Redis {
    pub fn start() -> Self {
        let (folder, log) = (tempfile::tempdir().unwrap(), Arc::default());
        // Another process may take a free port before the server does.
        for _ in 0..10 {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            if let Some(server) = spawn(port, &folder, &log) {
                return Self {
                    port,
                    folder,
                    server,
                    log,
                };
            }
        }
        panic!("redis-server does not start");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The process ID.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// The folder to which it would write, if it wrote anything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.server = spawn(self.port, &self.folder, &self.log).unwrap();
    }

    async fn serve(&self, timeout: &str) -> TestApp {
        let url = format!("--redis-url={}", self.url());
        TestApp::with(&[&url, &format!("--link-timeout={timeout}")]).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Starts a server, and returns it when it accepts connections.
fn spawn(port: u16, folder: &TempDir, log: &Arc<Mutex<String>>) -> Option<Child> {
    let mut server = Command::new("redis-server")
        .args(["--port", &port.to_string()])
        .args(["--bind", "127.0.0.1", "--logfile", ""])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--slowlog-log-slower-than", "-1"])
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let is_ready = lines.any(|line| line.contains("Ready to accept connections"));
    if is_ready {
        let log = Arc::clone(log);
        std::thread::spawn(move || lines.for_each(|line| log.lock().unwrap().push_str(&line)));
        return Some(server);
    }
    server.wait().unwrap();
    None
}

async fn wait_for(app: &TestApp, is_meant: impl Fn(LinkState) -> bool) {
    for core in app.cores() {
        let mut states = core.redis.as_ref().unwrap().states();
        states.wait_for(|state| is_meant(*state)).await.unwrap();
    }
}

/// A server with a room that has one message.
async fn scene(redis: &Redis, timeout: &str) -> (TestApp, Browser, i64) {
    let app = redis.serve(timeout).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    ada.send(room, "hello").await;
    (app, ada, room)
}

#[tokio::test]
async fn messages_in_redis_outlive_a_restart_and_pages_go_on_without_a_reset() {
    let redis = Redis::start();
    let (app, ada, room) = scene(&redis, "30s").await;
    let cursor = ada.cursor(room).await;

    let app = app.restart().await;

    assert_eq!(ada.messages(room).await, ["hello"]);
    ada.send(room, "again").await;
    let poll = ada.poll(room, &format!("?after={cursor}&wait=0")).await;
    assert_eq!((poll.status, poll.is_reset), (200, false));
    assert_eq!(poll.added, ["again"]);
    app.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(ada.messages(room).await, [""; 0]);
}

#[tokio::test]
async fn without_redis_nothing_is_sent_or_shown_and_the_text_is_kept() {
    let mut redis = Redis::start();
    let (app, ada, room) = scene(&redis, "500ms").await;
    let nonce = ada.nonce(room).await;
    let waiting = start_poll(&app, &ada, room).await;

    redis.kill();
    wait_for(&app, |state| state == LinkState::Down).await;

    assert_eq!(waiting.answer().await.status, 503);
    assert_eq!(ada.poll(room, "?wait=0").await.status, 503);
    ada.room(room).await.assert_status(503);
    ada.get("/healthz").await.assert_status(503);
    let refused = ada.send_with(room, "kept", &nonce).await;
    refused.assert_status(503);
    assert_eq!(refused.text("textarea"), "kept");

    redis.start_again();
    wait_for(&app, |state| state != LinkState::Down).await;
    ada.get("/healthz").await.assert_status(200);
    assert_eq!(ada.messages(room).await, [""; 0], "Redis has forgotten");
    ada.send_with(room, "kept", &nonce).await.assert_status(303);
    assert_eq!(ada.messages(room).await, ["kept"]);
}

#[tokio::test]
async fn a_room_says_since_when_it_remembers_after_redis_lost_its_memory_and_not_before() {
    let mut redis = Redis::start();
    let (app, ada, tea) = scene(&redis, "500ms").await;
    app.clock.advance(MINUTE);
    let app = app.restart().await;
    let page = ada.room(tea).await;
    assert_eq!(page.texts("#log .text"), ["hello"]);
    assert!(!page.has("#lost"), "nothing is lost");

    redis.kill();
    wait_for(&app, |state| state == LinkState::Down).await;
    app.clock.advance(MINUTE);
    redis.start_again();
    wait_for(&app, |state| state != LinkState::Down).await;

    let says =
        "The server has restarted. Messages sent before 22 November 2026 13:07 UTC are gone.";
    assert_eq!(ada.room(tea).await.text("#lost"), says);
    app.clock.advance(MINUTE);
    let cake = ada.create_public_room("Cake").await;
    assert!(!ada.room(cake).await.has("#lost"));
    // The time is kept where the messages are.
    let app = app.restart().await;
    assert_eq!(ada.room(tea).await.text("#lost"), says);
    app.clock.advance(24 * 60 * MINUTE);
    assert!(!ada.room(tea).await.has("#lost"));
}

#[tokio::test]
async fn without_redis_no_role_changes() {
    let mut redis = Redis::start();
    let (app, ada, room) = scene(&redis, "500ms").await;
    let bob = app.sign_up("bob").await;
    bob.join(room).await;
    let id = ada.member_id(room, "bob").await;

    redis.kill();
    wait_for(&app, |state| state == LinkState::Down).await;
    let path = format!("/rooms/{room}/members/{id}/role");
    ada.post(&path, &[("role", "moderator")])
        .await
        .assert_status(503);

    redis.start_again();
    wait_for(&app, |state| state != LinkState::Down).await;
    bob.send(room, "still here").await.assert_status(303);
}
