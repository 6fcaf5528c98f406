//! A full disk: forms come back filled in, chat goes on, and everything works again as soon as there is
//! space. No confirmed change is lost.
//!
//! The disk is a small tmpfs in the server's own mount namespace.

use std::path::Path;
use std::time::Duration;

use mirage::clock::Stopwatch;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

use crate::Plan;
use crate::http::{Answer, Purpose, Request};
use crate::server::{Environment, FILLER, Server};

/// The size of the disk. It holds the filler and the write-ahead log, which SQLite truncates only from
/// 4 MiB on.
const DISK_MIB: u32 = 6;
/// More rooms than fit on the disk.
const MOST_ROOMS: usize = 100_000;
/// Rooms to create when there is space again, enough to use all database connections of the server.
const ROOMS_AFTER: usize = 20;
/// Messages to send while the disk is full.
const MESSAGES: usize = 20;
/// How long a message may take to reach a waiting client.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

const PASSWORD: &str = "a kettle of fish";

/// Fills the disk with rooms, and then frees space.
pub async fn run(plan: &Plan) {
    std::fs::create_dir_all(&plan.folder).expect("a folder");
    let folder = plan.folder.canonicalize().expect("a path from the root");
    let most = format!("--rooms-per-person={MOST_ROOMS}");
    let server = Server::mirage(&folder, &[&most], Environment::SmallDisk(DISK_MIB)).await;
    let ada = sign_up(&server, "ada").await;
    let bob = sign_up(&server, "bob").await;
    let tea = server.submit(&new_room("Tea"), &ada).await;
    let (tea, _) = tea.split_once('?').expect("a room's address");
    let join = Request::form(format!("{tea}/join"), &[("join", "1")]);
    server.submit(&join, &bob).await;
    assert_delivered(&server, tea, &ada, &bob, "before").await;

    let mut made = vec!["Tea".to_owned()];
    let running = Stopwatch::start();
    let refused = loop {
        // The longest possible name, to fill the disk sooner.
        let name = format!("Room {:/>59}", made.len());
        let answer = server.ask(&new_room(&name), &ada).await;
        if answer.status != 303 {
            break (name, answer);
        }
        made.push(name);
        assert!(made.len() < MOST_ROOMS, "the disk is never full");
    };
    println!(
        "The disk of {DISK_MIB} MiB was full after {} rooms and {:.1} s.",
        made.len(),
        running.elapsed().as_secs_f64()
    );
    assert_comes_back(&refused.1, &[&refused.0, "value=\"public\" checked"]);

    // Writes smaller than a room still fit into the last allocated pages.
    let mut changed = 0;
    while let answer = server
        .ask(&settings(tea, "Tea", &changed.to_string()), &ada)
        .await
        && answer.status == 303
    {
        changed += 1;
        assert!(changed < MOST_ROOMS, "the disk is never full");
    }
    println!("After that, {changed} changes of settings still succeeded.");
    for (form, cookie, typed) in forms(tea, &ada) {
        let answer = server.ask(&form, cookie).await;
        assert_comes_back(&answer, &typed);
        println!(
            "{} came back with 503, filled in with {typed:?}.",
            form.target
        );
    }
    let running = Stopwatch::start();
    for number in 0..MESSAGES {
        assert_delivered(&server, tea, &ada, &bob, &format!("message {number}")).await;
    }
    println!(
        "{MESSAGES} messages were delivered to a waiting client, in {:.2} s.",
        running.elapsed().as_secs_f64()
    );
    for page in [tea, "/rooms", "/rooms/mine"] {
        let answer = server.ask(&Request::get(Purpose::Page, page), &bob).await;
        assert_eq!(answer.status, 200, "{page}: {answer:?}");
    }
    let health = Request::get(Purpose::Fetch, "/healthz");
    let health = server.ask(&health, "").await;
    println!(
        "The room page, the lists of rooms and /healthz return 200, 200 and {}.",
        health.status.as_u16()
    );

    let filler = server.file(&folder.join(FILLER));
    std::fs::remove_file(filler).expect("a filler that can be removed");
    for (form, cookie, _) in forms(tea, &ada) {
        server.submit(&form, cookie).await;
        println!("With free space again, {} succeeds.", form.target);
    }
    made.extend(["Cake".to_owned(), "Tea with milk".to_owned()]);
    made.retain(|name| name != "Tea");
    for number in 0..ROOMS_AFTER {
        let name = format!("Biscuit {number}");
        server.submit(&new_room(&name), &ada).await;
        made.push(name);
    }
    assert_delivered(&server, tea, &ada, &bob, "after").await;

    check(&server, &folder, &made, &refused.0).await;
    server.stop();
}

