//! The program: command line, startup, logging and shutdown.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::Database;

use crate::ports::free_address;
use crate::support::{Browser, PASSWORD};

pub fn program(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirage"));
    let folder = folder.display();
    command
        .env_clear()
        .env("MIRAGE_BIND", free_address())
        .env(
            "MIRAGE_DATABASE_URL",
            format!("sqlite://{folder}/data/mirage.db?mode=rwc"),
        )
        .env("MIRAGE_SECRET_FILE", format!("{folder}/data/mirage.key"))
        .env("TMPDIR", folder.to_string())
        // It runs from any folder.
        .current_dir(folder.to_string())
        .args(flags)
        .stdin(Stdio::null());
    command
}

pub fn run(folder: &Path, flags: &[&str]) -> Output {
    program(folder, flags).output().unwrap()
}

/// The standard output of a command, which must succeed.
pub fn printed(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one-line error of a program that did not start.
#[track_caller]
fn sentence(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_end().to_owned()
}

/// Sends a signal to a process.
fn send(process: u32, signal: &str) {
    let kill = Command::new("kill")
        .arg(signal)
        .arg(process.to_string())
        .status();
    assert!(kill.unwrap().success());
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A running server, and a browser for it.
pub struct Running {
    process: Process,
    pub browser: Browser,
    /// The address for Prometheus, if there is one.
    pub metrics: Option<String>,
    /// Reads the log to its end: a full pipe would block the server.
    log: JoinHandle<String>,
}

impl Running {
    /// Starts the server with all its files in `folder`, and reads its address from the log.
    pub fn start(folder: &Path, flags: &[&str]) -> Self {
        Self::spawn(program(folder, flags))
    }

    /// Starts the server by this command, and reads its address from the log.
    pub fn spawn(mut command: Command) -> Self {
        let child = command.stderr(Stdio::piped()).spawn();
        let mut process = Process(child.unwrap());
        let mut log = BufReader::new(process.0.stderr.take().unwrap());
        let mut line = String::new();
        let mut metrics = None;
        let address: String = loop {
            line.clear();
            assert_ne!(
                log.read_line(&mut line).unwrap(),
                0,
                "the server ended during startup"
            );
            if line.contains("address") {
                let start = line.find("127.0.0.1:").unwrap();
                let is_address = |c: &char| c.is_ascii_digit() || matches!(c, '.' | ':');
                let address = line[start..].chars().take_while(is_address).collect();
                if line.contains("listening") {
                    break address;
                }
                metrics = Some(address);
            }
        };
        let log = std::thread::spawn(move || {
            let mut rest = String::new();
            log.read_to_string(&mut rest).unwrap();
            rest
        });
        Self {
            process,
            browser: Browser::new(&address),
            metrics,
            log,
        }
    }

    /// The process ID.
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// The resident memory, in MiB.
    pub fn mebibytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kibibytes.parse::<u64>().unwrap() / 1024
    }

    /// Suspends the process. Until it gets SIGCONT, the system accepts connections and requests for it.
    fn suspend(&self) {
        send(self.id(), "-STOP");
        let is_suspended = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
            status.contains(") T ")
        };
        while !is_suspended() {
            std::thread::yield_now();
        }
    }

    /// Sends a signal, waits for the process to end, and returns the exit code and the rest of the log.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        send(self.id(), signal);
        let code = self.process.0.wait().unwrap().code();
        (code, self.log.join().unwrap())
    }
}

#[test]
fn help_is_printed_with_exit_code_0() {
    let folder = tempfile::tempdir().unwrap();

    let output = run(folder.path(), &["--help"]);

    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("--message-lifespan") && help.contains("MIRAGE_MESSAGE_LIFESPAN"));
}

#[test]
fn the_version_is_that_of_the_package() {
    let folder = tempfile::tempdir().unwrap();

    let version = printed(folder.path(), &["--version"]);

    let begins = format!("mirage {}", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&begins), "{version}");
}

