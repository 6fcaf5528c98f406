//! One site of three processes, on one PostgreSQL and one Redis: what happens when processes are killed or restarted while
//! people send and read, and that no file of any of them has a message.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::RngExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::never_on_disk::{MARKER, assert_nowhere, files_in, files_of};
use crate::postgres::{PostgresDatabase, PostgresServer};
use crate::processes::{Addresses, HUNG, Site};
use crate::program::{Running, printed};
use crate::redis::Redis;
use crate::support::{Browser, PASSWORD, Poll, is_long, seeded_rng};

const SEED: u64 = 16;
const PROCESSES: usize = 3;
const SENDERS: usize = 4;
/// The text of the last message.
const LAST: &str = "the last";

/// Starts the processes of a site without limits, which log all they do.
async fn start_site(database_url: &str, redis: &Redis) -> Site {
    let flags = [
        format!("--database-url={database_url}"),
        format!("--redis-url={}", redis.url()),
        "--link-timeout=30s".to_owned(),
        "--limits=off".to_owned(),
        "--rooms-per-person=1000000".to_owned(),
        "--max-messages=100000".to_owned(),
        "--log=debug,hyper=off,sqlx=off".to_owned(),
    ];
    Site::start(PROCESSES, &flags).await
}

async fn sign_up(site: &Site, name: &str) -> Browser {
    register(Browser::new(&site.addresses.of(0)), name).await
}

async fn register(browser: Browser, name: &str) -> Browser {
    let form = [("name", name), ("password", PASSWORD)];
    browser.post("/register", &form).await.assert_status(303);
    browser
}

/// The room's messages as a process shows them, the newest 100.
async fn messages_at(site: &Site, number: usize, browser: &Browser, room: i64) -> Vec<String> {
    let browser = browser.at(&site.addresses.of(number));
    browser.messages(room).await
}

/// What senders and readers share.
struct Chat {
    addresses: Arc<Addresses>,
    room: i64,
    /// The number of messages, or of deletions, that were confirmed.
    confirmed: watch::Sender<usize>,
    has_ended: AtomicBool,
    /// The number of messages at the end, once it is known.
    total: AtomicUsize,
}

impl Chat {
    fn in_room(site: &Site, room: i64) -> Arc<Self> {
        Arc::new(Self {
            addresses: Arc::clone(&site.addresses),
            room,
            confirmed: watch::Sender::new(0),
            has_ended: AtomicBool::new(false),
            total: AtomicUsize::new(usize::MAX),
        })
    }

    /// Waits until `count` more are confirmed.
    async fn wait_for(&self, count: usize) {
        let mut confirmed = self.confirmed.subscribe();
        let enough = *confirmed.borrow() + count;
        let waiting = confirmed.wait_for(|now| *now >= enough);
        let waited = tokio::time::timeout(HUNG, waiting).await;
        drop(waited.unwrap().unwrap());
    }

    /// Sends one message after the other, each until a process has confirmed it, and now and then makes a room. Returns
    /// the texts.
    async fn send(
        self: Arc<Self>,
        browser: Browser,
        mut nonce: String,
        name: String,
    ) -> (Vec<String>, Vec<String>) {
        let (mut texts, mut rooms) = (Vec::new(), Vec::new());
        let path = format!("/rooms/{}/messages", self.room);
        let mut process = 0;
        while !self.has_ended.load(Ordering::SeqCst) {
            let text = format!("{name} {}", texts.len());
            let send = |site: &str| {
                let form = [("text", text.as_str()), ("nonce", nonce.as_str())];
                let request = browser.client.post(format!("{site}{path}"));
                request.header("mirage-script", "1").form(&form)
            };
            let (page, by) = self.addresses.ask(process, send).await;
            page.assert_status(204);
            page.header("mirage-nonce").clone_into(&mut nonce);
            process = by + 1;
            texts.push(text);
            self.confirmed.send_modify(|confirmed| *confirmed += 1);
            if texts.len() % 10 == 0 {
                let room = format!("{name} {}", rooms.len());
                let make = |site: &str| {
                    let form = [("name", room.as_str()), ("kind", "public")];
                    browser.client.post(format!("{site}/rooms/new")).form(&form)
                };
                let (page, by) = self.addresses.ask(process, make).await;
                // Without a nonce, the name is taken when an earlier try was carried out but not answered.
                let status = page.status.as_u16();
                let is_made = status == 303 || (status == 422 && by > process);
                assert!(is_made, "{status}: {}", page.body);
                rooms.push(room);
            }
        }
        (texts, rooms)
    }

