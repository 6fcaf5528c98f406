//! One server whose messages are in Redis: what outlives a restart, and what happens while Redis is away.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::redis::FromRedisValue;
use mirage::clock::Clock;
use mirage::core::Fault;
use mirage::database::transaction::Decision;
use mirage::live::redis::LinkState;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ports::free_port;
use crate::redis_server;
use crate::support::{Browser, PASSWORD, TestApp, dump, start_poll};

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
        for _ in 0..10 {
            let port = free_port();
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

    /// Limits the server's memory, in bytes; 0 is unlimited.
    async fn set_memory(&self, bytes: &str) {
        self.run::<()>("CONFIG", &["SET", "maxmemory", bytes]).await;
    }

    /// Returns the keys that match a pattern.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        self.run("KEYS", &[pattern]).await
    }

    async fn run<T: FromRedisValue>(&self, command: &str, words: &[&str]) -> T {
        let mut connection = redis_server::connect(&self.url()).await;
        let mut command = ::redis::cmd(command);
        command.arg(words);
        command.query_async(&mut connection).await.unwrap()
    }

    /// Returns the commands that scripts ran meanwhile, as Redis shows them.
    async fn commands_during(&self, work: impl AsyncFnOnce()) -> Vec<String> {
        let monitor = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let mut monitor = tokio::io::BufReader::new(monitor);
        let monitoring = monitor.get_mut().write_all(b"MONITOR\r\n").await;
        monitoring.unwrap();
        let mut lines = monitor.lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
        work().await;
        let end = TcpStream::connect(("127.0.0.1", self.port)).await;
        let ended = end.unwrap().write_all(b"ECHO end-of-work\r\n").await;
        ended.unwrap();
        let mut commands = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("end-of-work") {
                break;
            }
            if line.contains(" lua] ") {
                commands.push(line);
            }
        }
        commands
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

/// Waits until the links of all servers to Redis are in such a state.
pub async fn wait_for(app: &TestApp, is_meant: impl Fn(LinkState) -> bool) {
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
    app.hear_all(room).await;
    let poll = ada.poll(room, &format!("?after={cursor}&wait=0")).await;
    assert_eq!((poll.status, poll.is_reset), (200, false));
    assert_eq!(poll.added, ["again"]);
    app.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(ada.messages(room).await, [""; 0]);
}

#[tokio::test]
async fn what_a_process_did_not_delete_before_it_ended_is_deleted_when_the_next_one_starts() {
    let redis = Redis::start();
    let (app, _, room) = scene(&redis, "30s").await;
    assert_eq!(redis.keys("*:text:*").await.len(), 1);
    // As it is committed by a process that ends before it tells Redis.
    let now = app.clock.now().0;
    let cleared = format!(
        "INSERT INTO changes (origin, kind, subject_id, version, made_at) \
         SELECT (SELECT origin FROM changes LIMIT 1), 'messages-cleared', id, version + 1, {now} \
         FROM rooms WHERE id = {room}"
    );
    app.execute(&cleared).await;

    let _app = app.restart().await;

    let gone = async { while !redis.keys("*:text:*").await.is_empty() {} };
    let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
    gone.expect("the text stays in Redis");
}