#[test]
fn the_manual_and_the_completions_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    printed(folder.path(), &["man", "."]);
    let page = std::fs::read_to_string(folder.path().join("mirage.1")).unwrap();
    let completions =
        ["bash", "zsh", "fish"].map(|shell| printed(folder.path(), &["completions", shell]));

    for command in [
        "serve",
        "check",
        "user",
        "room",
        "backup",
        "health",
        "move-database",
        "signup-link",
    ] {
        assert!(page.contains(&command.replace('-', "\\-")), "{command}");
        assert!(folder.path().join(format!("mirage-{command}.1")).exists());
        for script in &completions {
            assert!(script.contains(command), "{command}");
        }
    }
    assert!(page.contains("MIRAGE_PUBLIC_URL"), "{page}");
}

#[actix_web::test]
async fn the_program_runs_in_any_folder_and_serves_its_assets_there() {
    let folder = tempfile::tempdir().unwrap();
    let program_copy = folder.path().join("mirage");
    std::fs::copy(env!("CARGO_BIN_EXE_mirage"), &program_copy).unwrap();
    let mut command = Command::new(&program_copy);
    command
        .env_clear()
        .current_dir(folder.path())
        .arg("--bind=127.0.0.1:0")
        .stdin(Stdio::null());

    let running = Running::spawn(command);

    let page = running.browser.get("/login").await;
    let style = page.attribute("link[rel=stylesheet]", "href");
    running.browser.get(&style).await.assert_status(200);
    running.stop("-TERM");
    assert!(folder.path().join("data/mirage.db").exists());
}

#[test]
fn an_invalid_flag_value_fails_with_one_sentence_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();

    for flags in [["--poll-wait", "soon"], ["--log", "[nonsense"]] {
        let output = run(folder.path(), &flags);

        assert_eq!(output.status.code(), Some(2));
        assert!(
            sentence(&output).contains(flags[0]),
            "{}",
            sentence(&output)
        );
        assert!(!folder.path().join("data").exists(), "nothing was made");
    }
}

#[test]
fn an_invalid_environment_value_fails_the_same_way() {
    let folder = tempfile::tempdir().unwrap();

    let output = program(folder.path(), &[])
        .env("MIRAGE_MAX_MESSAGES", "many")
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(2));
    assert!(sentence(&output).contains("--max-messages"));
}

#[test]
fn an_unusable_text_about_the_site_fails_with_one_sentence_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).unwrap();
    };
    write("large.txt", &[b'a'; 64 * 1024 + 1]);
    write("latin-1.txt", b"Caf\xe9");
    write("blank.txt", b" \n\n");
    std::fs::create_dir(folder.path().join("folder")).unwrap();

    for (file, says) in [
        ("nowhere.txt", "No such file or directory"),
        ("folder", "Is a directory"),
        ("large.txt", "it has more than 64 KiB"),
        ("latin-1.txt", "it is not UTF-8 text"),
        ("blank.txt", "it has no text"),
    ] {
        let output = run(folder.path(), &["--log=off", "--about", file]);

        assert_eq!(output.status.code(), Some(2), "{file}");
        let sentence = sentence(&output);
        let begins = format!("mirage: cannot use {file} for --about: {says}");
        assert!(sentence.starts_with(&begins), "{sentence}");
        assert!(!folder.path().join("data").exists(), "nothing was made");
    }
}