    /// Polls the room from a cursor, at this process or the next one that answers, and moves both on.
    async fn poll(&self, browser: &Browser, process: &mut usize, cursor: &mut String) -> Poll {
        let path = format!("/rooms/{}/poll?after={cursor}", self.room);
        let poll = |site: &str| browser.client.get(format!("{site}{path}"));
        let (page, by) = self.addresses.ask(*process, poll).await;
        let poll = Poll::parse(page);
        assert!(matches!(poll.status, 200 | 204), "{:?}", poll.page);
        assert!(!poll.is_reset, "{poll:?}");
        *process = by;
        cursor.clone_from(&poll.cursor);
        poll
    }

    /// Reads until all messages have come. Returns their texts in the order of the room.
    async fn read(
        self: Arc<Self>,
        browser: Browser,
        first: usize,
        mut cursor: String,
    ) -> Vec<String> {
        let mut texts = Vec::new();
        let mut process = first;
        while texts.len() < self.total.load(Ordering::SeqCst) {
            let poll = self.poll(&browser, &mut process, &mut cursor).await;
            assert!(poll.removed.is_empty(), "{poll:?}");
            texts.extend(poll.added);
        }
        texts
    }

    /// Sends messages, and deletes each but every fourth once a process has confirmed it. Returns the texts of the others.
    async fn send_and_delete(self: Arc<Self>, browser: Browser, mut nonce: String) -> Vec<String> {
        let mut kept = Vec::new();
        let client = &browser.client;
        let path = format!("/rooms/{}", self.room);
        let mut process = 0;
        for number in 0.. {
            let is_last = self.has_ended.load(Ordering::SeqCst);
            let text = if is_last {
                LAST.to_owned()
            } else {
                format!("number {number}")
            };
            let send = |site: &str| {
                let form = [("text", text.as_str()), ("nonce", nonce.as_str())];
                let request = client.post(format!("{site}{path}/messages"));
                request.header("mirage-script", "1").form(&form)
            };
            let (page, by) = self.addresses.ask(process, send).await;
            page.assert_status(204);
            page.header("mirage-nonce").clone_into(&mut nonce);
            if is_last || number % 4 == 0 {
                kept.push(text);
                process = by + 1;
                if is_last {
                    break;
                }
                continue;
            }
            let show = |site: &str| client.get(format!("{site}{path}"));
            let (page, by) = self.addresses.ask(by + 1, show).await;
            assert_eq!(page.texts("#log li .text").pop(), Some(text));
            let links = page.attributes("#log a[href$='/delete']", "href");
            let delete = |site: &str| {
                let request = client.post(format!("{site}{}", links[links.len() - 1]));
                request.form(&[("delete", "1")])
            };
            let (page, last) = self.addresses.ask(by + 1, delete).await;
            // The message is away when an earlier try was carried out but not answered.
            let status = page.status.as_u16();
            let is_deleted = status == 303 || (status == 404 && last > by + 1);
            assert!(is_deleted, "{status}: {}", page.body);
            process = last + 1;
            self.confirmed.send_modify(|confirmed| *confirmed += 1);
        }
        kept
    }

    /// Follows the room until the last message has come. Returns the texts that are left then.
    async fn follow(self: Arc<Self>, browser: Browser, mut cursor: String) -> Vec<String> {
        let mut shown: Vec<(String, String)> = Vec::new();
        let mut process = 0;
        while shown.last().is_none_or(|(_, text)| text != LAST) {
            let poll = self.poll(&browser, &mut process, &mut cursor).await;
            shown.retain(|(id, _)| !poll.removed.contains(id));
            let ids = poll.page.attributes("li:not([data-gone])", "id");
            shown.extend(ids.into_iter().zip(poll.added));
        }
        shown.into_iter().map(|(_, text)| text).collect()
    }
}

/// A site where people chat until [`Load::end`].
struct Load {
    site: Site,
    chat: Arc<Chat>,
    senders: Vec<JoinHandle<(Vec<String>, Vec<String>)>>,
    readers: Vec<JoinHandle<Vec<String>>>,
    ada: Browser,
    _database: PostgresDatabase,
    _redis: Redis,
}