/// One form of each kind that writes to the database, with its session cookie and the values that the
/// returned form must contain.
fn forms<'a>(room: &str, ada: &'a str) -> [(Request, &'a str, Vec<&'static str>); 4] {
    let account = |path, name| Request::form(path, &[("name", name), ("password", PASSWORD)]);
    [
        (
            new_room("Cake"),
            ada,
            vec!["value=\"Cake\"", "value=\"public\" checked"],
        ),
        (account("/register", "cleo"), "", vec!["value=\"cleo\""]),
        (account("/login", "ada"), "", vec!["value=\"ada\""]),
        (
            settings(room, "Tea with milk", "No sugar"),
            ada,
            vec!["value=\"Tea with milk\"", "No sugar</textarea>"],
        ),
    ]
}

fn settings(room: &str, name: &str, description: &str) -> Request {
    let form = [
        ("name", name),
        ("description", description),
        ("lifespan", "longest"),
        ("slow-mode", "0"),
        ("language", "de"),
        ("posting", "everyone"),
    ];
    Request::form(format!("{room}/settings"), &form)
}

fn new_room(name: &str) -> Request {
    let form = [("name", name), ("kind", "public"), ("password", "")];
    Request::form("/rooms/new", &form)
}

/// Creates an account and returns its session cookie.
async fn sign_up(server: &Server, name: &str) -> String {
    let form = [("name", name), ("password", PASSWORD)];
    let answer = server.ask(&Request::form("/register", &form), "").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie").expect("a session");
    let (cookie, _) = cookie.split_once(';').expect("attributes of a cookie");
    cookie.to_owned()
}

/// Asserts that a form came back with 503 and the typed values.
fn assert_comes_back(answer: &Answer, typed: &[&str]) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("5"));
    for typed in typed {
        assert!(
            answer.text().contains(typed),
            "{typed} in {}",
            answer.text()
        );
    }
}

/// Asserts that a message of one person reaches the waiting poll of another.
async fn assert_delivered(server: &Server, room: &str, from: &str, to: &str, text: &str) {
    let page = server.ask(&Request::get(Purpose::Page, room), to).await;
    let cursor = page.between("data-cursor=\"", "\"");
    let poll = Request::get(Purpose::Fetch, format!("{room}/poll?after={cursor}"));
    let listen = tokio::time::timeout(HEARD_WITHIN, server.ask(&poll, to));
    let say = async {
        let page = server.ask(&Request::get(Purpose::Page, room), from).await;
        let nonce = page.between("name=\"nonce\" value=\"", "\"");
        let form = [("text", text), ("nonce", nonce)];
        server
            .submit(&Request::form(format!("{room}/messages"), &form), from)
            .await;
    };
    let (heard, ()) = tokio::join!(listen, say);
    let heard = heard.expect("a message in time");
    assert_eq!(heard.status, 200, "{heard:?}");
    assert!(heard.text().contains(text), "{text} in {}", heard.text());
}

/// Asserts that the database is intact, and contains exactly the confirmed changes.
async fn check(server: &Server, folder: &Path, made: &[String], refused: &str) {
    // A copy, because SQLite cannot open files through a path into another namespace.
    server.wait_until_idle().await;
    let copy = folder.join("copy");
    std::fs::create_dir(&copy).expect("a folder");
    for file in ["mirage.db", "mirage.db-wal"] {
        let original = server.file(&folder.join(file));
        std::fs::copy(original, copy.join(file)).expect("a copy");
    }
    let url = format!("sqlite://{}/mirage.db?mode=rw", copy.display());
    let database = Database::connect(url).await.expect("a database");
    let integrity = column(&database, "PRAGMA integrity_check").await;
    assert_eq!(integrity, ["ok"]);
    let keys = column(&database, "SELECT \"table\" FROM pragma_foreign_key_check").await;
    assert_eq!(keys, [""; 0]);
    let mut rooms = column(&database, "SELECT name FROM rooms").await;
    let mut made = made.to_vec();
    rooms.sort();
    made.sort();
    assert_eq!(rooms, made);
    assert!(!rooms.iter().any(|name| name == refused));
    let mut people = column(&database, "SELECT name FROM users").await;
    people.sort();
    assert_eq!(people, ["ada", "bob", "cleo"]);
    database.close().await.expect("a database that closes");
    println!(
        "integrity_check and foreign_key_check pass; all {} rooms and {} people are there.",
        rooms.len(),
        people.len()
    );
}

async fn column(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let ask = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(ask).await.expect("rows");
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("a text"))
        .collect()
}