#[tokio::test]
async fn without_redis_nothing_is_sent_or_shown_and_the_text_is_kept() {
    let mut redis = Redis::start();
    let (app, ada, room) = scene(&redis, "2s").await;
    let olga = app.operator("olga").await;
    let nonce = ada.nonce(room).await;
    let waiting = start_poll(&app, &ada, room).await;

    redis.kill();
    wait_for(&app, |state| state == LinkState::Down).await;

    assert_eq!(waiting.answer().await.status, 503);
    assert_eq!(ada.poll(room, "?wait=0").await.status, 503);
    let members = format!("/rooms/{room}/members");
    let moderating = format!("/rooms/{room}?moderate=1");
    for path in ["/rooms", "/rooms/mine", &members, &moderating, "/healthz"] {
        let page = ada.get(path).await;
        assert_eq!(page.status, 503, "{path}");
    }
    ada.room(room).await.assert_status(503);
    olga.get("/site/reports").await.assert_status(503);
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
    let (app, ada, tea) = scene(&redis, "2s").await;
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

#[actix_web::test]
async fn without_redis_no_right_is_given_or_taken_away() {
    let mut redis = Redis::start();
    let (app, ada, room) = scene(&redis, "2s").await;
    let bob = app.sign_up("bob").await;
    bob.join(room).await;
    let id = ada.member_id(room, "bob").await;
    let members = ada.members(room).await;
    let database = app.core.database.connections();
    let before = dump(database).await;

    redis.kill();
    wait_for(&app, |state| state == LinkState::Down).await;
    for (action, form) in [
        ("role", ("role", "moderator")),
        ("owner", ("confirm", "1")),
        ("remove", ("confirm", "1")),
        ("ban", ("reason", "crumbs")),
    ] {
        let path = format!("/rooms/{room}/members/{id}/{action}");
        let refused = ada.post(&path, &[form]).await;
        assert_eq!(refused.status, 503, "{action}");
        assert_eq!(dump(database).await, before, "{action}");
    }
    let path = format!("/rooms/{room}/leave");
    bob.post(&path, &[("leave", "1")]).await.assert_status(503);
    assert_eq!(dump(database).await, before, "leave");
    // Whatever is changed, no transaction begins.
    let begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    let refused = app.core.change(async move |_| {
        begins.store(true, Ordering::SeqCst);
        Ok(Decision::RollBack(()))
    });
    assert!(matches!(refused.await, Err(Fault::Redis(_))));
    assert!(!begun.load(Ordering::SeqCst));

    redis.start_again();
    wait_for(&app, |state| state != LinkState::Down).await;
    bob.send(room, "still here").await.assert_status(303);
    assert_eq!(ada.members(room).await, members);
}

#[tokio::test]
async fn a_shorter_lifespan_acts_at_once_in_a_full_redis_and_its_texts_go_when_there_is_room() {
    let redis = Redis::start();
    // The answer to a change that is not told takes twice as long.
    let (app, ada, room) = scene(&redis, "5s").await;
    app.clock.advance(20 * MINUTE);

    // A full Redis shortens messages, but does not note when the room must be swept.
    redis.set_memory("1").await;
    let settings = [
        ("name", "Tea"),
        ("description", ""),
        ("lifespan", "1800"),
        ("slow-mode", "0"),
        ("language", ""),
        ("posting", "everyone"),
    ];
    let path = format!("/rooms/{room}/settings");
    ada.post(&path, &settings).await.assert_status(303);
    assert_eq!(ada.messages(room).await, ["hello"]);
    app.clock.advance(20 * MINUTE);
    assert_eq!(ada.messages(room).await, [""; 0]);

    redis.set_memory("0").await;
    let gone = async { while !redis.keys("*:text:*").await.is_empty() {} };
    let gone = tokio::time::timeout(Duration::from_secs(60), gone).await;
    gone.expect("the text stays in Redis");
}

#[tokio::test]
async fn a_message_that_a_full_redis_refuses_is_not_posted_in_a_full_room() {
    let redis = Redis::start();
    let url = format!("--redis-url={}", redis.url());
    let flags = [url.as_str(), "--link-timeout=30s", "--max-messages=2"];
    let app = TestApp::with(&flags).await;
    let ada = app.sign_up("ada").await;
    let room = ada.create_public_room("Tea").await;
    for text in ["one", "two"] {
        ada.send(room, text).await.assert_status(303);
    }
    let nonce = ada.nonce(room).await;

    redis.set_memory("1").await;
    let refused = ada.send_with(room, "three", &nonce).await;
    refused.assert_status(503);
    assert_eq!(refused.text("textarea"), "three");
    assert_eq!(ada.messages(room).await, ["one", "two"]);

    redis.set_memory("0").await;
    let sent = ada.send_with(room, "three", &nonce).await;
    sent.assert_status(303);
    assert_eq!(ada.messages(room).await, ["two", "three"]);
}

#[tokio::test]
async fn a_text_is_gone_from_redis_within_ten_seconds_of_its_deadline_whoever_follows_the_room_or_nobody()
 {
    let redis = Redis::start();
    let (mut app, ada, room) = scene(&redis, "30s").await;
    for is_followed in [true, false] {
        if is_followed {
            assert_eq!(ada.messages(room).await, ["hello"]);
        } else {
            ada.send(room, "again").await.assert_status(303);
            app = app.restart().await;
        }
        assert_eq!(redis.keys("*:text:*").await.len(), 1);

        app.clock.advance(Duration::from_secs(24 * 3600));

        let gone = async {
            while !redis.keys("*:text:*").await.is_empty() {
                app.next_sweep().done().await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
        gone.unwrap_or_else(|_| panic!("followed: {is_followed}"));
    }
}

#[tokio::test]
async fn the_messages_of_a_deleted_account_go_after_nobody_can_add_one() {
    let redis = Redis::start();
    let (app, _ada, room) = scene(&redis, "30s").await;
    let bob = app.sign_up("bob").await;
    bob.join(room).await;
    bob.send(room, "bye").await.assert_status(303);

    let asked = redis
        .commands_during(async || {
            let deleted = bob.post("/account/delete", &[("password", PASSWORD)]);
            deleted.await.assert_status(303);
        })
        .await;

    // The version of the room, and the messages by their author.
    let has = |line: &String, words: [&str; 2]| words.iter().all(|word| line.contains(word));
    let is_told = |line: &String| has(line, ["\"HSET\"", "\"told\" \"1\""]);
    let are_deleted = |line: &String| has(line, ["\"ZRANGEBYLEX\"", ":authors\""]);
    // It is told once more, when the change feed is heard.
    let told = asked.iter().position(is_told).unwrap();
    let deleted = asked.iter().position(are_deleted).unwrap();
    assert!(told < deleted, "{asked:#?}");
}