impl Load {
    /// Begins a chat of clients that keep as many idle connections to each process.
    async fn begin(idle_connections: usize) -> Self {
        let (database, redis) = (PostgresDatabase::migrated().await, Redis::start());
        let site = start_site(&database.url(), &redis).await;
        let client = |site: &Site| {
            let address = site.addresses.of(0);
            Browser::with_idle_connections(&address, idle_connections)
        };
        let ada = register(client(&site), "ada").await;
        let room = ada.create_public_room("Tea").await;
        let chat = Chat::in_room(&site, room);
        let cursor = ada.cursor(room).await;
        let readers = (0..PROCESSES).map(|first| {
            let reading = Arc::clone(&chat).read(ada.clone(), first, cursor.clone());
            tokio::spawn(reading)
        });
        let readers = readers.collect();
        let mut senders = Vec::new();
        for number in 0..SENDERS {
            let name = format!("sender-{number}");
            let browser = register(client(&site), &name).await;
            browser.join(room).await;
            // Before any process is killed.
            let nonce = browser.nonce(room).await;
            let sending = Arc::clone(&chat).send(browser, nonce, name);
            senders.push(tokio::spawn(sending));
        }
        Self {
            site,
            chat,
            senders,
            readers,
            ada,
            _database: database,
            _redis: redis,
        }
    }

    /// Ends the chat. Every confirmed message must be there once, in one order for all, and so must every room.
    async fn end(mut self) {
        self.chat.has_ended.store(true, Ordering::SeqCst);
        let (mut sent, mut made) = (Vec::new(), Vec::new());
        for sender in self.senders {
            let (texts, rooms) = sender.await.unwrap();
            sent.extend(texts);
            made.extend(rooms);
        }
        self.chat.total.store(sent.len(), Ordering::SeqCst);
        // Readers that wait have to look again.
        let last = LAST.to_owned();
        self.ada = self.ada.at(&self.site.addresses.of(0));
        self.ada
            .send(self.chat.room, &last)
            .await
            .assert_status(303);
        sent.push(last);
        let mut orders = Vec::new();
        for reader in self.readers {
            let mut order = tokio::time::timeout(HUNG, reader).await.unwrap().unwrap();
            // A reader may have gone before the last message.
            order.retain(|text| text != LAST);
            orders.push(order);
        }
        let (first, others) = orders.split_first().unwrap();
        for other in others {
            assert_eq!(first, other, "readers differ");
        }
        sent.retain(|text| text != LAST);
        let mut read = first.clone();
        read.sort();
        sent.sort();
        assert_eq!(read, sent, "confirmed messages are lost, or there twice");
        let newest = &first[first.len().saturating_sub(99)..];
        for number in 0..PROCESSES {
            let shown = messages_at(&self.site, number, &self.ada, self.chat.room).await;
            assert_eq!(shown[..shown.len() - 1], *newest, "process {number}");
        }
        let flag = self.site.flags[0].as_str();
        let listed = printed(self.site.folder.path(), &["room", "list", flag]);
        let names = listed.lines().filter_map(|line| line.split('\t').next());
        let mut names: Vec<_> = names.filter(|name| *name != "Tea").collect();
        names.sort_unstable();
        made.sort();
        assert_eq!(names, made, "rooms");
    }
}

#[actix_web::test]
async fn what_was_confirmed_survives_the_kill_of_any_of_three_processes_exactly_once() {
    let rounds = if is_long() { 1_000 } else { 50 };
    let mut rng = seeded_rng(SEED);
    let mut load = Load::begin(1).await;

    for _ in 0..rounds {
        load.chat.wait_for(rng.random_range(0..10)).await;
        let number = rng.random_range(0..PROCESSES);
        load.site.replace(number, "-KILL").await;
    }

    load.chat.wait_for(1).await;
    let confirmed = *load.chat.confirmed.borrow();
    load.end().await;
    println!("{rounds} kills with seed {SEED}, {confirmed} messages");
}

#[actix_web::test]
async fn a_rolling_restart_under_load_loses_nothing_and_resets_nobody() {
    // HTTP lets a server close an idle connection at any time, also when a request is on its way.
    let mut load = Load::begin(0).await;

    for number in 0..PROCESSES {
        load.chat.wait_for(20).await;
        let (code, log) = load.site.replace(number, "-TERM").await;
        assert_eq!(code, Some(0));
        assert!(!log.contains(" ERROR "), "{log}");
    }

    load.chat.wait_for(20).await;
    let addresses = Arc::clone(&load.site.addresses);
    load.end().await;
    assert_eq!(addresses.cut(), 0, "requests were cut");
}