#[test]
fn an_unusable_file_or_address_fails_with_one_sentence_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("letter.db"), "Dear database, ".repeat(1000)).unwrap();
    std::fs::write(path("short.key"), "secret").unwrap();
    std::fs::create_dir(path("folder.db")).unwrap();
    drop(std::fs::File::create(path("empty.db")).unwrap());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();

    for (flag, names) in [
        (
            format!("--database-url=sqlite://{}", path("letter.db")),
            "letter.db",
        ),
        (
            format!("--database-url=sqlite://{}", path("folder.db")),
            "folder.db",
        ),
        (
            format!("--database-url=sqlite://{}?mode=ro", path("empty.db")),
            "empty.db",
        ),
        (
            format!("--database-url=sqlite://{}?mode=rw", path("missing.db")),
            "missing.db",
        ),
        (
            format!(
                "--database-url=sqlite://{}/mirage.db?mode=rwc",
                path("letter.db")
            ),
            "letter.db",
        ),
        (format!("--secret-file={}", path("short.key")), "short.key"),
        (format!("--secret-file={}", path("folder.db")), "folder.db"),
        (format!("--assets={}", path("nowhere")), "nowhere"),
        (
            format!("--bind={}", taken.local_addr().unwrap()),
            "127.0.0.1",
        ),
    ] {
        let output = run(folder.path(), &["--log=off", &flag]);

        assert_eq!(output.status.code(), Some(1), "{flag}");
        assert!(sentence(&output).contains(names), "{}", sentence(&output));
    }
}

#[test]
fn a_missing_trusted_proxy_setting_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = format!("--bind={}", taken.local_addr().unwrap());
    let is_told = |flags: &[&str]| {
        // The warning precedes the error about the taken port.
        let output = run(folder.path(), &[&[bind.as_str()], flags].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("--trusted-proxies is not set")
    };

    assert!(!is_told(&[]));
    assert!(!is_told(&["--public-url=http://chat.example.org"]));
    let https = "--public-url=https://chat.example.org";
    assert!(is_told(&[https]));
    assert!(!is_told(&[https, "--trusted-proxies=127.0.0.1"]));
}

#[actix_web::test]
async fn a_read_only_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path(), &[]).stop("-TERM");
    let file = folder.path().join("data/mirage.db");

    let flag = format!("--database-url=sqlite://{}?mode=ro", file.display());
    let output = run(folder.path(), &["--log=off", &flag]);

    assert_eq!(output.status.code(), Some(1));
    assert!(sentence(&output).contains("mirage.db"));
}

#[actix_web::test]
async fn a_database_of_a_newer_version_is_refused_and_left_untouched() {
    use sea_orm::ConnectionTrait;
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path(), &[]).stop("-TERM");
    let file = folder.path().join("data/mirage.db");
    let database = Database::connect(format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let newer = "INSERT INTO seaql_migrations VALUES ('m29990101_000001_the_future', 0)";
    database.execute_unprepared(newer).await.unwrap();
    database.close().await.unwrap();
    let before = std::fs::read(&file).unwrap();

    let output = run(folder.path(), &["--log=off"]);

    assert_eq!(output.status.code(), Some(1));
    assert!(sentence(&output).contains("m29990101_000001_the_future"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[actix_web::test]
async fn sigterm_and_sigint_stop_the_server_with_exit_code_0_while_polls_wait() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(folder.path(), &[]);
        let ada = running.browser.clone();
        ada.post("/register", &[("name", "ada"), ("password", PASSWORD)])
            .await
            .assert_status(303);
        let room = ada.create_public_room("Tea").await;
        let cursor = ada.poll(room, "?wait=0&hidden=1").await.cursor;
        let poll = {
            let ada = ada.clone();
            tokio::spawn(async move { ada.poll(room, &format!("?after={cursor}")).await })
        };
        // Only the poll marks ada as present, so this page shows that the server holds the poll.
        while !ada.get("/rooms").await.texts(".rooms p")[0].contains("1 here now") {}

        let stop = tokio::task::spawn_blocking(move || running.stop(signal));
        let (code, _) = tokio::time::timeout(Duration::from_secs(20), stop)
            .await
            .unwrap()
            .unwrap();

        assert_eq!(code, Some(0), "{signal}");
        let poll = poll.await.unwrap();
        assert_eq!(poll.status, 204);
        // The client sends its next request elsewhere.
        assert_eq!(poll.page.header("connection"), "close");
    }
}

#[test]
fn requests_that_have_arrived_when_the_server_is_told_to_stop_are_answered() {
    const CONNECTIONS: usize = 16;
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), &[]);
    let connect = || {
        let mut stream = TcpStream::connect(&running.browser.address).unwrap();
        stream.write_all(request).unwrap();
        stream
    };
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
    for stream in &mut streams {
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    }
    let idle = streams.pop().unwrap();

    running.suspend();
    for stream in &mut streams {
        stream.write_all(request).unwrap();
    }
    streams.extend((0..CONNECTIONS).map(|_| connect()));
    send(running.id(), "-TERM");
    let (code, log) = running.stop("-CONT");

    assert_eq!(code, Some(0));
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    for (number, mut stream) in streams.into_iter().enumerate() {
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        assert!(read.is_ok(), "connection {number}: {read:?}, {answer}");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{number}: {answer}");
    }
    let mut nothing = String::new();
    { idle }.read_to_string(&mut nothing).unwrap();
    assert_eq!(nothing, "");
}

