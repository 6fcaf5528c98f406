//! A service manager runs the server, as systemd does: it is told when the server is ready, alive and stopping, and it
//! holds the socket across restarts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, Statement};

use crate::program::{Running, program};
use crate::support::{Browser, PASSWORD};

/// How many restarts there are under load.
const RESTARTS: usize = 4;
/// How many clients load the server, each with one request after the other.
const CLIENTS: usize = 6;
/// How many answers come between two restarts, at least.
const ANSWERS_BETWEEN: usize = 60;

/// The socket on which the service manager listens for the server.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        // The test fails then, and does not hang.
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self { socket, path }
    }

    fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Waits for this word, past those that say that the server is alive.
    fn wait_for(&self, word: &str) {
        loop {
            let next = self.next();
            if next == format!("{word}\n") {
                return;
            }
            assert_eq!(next, "WATCHDOG=1\n", "before {word}");
        }
    }
}

/// The command of a server that takes over this socket, as file 3, which is where systemd passes it.
fn activated(folder: &Path, socket: &TcpListener, flags: &[&str]) -> Command {
    let plain = program(folder, flags);
    let take_over = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(take_over)
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(folder)
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    command
}

#[test]
fn the_service_manager_is_told_when_the_server_is_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::new(folder.path());
    let mut command = program(folder.path(), &[]);
    command
        .env("NOTIFY_SOCKET", &manager.path)
        .env("WATCHDOG_USEC", "20000");

    let running = Running::spawn(command);
    manager.wait_for("READY=1");
    let mut stream = TcpStream::connect(&running.browser.address).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    let stopping = std::thread::spawn(move || running.stop("-TERM"));
    manager.wait_for("STOPPING=1");

    assert_eq!(stopping.join().unwrap().0, Some(0));
}

#[test]
fn without_a_watchdog_the_server_says_only_that_it_is_ready_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::new(folder.path());
    let mut command = program(folder.path(), &[]);
    command.env("NOTIFY_SOCKET", &manager.path);

    let (code, _) = Running::spawn(command).stop("-TERM");

    assert_eq!(code, Some(0));
    assert_eq!(manager.next(), "READY=1\n");
    assert_eq!(manager.next(), "STOPPING=1\n");
}

#[test]
fn a_service_manager_that_is_away_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path(), &[]);
    command.env("NOTIFY_SOCKET", folder.path().join("nobody"));

    let (code, log) = Running::spawn(command).stop("-TERM");

    assert_eq!(code, Some(0));
    assert!(log.contains("cannot notify the service manager"), "{log}");
}

/// What the clients have been answered.
#[derive(Default)]
struct Load {
    answers: AtomicUsize,
    is_over: AtomicBool,
}

/// Signs up, and then creates one room after the other and looks at each, with a new connection for each request.
/// Returns the names of the rooms.
async fn create_rooms(load: Arc<Load>, address: String, name: String) -> Vec<String> {
    let browser = Browser::with_idle_connections(&address, 0);
    let form = [("name", name.as_str()), ("password", PASSWORD)];
    browser.post("/register", &form).await.assert_status(303);
    let mut rooms = Vec::new();
    while !load.is_over.load(Ordering::SeqCst) {
        let room = format!("{name} {}", rooms.len());
        let id = browser.create_public_room(&room).await;
        rooms.push(room);
        load.answers.fetch_add(1, Ordering::SeqCst);
        browser
            .get(&format!("/rooms/{id}"))
            .await
            .assert_status(200);
        load.answers.fetch_add(1, Ordering::SeqCst);
    }
    rooms
}

#[actix_web::test]
async fn no_connection_is_refused_and_no_answer_lost_while_the_server_restarts_under_load() {
    let folder = tempfile::tempdir().unwrap();
    // As systemd does, this test listens before any server runs, and holds the socket all the time.
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&socket, 1024).unwrap();
    let address: SocketAddr = socket.local_addr().unwrap();
    let start = async || {
        let flags = [
            "--limits=off",
            "--rooms-per-person=100000",
            "--log=warn,mirage=info,mirage::web::request_log=off",
        ];
        let command = activated(folder.path(), &socket, &flags);
        tokio::task::spawn_blocking(move || Running::spawn(command))
            .await
            .unwrap()
    };
    let load = Arc::new(Load::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let work = create_rooms(
                Arc::clone(&load),
                address.to_string(),
                format!("person{client}"),
            );
            tokio::spawn(work)
        })
        .collect();
    let mut server = start().await;
    assert_eq!(server.browser.address, address.to_string());
    let mut seen = Vec::new();

    for _ in 0..RESTARTS {
        let before = load.answers.load(Ordering::SeqCst);
        while load.answers.load(Ordering::SeqCst) < before + ANSWERS_BETWEEN {
            assert!(
                clients.iter().all(|client| !client.is_finished()),
                "a client has failed"
            );
            tokio::task::yield_now().await;
        }
        seen.push(load.answers.load(Ordering::SeqCst));
        let old = tokio::task::spawn_blocking(move || server.stop("-TERM"));
        // Started before the old one has ended: it waits for the database.
        server = start().await;
        let (code, log) = old.await.unwrap();
        assert_eq!(code, Some(0), "{log}");
    }
    load.is_over.store(true, Ordering::SeqCst);
    let mut rooms = Vec::new();
    for client in clients {
        rooms.extend(client.await.unwrap());
    }
    let answers = load.answers.load(Ordering::SeqCst);
    let (code, _) = server.stop("-TERM");

    assert_eq!(code, Some(0));
    let file = folder.path().join("data/mirage.db");
    let database = Database::connect(format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let names = Statement::from_string(database.get_database_backend(), "SELECT name FROM rooms");
    let mut stored: Vec<String> = database
        .query_all_raw(names)
        .await
        .unwrap()
        .iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect();
    stored.sort_unstable();
    rooms.sort_unstable();
    assert_eq!(
        stored, rooms,
        "every room that was answered is there, and no other"
    );
    eprintln!("{answers} answers across {RESTARTS} restarts, the first at {seen:?}");
}

#[test]
fn a_socket_that_is_passed_is_used_in_place_of_the_bind_setting() {
    let folder = tempfile::tempdir().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!("--bind={}", taken.local_addr().unwrap());

    let running = Running::spawn(activated(folder.path(), &socket, &[&flag]));

    assert_eq!(
        running.browser.address,
        socket.local_addr().unwrap().to_string()
    );
    running.stop("-TERM");
}

#[test]
fn a_file_that_is_no_listening_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = activated(folder.path(), &socket, &["--log=off"]);
    command.stdin(Stdio::from(std::fs::File::open("/dev/null").unwrap()));

    let output = command.output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("mirage: cannot listen on the socket of the service manager"),
        "{said}"
    );
}