#[actix_web::test]
async fn a_confirmed_deletion_survives_the_kill_of_any_of_three_processes() {
    let rounds = if is_long() { 500 } else { 15 };
    let mut rng = seeded_rng(SEED);
    let (database, redis) = (PostgresDatabase::migrated().await, Redis::start());
    let mut site = start_site(&database.url(), &redis).await;
    let ada = sign_up(&site, "ada").await;
    let room = ada.create_public_room("Tea").await;
    let (cursor, nonce) = (ada.cursor(room).await, ada.nonce(room).await);
    let chat = Chat::in_room(&site, room);
    let reading = tokio::spawn(Arc::clone(&chat).follow(ada.clone(), cursor));
    let deleting = tokio::spawn(Arc::clone(&chat).send_and_delete(ada.clone(), nonce));

    for _ in 0..rounds {
        chat.wait_for(rng.random_range(0..5)).await;
        let number = rng.random_range(0..PROCESSES);
        site.replace(number, "-KILL").await;
    }
    chat.has_ended.store(true, Ordering::SeqCst);

    let kept = tokio::time::timeout(HUNG, deleting).await.unwrap().unwrap();
    let read = tokio::time::timeout(HUNG, reading).await.unwrap().unwrap();
    assert_eq!(read, kept, "a reader has other messages");
    assert_eq!(redis.keys("*:text:*").await.len(), kept.len());
    let newest = &kept[kept.len().saturating_sub(100)..];
    for number in 0..PROCESSES {
        let shown = messages_at(&site, number, &ada, room).await;
        assert_eq!(shown, newest, "process {number}");
    }
    let deleted = *chat.confirmed.borrow();
    println!("{rounds} kills with seed {SEED}, {deleted} deletions");
}

#[actix_web::test]
async fn messages_are_in_no_file_of_three_processes_postgresql_or_redis() {
    const MESSAGES: usize = 300;
    // Its files are searched, so it is not shared with other tests.
    let postgres = PostgresServer::start();
    postgres.execute("postgres", "CREATE DATABASE mirage").await;
    let redis = Redis::start();
    let site = start_site(&postgres.url("mirage"), &redis).await;
    let ada = sign_up(&site, "ada").await;
    let room = ada.create_public_room("Tea").await;
    let bob = sign_up(&site, "bob").await;
    bob.join(room).await;
    for number in 0..MESSAGES {
        let sender = ada.at(&site.addresses.of(number));
        let text = format!("{MARKER} number {number}");
        sender.send(room, &text).await.assert_status(303);
    }
    let choosing = bob.get(&format!("/rooms/{room}?report=1")).await;
    let report = &choosing.attributes("#log a[aria-label^=Report]", "href")[0];
    let sent = bob.post(report, &[("reason", MARKER)]).await;
    sent.assert_status(303);
    // A draft is held for a person who has been signed out.
    let nonce = bob.nonce(room).await;
    bob.post("/logout", &[("sign-out", "1")]).await;
    let held = format!("{MARKER} held");
    bob.send_with(room, &held, &nonce).await.assert_status(303);
    postgres.execute("mirage", "CHECKPOINT").await;
    assert!(messages_at(&site, 1, &ada, room).await[0].contains(MARKER));

    let folders = [site.folder.path(), &postgres.folder, redis.folder()];
    let mut files: Vec<_> = folders.into_iter().flat_map(files_in).collect();
    // Not PostgreSQL's socket.
    files.retain(|file| file.is_file());
    assert!(files.iter().any(|file| is_within(file, "pg_wal")));
    let processes = site.processes.iter().flatten().map(Running::id);
    let open = processes.chain([redis.id()]).flat_map(files_of);
    let in_use = assert_nowhere(&files) + assert_nowhere(&open.collect::<Vec<_>>());
    assert!(!postgres.log().contains(MARKER) && !redis.log().contains(MARKER));
    for running in site.processes.into_iter().flatten() {
        let (code, log) = running.stop("-TERM");
        assert_eq!(code, Some(0));
        assert!(log.contains("request completed") && !log.contains(MARKER));
    }
    let left = assert_nowhere(&files_in(site.folder.path()));
    println!(
        "{MESSAGES} messages are not in {in_use} bytes of files in use, nor in {left} that are left"
    );
}

fn is_within(file: &Path, folder: &str) -> bool {
    file.components().any(|part| part.as_os_str() == folder)
}