#[test]
fn a_signal_during_startup_stops_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    // The secret is a named pipe: the startup blocks until something is written to it.
    let made = Command::new("mkfifo").arg(&secret).status();
    assert!(made.unwrap().success());
    let flag = format!("--secret-file={}", secret.display());
    let child = program(folder.path(), &[&flag])
        .stderr(Stdio::piped())
        .spawn();
    let mut process = Process(child.unwrap());
    let mut writer = std::fs::OpenOptions::new()
        .write(true)
        .open(&secret)
        .unwrap();

    send(process.0.id(), "-TERM");
    // The write fails if the server has ended already.
    drop(writer.write_all(&[7; 64]));
    drop(writer);

    let mut log = String::new();
    let mut stderr = process.0.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(process.0.wait().unwrap().code(), Some(0), "{log}");
    assert!(log.contains("shutting down"), "{log}");
}

#[actix_web::test]
async fn the_log_has_one_line_per_request_and_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(
        folder.path(),
        &["--log-format=json", "--log=debug,hyper=off"],
    );
    let ada = running.browser.clone();
    let signed_up = ada
        .post("/register", &[("name", "ada"), ("password", PASSWORD)])
        .await;
    let room = ada.create_private_room("Tea").await;
    ada.send(room, "a needle in the haystack")
        .await
        .assert_status(303);
    ada.join_privately("Tea", "open barley")
        .await
        .assert_status(403);
    let link = ada.invite_to(room, "day", "ten").await;
    ada.accept(&link).await.assert_status(303);
    ada.post("/logout", &[("sign-out", "1")]).await;
    let led_to = ada.accept(&link).await.location().to_owned();
    for page in [&link, &led_to] {
        ada.get(page).await.assert_status(200);
    }
    let token = link.trim_start_matches("/invite/");
    for page in ["/register", "/reset"] {
        ada.get(&format!("{page}/a-link-from-the-operator"))
            .await
            .assert_status(404);
    }
    let cookie = signed_up
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();

    let (_, log) = running.stop("-TERM");

    let answered = |route: &str| {
        let lines = log
            .lines()
            .filter(|line| line.contains("\"request completed\""));
        lines
            .filter(|line| line.contains(&format!("\"route\":\"{route}\"")))
            .collect::<Vec<_>>()
    };
    assert_eq!(answered("/register").len(), 1);
    assert_eq!(answered("/rooms/private").len(), 1);
    assert_eq!(answered("/invite/{token}").len(), 3);
    let sent = answered("/rooms/{room}/messages");
    assert_eq!(sent.len(), 1);
    assert!(
        sent[0].contains("\"status\":303") && sent[0].contains("\"request_id\":\""),
        "{}",
        sent[0]
    );
    // Flat, so that a query needs to know no more than the names.
    assert_eq!(sent[0].matches('{').count(), 2, "{}", sent[0]);
    for field in [
        "timestamp",
        "level",
        "target",
        "message",
        "method",
        "duration_ms",
    ] {
        assert!(sent[0].contains(&format!("\"{field}\":")), "{}", sent[0]);
    }
    for secret in [
        "needle",
        PASSWORD,
        "kettle+of",
        "open sesame",
        "open barley",
        "argon2id",
        token,
        "a-link-from",
        &cookie,
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[actix_web::test]
async fn the_request_id_of_a_trusted_proxy_is_taken_over() {
    for (flags, is_trusted) in [
        (&["--log-format=json"][..], false),
        (&["--log-format=json", "--trusted-proxies=127.0.0.1"], true),
        (&["--log-format=text", "--trusted-proxies=127.0.0.1"], true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(folder.path(), flags);
        let browser = running.browser.clone();
        for id in ["00f067aa0ba902b7", "forged \"status\":500"] {
            let request = browser.client.get(browser.url("/login"));
            let answer = request.header("X-Request-ID", id).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }

        let (_, log) = running.stop("-TERM");

        assert_eq!(log.contains("00f067aa0ba902b7"), is_trusted, "{log}");
        assert!(!log.contains("forged"), "{log}");
        let lines = log.lines().filter(|line| line.contains("/login"));
        assert!(lines.clone().all(|line| line.contains("request_id")));
        assert_eq!(lines.count(), 2);
    }
}

#[actix_web::test]
async fn polls_are_logged_only_at_debug_level() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), &[]);
    let ada = running.browser.clone();
    ada.post("/register", &[("name", "ada"), ("password", PASSWORD)])
        .await;
    let room = ada.create_public_room("Tea").await;
    assert_eq!(ada.poll(room, "").await.status, 200);

    let (_, log) = running.stop("-TERM");

    assert!(
        log.contains("route=\"/rooms/new\"") && !log.contains("/poll"),
        "{log}"
    );
}

