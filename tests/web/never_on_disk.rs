//! Messages are kept in memory only.

use std::path::{Path, PathBuf};

use crate::program::Running;
use crate::support::{Browser, PASSWORD};

/// A text that every message contains.
pub const MARKER: &str = "zqxjkvbp";

/// All files below a folder.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The open files of a process, including deleted ones.
pub fn files_of(process: u32) -> Vec<PathBuf> {
    let open = files_in(Path::new(&format!("/proc/{process}/fd")));
    let is_file = |path: &PathBuf| path.metadata().is_ok_and(|file| file.is_file());
    open.into_iter().filter(is_file).collect()
}

#[track_caller]
pub fn assert_nowhere(files: &[PathBuf]) -> usize {
    let mut bytes = 0;
    for file in files {
        let held = std::fs::read(file).unwrap();
        let has_marker = held
            .windows(MARKER.len())
            .any(|part| part == MARKER.as_bytes());
        assert!(!has_marker, "a message is in {}", file.display());
        bytes += held.len();
    }
    bytes
}

/// Sends messages one after the other, as the script does.
async fn send(browser: Browser, room: i64, messages: usize) {
    let mut nonce = browser.nonce(room).await;
    for number in 0..messages {
        let text = format!("{MARKER} number {number}");
        let page = browser.send_by_script(room, &text, &nonce).await;
        page.assert_status(204);
        page.header("mirage-nonce").clone_into(&mut nonce);
    }
}

#[actix_web::test]
async fn messages_are_written_to_no_file_and_no_log_line() {
    const MESSAGES: usize = 10_000;
    const SENDERS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--limits=off", "--log=debug,hyper=off"];
    let running = Running::start(folder.path(), &flags);
    let ada = running.browser.clone();
    ada.post("/register", &[("name", "ada"), ("password", PASSWORD)])
        .await
        .assert_status(303);
    let room = ada.create_public_room("Tea").await;
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(send(ada.clone(), room, MESSAGES / SENDERS)))
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    // A draft is stored, too, when a signed-out person sends a message.
    let mut signed_out = ada.clone();
    signed_out.client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let nonce = ada.nonce(room).await;
    signed_out
        .send_with(room, &format!("{MARKER} held"), &nonce)
        .await
        .assert_status(303);
    assert!(ada.messages(room).await[0].contains(MARKER));
    // So is a report.
    let bob = Browser::new(&ada.address);
    bob.post("/register", &[("name", "bob"), ("password", PASSWORD)])
        .await
        .assert_status(303);
    bob.join(room).await;
    let choosing = bob.get(&format!("/rooms/{room}?report=1")).await;
    let report = &choosing.attributes("#log a", "href")[0];
    let sent = bob.post(report, &[("reason", MARKER)]).await;
    sent.assert_status(303);

    let (files, open) = (files_in(folder.path()), files_of(running.id()));
    assert!(files.iter().any(|file| file.ends_with("mirage.db-wal")));
    assert!(!open.is_empty(), "the database is open");
    let in_use = assert_nowhere(&files) + assert_nowhere(&open);
    let (code, log) = running.stop("-TERM");

    assert_eq!(code, Some(0));
    let left = assert_nowhere(&files_in(folder.path()));
    assert!(log.contains("request completed") && !log.contains(MARKER));
    eprintln!(
        "{MESSAGES} messages are not in {in_use} bytes of open files, {left} bytes of remaining files and {} bytes of log",
        log.len()
    );
}

#[actix_web::test]
async fn a_crash_writes_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), &[]);

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    running.stop("-TERM");

    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let values: Vec<_> = line.unwrap().split_whitespace().skip(4).collect();
    assert_eq!(values[..2], ["0", "0"]);
}
