//! Delivery latency to all waiting clients, and memory per waiting client, compared with the bare server,
//! which waits on one watch channel per room and returns the same bytes.
//!
//! A message is sent to each room, one room after the other as fast as the server answers: with 500 rooms,
//! that is a burst of 500 messages. The latency counts from the request that sent the message. The next
//! burst starts when all clients wait again; bursts go to the two servers in turn, except in the largest crowds, of
//! which the process that measures can hold only one.
//!
//! Each client has its own account and session. The memory per client is the growth of the server while clients join
//! until all wait, divided by their number; a few wait before, so that what a server takes once, when the first requests
//! come, is not counted. In Mirage it includes the cached sessions.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use mirage::clock::Stopwatch;

use crate::Plan;
use crate::bare::{self, Constant};
use crate::crowd::{Crowd, Wait};
use crate::http::{Answer, Connection, Purpose, Request};
use crate::instructions::{Counted, profiles};
use crate::people::{Dataset, Person, text};
use crate::server::{Environment, Server};
use crate::table::{ms, percentile, print};

/// The number of clients, and of the rooms that they are spread over.
const CROWDS: [(usize, usize); 6] = [
    (100, 1),
    (1_000, 1),
    (5_000, 1),
    (5_000, 500),
    (10_000, 1),
    (10_000, 1_000),
];
/// The maximum number of clients of each server at once. More than that have their turns one server after the other:
/// this process has a socket for each, and a limit on open files.
const AT_ONCE: usize = 5_000;
/// The number of clients that wait before the memory of the others is measured: enough to keep each worker and each
/// connection to the database busy.
const FIRST: usize = 32;
/// The number of messages sent to each room.
const MESSAGES: usize = 20;
/// A message that has not arrived by then counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(20);

/// A server, its waiting clients, and their latencies.
struct Side {
    server: Server,
    crowd: Crowd,
    memory: u64,
    spans: Vec<Duration>,
    lost: usize,
}

impl Side {
    async fn new(server: Server, mut first: Vec<Wait>, running: Stopwatch) -> Self {
        // A quick run has crowds of ten.
        let others = first.split_off(FIRST.min(first.len() / 2));
        let count = others.len() as u64;
        let mut crowd = Crowd::connect(&server, first, running).await;
        let before = server.memory();
        crowd.join(&server, others).await;
        let memory = server.memory().saturating_sub(before) / count;
        Self {
            server,
            crowd,
            memory,
            spans: Vec::new(),
            lost: 0,
        }
    }

    /// Sends these messages to Mirage, one per room.
    async fn chat(&mut self, sends: &[(i64, Request, Person)], running: Stopwatch) {
        // The cursors of all clients of a room name the same event, so each received exactly this message.
        for (room, cursors) in &self.deliver(sends, running).await {
            let first = event(&cursors[0]);
            assert!(
                cursors.iter().all(|cursor| event(cursor) == first),
                "room {room}: {cursors:?}"
            );
        }
    }

    /// Sends these messages to the bare server, one per room.
    async fn wake(&mut self, sends: Vec<(i64, Request, Person)>, running: Stopwatch) {
        let wake = |(room, send, author)| {
            let target = format!("/wake/{room}");
            (room, Request { target, ..send }, author)
        };
        let wakes: Vec<_> = sends.into_iter().map(wake).collect();
        self.deliver(&wakes, running).await;
    }