#[actix_web::test]
async fn the_secret_file_and_its_folder_are_accessible_only_to_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    Running::start(folder.path(), &[]).stop("-TERM");

    let secret = std::fs::metadata(folder.path().join("data/mirage.key")).unwrap();

    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    assert_eq!(secret.len(), 64);
    let data = std::fs::metadata(folder.path().join("data")).unwrap();
    assert_eq!(data.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_second_server_on_the_same_database_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::start(folder.path(), &[]);

    let second = run(folder.path(), &[]);

    assert_eq!(second.status.code(), Some(1));
    assert!(sentence(&second).contains("another server is using the database"));
    // Commands work beside it.
    printed(folder.path(), &["user", "list"]);
    first.stop("-KILL");
    Running::start(folder.path(), &[]).stop("-TERM");
}

#[actix_web::test]
async fn only_serve_migrates_a_database() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let url = format!(
        "sqlite://{}/data/mirage.db?mode=rwc",
        folder.path().display()
    );
    let database = Database::connect(&url).await.unwrap();
    let migrations = u32::try_from(Migrator::migrations().len()).unwrap();
    Migrator::up(&database, Some(migrations - 1)).await.unwrap();
    let applied = async || {
        let applied = Migrator::get_applied_migrations(&database).await.unwrap();
        u32::try_from(applied.len()).unwrap()
    };

    for words in [["user", "list"], ["room", "list"]] {
        let refused = run(folder.path(), &words);
        assert!(sentence(&refused).contains("older version of Mirage"));
        assert_eq!(applied().await, migrations - 1);
    }
    printed(folder.path(), &["backup", "copy.db"]);
    assert_eq!(applied().await, migrations - 1);

    Running::start(folder.path(), &[]).stop("-TERM");
    assert_eq!(applied().await, migrations);
    printed(folder.path(), &["user", "list"]);
}

#[actix_web::test]
async fn a_malformed_request_is_logged_at_debug_level_only() {
    for (level, is_logged) in [("info", false), ("mirage=debug", true)] {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(folder.path(), &[&*format!("--log={level}")]);
        for request in [
            "nonsense\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(&running.browser.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }

        let (_, log) = running.stop("-TERM");

        assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
        let line = |line: &&str| line.contains("DEBUG") && line.contains("connection ended early");
        let lines = log.lines().filter(line).count();
        assert_eq!(lines >= 3, is_logged, "{log}");
    }
}