    /// Sends these messages, one per room, and waits until all clients have them. Returns the cursors that
    /// the clients of each room received.
    async fn deliver(
        &mut self,
        sends: &[(i64, Request, Person)],
        running: Stopwatch,
    ) -> HashMap<i64, Vec<String>> {
        let to = Connection::open(&self.server.address).await;
        let mut to = to.expect("a connection");
        let mut sent = HashMap::new();
        for (room, send, author) in sends {
            sent.insert(*room, running.elapsed());
            let answer = to.ask(send, &author.cookie).await.expect("an answer");
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        let mut cursors: HashMap<i64, Vec<String>> = HashMap::new();
        for received in 0..self.crowd.size() {
            let receipt = tokio::time::timeout(LOST_AFTER, self.crowd.receipts.recv()).await;
            let Ok(receipt) = receipt else {
                self.lost += self.crowd.size() - received;
                break;
            };
            let receipt = receipt.expect("clients that wait");
            self.spans
                .push(receipt.at.saturating_sub(sent[&receipt.room]));
            cursors
                .entry(receipt.room)
                .or_default()
                .push(receipt.cursor);
        }
        cursors
    }

    /// Says how late the first messages and the later ones were: the first ones find caches empty.
    fn report(&self, name: &str) {
        let (first, later) = self.spans.split_at(self.spans.len() / MESSAGES);
        let p99 = |spans: &[Duration]| ms(percentile(spans, 0.99));
        eprintln!(
            "  {name}: p99 {} at first, {} later",
            p99(first),
            p99(later)
        );
    }

    fn row(&self) -> [String; 4] {
        [
            ms(percentile(&self.spans, 0.5)),
            ms(percentile(&self.spans, 0.99)),
            self.lost.to_string(),
            format!("{:.1} KiB", self.memory as f64 / 1024.0),
        ]
    }
}

/// Measures each crowd, on Mirage and on the bare server in turn.
pub async fn run(plan: &Plan) {
    let mut rows = Vec::new();
    for (clients, rooms) in CROWDS {
        let clients = if plan.is_quick { clients / 10 } else { clients };
        let rooms = if plan.is_quick {
            rooms.div_ceil(10)
        } else {
            rooms
        };
        rows.push(deliver(plan, clients, rooms).await);
    }
    print(
        &[
            "clients",
            "Mirage, p50",
            "p99",
            "lost",
            "memory per client",
            "bare, p50",
            "p99",
            "lost",
            "memory per client",
            "p99, ratio",
            "memory, ratio",
        ],
        &rows,
    );
    println!(
        "Targets: p99 at most 1.30 times the bare server's, memory at most 28 KiB and 1.60 times, none lost; in 1,000 rooms \
         p50 at most 10 ms and p99 at most 50 ms."
    );
}

/// Two servers whose clients have not come yet.
struct Prepared {
    dataset: Dataset,
    groups: Vec<(i64, Vec<Person>)>,
    mirage: Server,
    bare: Server,
    waits: Vec<Wait>,
}

impl Prepared {
    async fn new(plan: &Plan, clients: usize, rooms: usize, environment: Environment) -> Self {
        let folder = plan.folder.join(format!("{clients}-{rooms}"));
        let dataset = Dataset::new(&folder.join("mirage")).await;
        let people = dataset.add_people(1, clients).await;
        let groups = people.chunks(clients / rooms).map(<[Person]>::to_vec);
        let groups: Vec<(i64, Vec<Person>)> = (1..).zip(groups).collect();
        for (room, members) in &groups {
            dataset.add_rooms(*room, 1, members).await;
        }
        dataset.close().await;

        let mirage = Server::mirage(dataset.folder(), &[], environment).await;
        let mut to = Connection::open(&mirage.address)
            .await
            .expect("a connection");
        let mut waits = Vec::new();
        let mut news = None;
        for (room, members) in &groups {
            let path = format!("/rooms/{room}/poll");
            let before = poll(&mut to, &path, "", &members[0]).await;
            dataset
                .send_messages(&mut to, *room, &members[..1], 1)
                .await;
            // The response with a message, for the bare server.
            let answer = poll(&mut to, &path, cursor(&before), &members[0]).await;
            let cursor = cursor(&answer).to_owned();
            news = Some(answer);
            waits.extend(members.iter().map(|person| Wait {
                room: *room,
                path: path.clone(),
                cursor: cursor.clone(),
                cookie: person.cookie.clone(),
            }));
        }
        let wait = Request::get(Purpose::Fetch, "/wait");
        let news = Constant::of(&wait, &news.expect("a room"));
        bare::write_answers(&folder.join("bare"), &[news]);
        let bare = Server::bare(&folder.join("bare"), environment).await;
        Self {
            dataset,
            groups,
            mirage,
            bare,
            waits,
        }
    }

    fn bare_waits(&self) -> Vec<Wait> {
        let waits = self.waits.iter().cloned().map(|wait| Wait {
            path: format!("/wait/{}", wait.room),
            ..wait
        });
        waits.collect()
    }
}

/// One message for each room.
fn sends(
    dataset: &Dataset,
    groups: &[(i64, Vec<Person>)],
    number: usize,
) -> Vec<(i64, Request, Person)> {
    let send = |(room, members): &(i64, Vec<Person>)| {
        let author = &members[0];
        let send = Request::send(*room, &text(number), &dataset.nonce(author, *room));
        (*room, send, author.clone())
    };
    groups.iter().map(send).collect()
}

/// Counts the instructions for each delivered message: the answer, the request that waits next, and a part of sending.
pub async fn run_instructions(plan: &Plan) {
    let running = Stopwatch::start();
    let mut rows = Vec::new();
    for (clients, rooms) in [(100, 1), (100, 10)] {
        let prepared = Prepared::new(plan, clients, rooms, Environment::Callgrind).await;
        let (waits, bare_waits) = (prepared.waits.clone(), prepared.bare_waits());
        let (dataset, groups) = (prepared.dataset, prepared.groups);
        let folder = plan.folder.join(format!("{clients}-{rooms}"));
        let mut mirage = Side::new(prepared.mirage, waits, running).await;
        let mut bare = Side::new(prepared.bare, bare_waits, running).await;
        // The first message fills caches.
        mirage.chat(&sends(&dataset, &groups, 0), running).await;
        bare.wake(sends(&dataset, &groups, 0), running).await;
        let mut counts = Vec::new();
        for (side, name) in [(&mut mirage, "mirage"), (&mut bare, "bare")] {
            side.server.wait_until_idle().await;
            let profile = profiles().join(format!("{name}-delivery-{clients}-{rooms}"));
            counted(&side.server, &folder.join(name)).reset();
            for number in 1..=MESSAGES {
                let sends = sends(&dataset, &groups, number);
                if name == "mirage" {
                    side.chat(&sends, running).await;
                } else {
                    side.wake(sends, running).await;
                }
            }
            side.server.wait_until_idle().await;
            let count = counted(&side.server, &folder.join(name)).total(&profile);
            counts.push(count / (MESSAGES * clients) as u64);
        }
        rows.push(vec![
            format!("{clients} in {rooms} rooms"),
            counts[0].to_string(),
            counts[1].to_string(),
            format!("{:.2}", counts[1] as f64 / counts[0] as f64),
        ]);
    }
    print(
        &["instructions for each delivery", "Mirage", "bare", "ratio"],
        &rows,
    );
}

fn counted<'a>(server: &'a Server, folder: &'a Path) -> Counted<'a> {
    Counted { server, folder }
}

async fn deliver(plan: &Plan, clients: usize, rooms: usize) -> Vec<String> {
    let running = Stopwatch::start();
    let prepared = Prepared::new(plan, clients, rooms, Environment::Plain).await;
    let (waits, bare_waits) = (prepared.waits.clone(), prepared.bare_waits());
    let (dataset, groups) = (prepared.dataset, prepared.groups);
    let sends = |number| sends(&dataset, &groups, number);
    let mut bare_side = Side::new(prepared.bare, bare_waits, running).await;
    let mut mirage;
    if clients <= AT_ONCE {
        mirage = Side::new(prepared.mirage, waits, running).await;
        for number in 0..MESSAGES {
            mirage.server.wait_until_idle().await;
            bare_side.server.wait_until_idle().await;
            mirage.chat(&sends(number), running).await;
            mirage.server.wait_until_idle().await;
            bare_side.wake(sends(number), running).await;
        }
    } else {
        for number in 0..MESSAGES {
            bare_side.server.wait_until_idle().await;
            bare_side.wake(sends(number), running).await;
        }
        bare_side.crowd.leave().await;
        mirage = Side::new(prepared.mirage, waits, running).await;
        for number in 0..MESSAGES {
            mirage.server.wait_until_idle().await;
            mirage.chat(&sends(number), running).await;
        }
    }
    let place = if rooms == 1 {
        "one room".to_owned()
    } else {
        format!("{rooms} rooms")
    };
    eprintln!("{clients} in {place}");
    mirage.report("Mirage");
    bare_side.report("bare");
    let mut row = vec![format!("{clients} in {place}")];
    row.extend(mirage.row());
    row.extend(bare_side.row());
    let p99 = |side: &Side| percentile(&side.spans, 0.99).as_secs_f64();
    row.push(format!("{:.2}", p99(&mirage) / p99(&bare_side)));
    row.push(format!(
        "{:.2}",
        mirage.memory as f64 / bare_side.memory as f64
    ));
    row
}

async fn poll(to: &mut Connection, path: &str, cursor: &str, person: &Person) -> Answer {
    let poll = format!("{path}?after={cursor}&wait=0");
    let poll = Request::get(Purpose::Fetch, poll);
    to.ask(&poll, &person.cookie).await.expect("an answer")
}

/// Returns a cursor without the time of the answer, which is its last part.
fn event(cursor: &str) -> &str {
    let (event, _time) = cursor.rsplit_once('-').expect("a cursor");
    event
}

fn cursor(answer: &Answer) -> &str {
    answer.header("mirage-cursor").expect("a cursor")
}
