//! Several processes on one PostgreSQL and one Redis, compared with one process in memory: sends per second, changes per
//! second, delivery between processes, idle polls, Redis's memory, and the cost of rooms that a process follows.
//!
//! Everything runs on one machine, also the clients: more processes share the same cores, so the figures show what a
//! process costs, not what more machines would bring.

mod stores;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::task::JoinSet;

use self::stores::Stores;
use crate::Plan;
use crate::crowd::{Crowd, Wait, cursor};
use crate::http::{Connection, Purpose, Request};
use crate::people::{Dataset, Person, text};
use crate::server::{Environment, Server};
use crate::table::{median, mib, ms, percentile, print};
use crate::wrk::{Action, CONNECTIONS, Load, Round};

/// The most processes that are measured together.
const PROCESSES: usize = 3;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// The number of people who wait for a message, and of the rooms that they are spread over.
const READERS: [(usize, usize); 2] = [(1_000, 1), (1_000, 100)];
/// The number of bursts, of one message to each room.
const BURSTS: usize = 20;
/// A message that has not arrived by then counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// The numbers of rooms that a process follows.
const FOLLOWED: [usize; 3] = [100, 1_000, 4_000];
/// The number of messages to each followed room.
const FOLLOWED_MESSAGES: usize = 5;
/// The rooms and messages whose memory is measured, and the bytes of a message's text.
const MEMORY_ROOMS: usize = 1_000;
const MEMORY_MESSAGES: usize = 20;
const LENGTHS: [usize; 2] = [20, 200];

/// The number of people who join and leave rooms at once, and how often each does at most in a round.
const CHANGERS: usize = 16;
const CHANGES: usize = 10_000;

/// The room that people write in.
const WRITTEN: i64 = 1;
/// The room of those who only poll.
const READ: i64 = 2;

/// Mirage as several processes, or as one in memory.
struct Site {
    dataset: Dataset,
    processes: Vec<Server>,
}

/// The people and rooms of a site: the number of people, and who is in each room.
struct Inhabitants {
    people: usize,
    rooms: Vec<std::ops::Range<usize>>,
}

impl Site {
    /// Starts one process in memory.
    async fn in_memory(folder: PathBuf, who: &Inhabitants, flags: &[&str]) -> (Self, Vec<Person>) {
        let dataset = Dataset::new(&folder).await;
        let people = inhabit(&dataset, who).await;
        let server = Server::mirage(dataset.folder(), flags, Environment::Plain).await;
        let processes = vec![server];
        (Self { dataset, processes }, people)
    }

    /// Starts several processes with a database of their own.
    async fn on_stores(
        stores: &Stores,
        folder: PathBuf,
        who: &Inhabitants,
        count: usize,
        flags: &[&str],
    ) -> (Self, Vec<Person>) {
        let name = folder.file_name().and_then(|name| name.to_str());
        let database = stores.new_database(&name.expect("a name").replace('-', "_"));
        let url = database.parse().expect("the URL of a database");
        let dataset = Dataset::in_database(&folder, url).await;
        let people = inhabit(&dataset, who).await;
        let mut processes = Vec::new();
        for _ in 0..count {
            let storage = format!("--database-url={database}");
            let redis = format!("--redis-url={}", stores.redis_url());
            // A loaded machine is no reason for an outage.
            let own = [storage.as_str(), redis.as_str(), "--link-timeout=10s"];
            let flags = [&own, flags].concat();
            processes.push(Server::mirage_with(dataset.folder(), &flags, Environment::Plain).await);
        }
        (Self { dataset, processes }, people)
    }

    async fn wait_until_idle(&self) {
        for process in &self.processes {
            process.wait_until_idle().await;
        }
    }
}

async fn inhabit(dataset: &Dataset, who: &Inhabitants) -> Vec<Person> {
    let people = dataset.add_people(1, who.people).await;
    for (room, members) in (1..).zip(&who.rooms) {
        dataset.add_rooms(room, 1, &people[members.clone()]).await;
    }
    dataset.close().await;
    people
}

/// Measures everything in turn.
pub async fn run(plan: &Plan) {
    let stores = Stores::start(&plan.folder).await;
    sends_and_polls(plan, &stores).await;
    changes(plan, &stores).await;
    deliveries(plan, &stores).await;
    memory(plan, &stores).await;
    followed_rooms(plan, &stores).await;
    stores.stop();
}

/// Sends per second through one to three processes, and idle polls, beside one process in memory.
async fn sends_and_polls(plan: &Plan, stores: &Stores) {
    let who = Inhabitants {
        people: 2 * CONNECTIONS,
        rooms: vec![0..CONNECTIONS, CONNECTIONS..2 * CONNECTIONS],
    };
    let (memory, people) = Site::in_memory(plan.folder.join("memory"), &who, &[]).await;
    let folder = plan.folder.join("several");
    let (several, shared) = Site::on_stores(stores, folder, &who, PROCESSES, &[]).await;
    let (rounds, span) = if plan.is_quick {
        (1, Duration::from_secs(1))
    } else {
        (ROUNDS, ROUND)
    };
    let mut sends: Vec<Vec<Round>> = vec![Vec::new(); 1 + PROCESSES];
    let mut polls: Vec<(Round, Round)> = Vec::new();
    // Of Redis's processor, for each message.
    let mut redis_times: Vec<f64> = Vec::new();
    for _ in 0..rounds {
        for (count, rounds) in sends.iter_mut().enumerate() {
            let ticks = stores.redis().ticks();
            let round = match count {
                0 => send_through(&memory, &people, 1, span).await,
                _ => send_through(&several, &shared, count, span).await,
            };
            // Together they send the sum, each as late as the slowest.
            rounds.push(Round {
                rate: round.iter().map(|round| round.rate).sum(),
                p50: round
                    .iter()
                    .map(|round| round.p50)
                    .max()
                    .unwrap_or_default(),
                p99: round
                    .iter()
                    .map(|round| round.p99)
                    .max()
                    .unwrap_or_default(),
            });
            if let (1.., Some(all)) = (count, rounds.last()) {
                let ticks = stores.redis().ticks() - ticks;
                redis_times.push(seconds(ticks) / (all.rate * span.as_secs_f64()));
            }
        }
        let in_memory = poll_round(&memory, &people, span).await;
        polls.push((in_memory, poll_round(&several, &shared, span).await));
    }
    let names = [
        "in memory, 1 process",
        "Redis, 1 process",
        "Redis, 2",
        "Redis, 3",
    ];
    let rows: Vec<Vec<String>> = names
        .iter()
        .zip(&sends)
        .map(|(name, rounds)| row_of(name, rounds))
        .collect();
    println!("\nSends to one room, over {CONNECTIONS} connections to each process:");
    print(&["", "sends, 1/s", "p50", "p99"], &rows);
    let each = median(&redis_times);
    println!(
        "A message takes {:.0} µs of Redis's one processor, which is full at {:.0} messages a second.",
        each * 1e6,
        1.0 / each
    );
    let (memory, redis): (Vec<Round>, Vec<Round>) = polls.iter().copied().unzip();
    println!("Idle polls of one process:");
    let rows = [row_of("in memory", &memory), row_of("Redis", &redis)];
    print(&["", "idle polls, 1/s", "p50", "p99"], &rows);
    let ratios: Vec<f64> = polls
        .iter()
        .map(|(memory, redis)| redis.rate / memory.rate)
        .collect();
    println!("Ratio {:.2} (target: 0.95).", median(&ratios));
}

fn row_of(name: &str, rounds: &[Round]) -> Vec<String> {
    let rates: Vec<f64> = rounds.iter().map(|round| round.rate).collect();
    let p50s: Vec<Duration> = rounds.iter().map(|round| round.p50).collect();
    let p99s: Vec<Duration> = rounds.iter().map(|round| round.p99).collect();
    vec![
        name.to_owned(),
        format!("{:.0}", median(&rates)),
        ms(median(&p50s)),
        ms(median(&p99s)),
    ]
}

/// Loads the first `count` processes of a site at once with sends.
async fn send_through(site: &Site, people: &[Person], count: usize, span: Duration) -> Vec<Round> {
    let load = Load {
        people: &people[..CONNECTIONS],
        action: Action::Send(WRITTEN),
    };
    site.wait_until_idle().await;
    let right = load.once(&site.dataset, &site.processes[0]).await;
    assert!(right.iter().all(|answer| answer.status == 204), "{right:?}");
    let (load, right, dataset) = (&load, &right, &site.dataset);
    std::thread::scope(|scope| {
        let rounds: Vec<_> = site.processes[..count]
            .iter()
            .map(|process| scope.spawn(move || load.round(dataset, process, span, right)))
            .collect();
        let rounds = rounds.into_iter().map(|round| round.join());
        rounds.map(|round| round.expect("a round")).collect()
    })
}

/// Loads the first process with polls that find nothing.
async fn poll_round(site: &Site, people: &[Person], span: Duration) -> Round {
    let (server, people) = (&site.processes[0], &people[CONNECTIONS..]);
    // A poll looks again at what changed a second before its cursor.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let cursor = cursor(server, READ, &people[0]).await;
    let target = format!("/rooms/{READ}/poll?after={cursor}&wait=0");
    let action = Action::Repeat(Request::get(Purpose::Fetch, target));
    let load = Load { people, action };
    let right = load.once(&site.dataset, server).await;
    assert!(right.iter().all(|answer| answer.status == 204), "{right:?}");
    site.wait_until_idle().await;
    load.round(&site.dataset, server, span, &right)
}

/// Changes per second through one to three processes, beside one process with SQLite: people join and leave, each a room
/// of their own, or all the same room, where PostgreSQL's transactions meet.
async fn changes(plan: &Plan, stores: &Stores) {
    // The first person owns all rooms, so that none is deleted when the last of the others has left.
    let who = Inhabitants {
        people: 1 + CHANGERS,
        rooms: vec![0..1; CHANGERS],
    };
    let folder = plan.folder.join("changes-sqlite");
    let (sqlite, people) = Site::in_memory(folder, &who, &[]).await;
    let folder = plan.folder.join("changes");
    let (several, shared) = Site::on_stores(stores, folder, &who, PROCESSES, &[]).await;
    let (rounds, span) = if plan.is_quick {
        (1, Duration::from_secs(1))
    } else {
        (ROUNDS, ROUND)
    };
    let names = [
        "SQLite, 1 process",
        "PostgreSQL, 1 process",
        "PostgreSQL, 2",
        "PostgreSQL, 3",
    ];
    for (place, rooms) in [("a room of their own each", CHANGERS), ("one room", 1)] {
        let mut measured: Vec<Vec<Round>> = vec![Vec::new(); names.len()];
        for _ in 0..rounds {
            for (count, rounds) in measured.iter_mut().enumerate() {
                rounds.push(match count {
                    0 => change_round(&sqlite, 1, &people[1..], rooms, span).await,
                    _ => change_round(&several, count, &shared[1..], rooms, span).await,
                });
            }
        }
        let rows: Vec<Vec<String>> = names
            .iter()
            .zip(&measured)
            .map(|(name, rounds)| row_of(name, rounds))
            .collect();
        println!("\n{CHANGERS} people who join and leave {place}, spread over the processes:");
        print(&["", "changes, 1/s", "p50", "p99"], &rows);
    }
}

/// Lets people join and leave so many rooms through the first `count` processes of a site for so long.
async fn change_round(
    site: &Site,
    count: usize,
    people: &[Person],
    rooms: usize,
    span: Duration,
) -> Round {
    site.wait_until_idle().await;
    let running = Arc::new(Stopwatch::start());
    let mut changing = JoinSet::new();
    for (number, person) in people.iter().enumerate() {
        let (address, cookie) = (&site.processes[number % count].address, &person.cookie);
        let (address, cookie) = (address.clone(), cookie.clone());
        let room = 1 + number % rooms;
        let running = Arc::clone(&running);
        changing.spawn(async move {
            let mut to = Connection::open(&address).await.expect("a connection");
            let mut spans = Vec::new();
            while running.elapsed() < span && spans.len() < CHANGES {
                for change in ["join", "leave"] {
                    let form = Request::form(format!("/rooms/{room}/{change}"), &[(change, "1")]);
                    let began = running.elapsed();
                    let answer = to.ask(&form, &cookie).await.expect("an answer");
                    assert_eq!(answer.status, 303, "{answer:?}");
                    spans.push(running.elapsed().saturating_sub(began));
                }
            }
            spans
        });
    }
    let spans = changing.join_all().await.concat();
    Round {
        rate: spans.len() as f64 / running.elapsed().as_secs_f64(),
        p50: percentile(&spans, 0.5),
        p99: percentile(&spans, 0.99),
    }
}

/// From the sending at one process to the receipt at it and another, beside one process in memory.
async fn deliveries(plan: &Plan, stores: &Stores) {
    let mut rows = Vec::new();
    for (readers, rooms) in READERS {
        let (readers, rooms) = if plan.is_quick {
            (readers / 10, rooms.div_ceil(10))
        } else {
            (readers, rooms)
        };
        let each = readers / rooms;
        let who = Inhabitants {
            people: readers,
            rooms: (0..rooms)
                .map(|room| room * each..(room + 1) * each)
                .collect(),
        };
        let name = format!("{readers}-{rooms}");
        let folder = plan.folder.join(format!("delivery-memory-{name}"));
        let (memory, people) = Site::in_memory(folder, &who, &[]).await;
        let folder = plan.folder.join(format!("delivery-{name}"));
        let (several, shared) = Site::on_stores(stores, folder, &who, 2, &[]).await;
        let mut sides = [
            Waiting::new(memory, &people, &who).await,
            Waiting::new(several, &shared, &who).await,
        ];
        for number in 0..BURSTS {
            for side in &mut sides {
                side.deliver(number).await;
            }
        }
        let [memory, redis] = &sides;
        let p99 = |side: &Waiting| percentile(&side.spans, 0.99);
        let other_p99 = percentile(&redis.other_spans, 0.99);
        let ratio = other_p99.as_secs_f64() / p99(memory).as_secs_f64();
        let place = match rooms {
            1 => "one room".to_owned(),
            _ => format!("{rooms} rooms"),
        };
        let mut row = vec![format!("{readers} in {place}")];
        for side in &sides {
            row.extend([ms(percentile(&side.spans, 0.5)), ms(p99(side))]);
        }
        row.push(ms(percentile(&redis.other_spans, 0.5)));
        row.push(ms(other_p99));
        row.extend([
            format!("{ratio:.2}"),
            (memory.lost + redis.lost).to_string(),
        ]);
        rows.push(row);
    }
    println!(
        "\nDelivery to people who wait, half of them at each of two processes, sent through the first:"
    );
    print(
        &[
            "waiting",
            "in memory, p50",
            "p99",
            "Redis, p50",
            "p99",
            "at the other process, p50",
            "p99",
            "p99, ratio",
            "lost",
        ],
        &rows,
    );
    println!("Targets: p99 at the other process at most 2 times that in memory, none lost.");
}

/// A site with people who wait, spread over its processes.
struct Waiting {
    site: Site,
    crowds: Vec<Crowd>,
    authors: Vec<(i64, Person)>,
    running: Stopwatch,
    spans: Vec<Duration>,
    /// Those of people at another process than the author.
    other_spans: Vec<Duration>,
    lost: usize,
}

impl Waiting {
    async fn new(site: Site, people: &[Person], who: &Inhabitants) -> Self {
        let running = Stopwatch::start();
        let mut authors = Vec::new();
        let mut waits: Vec<Vec<Wait>> = vec![Vec::new(); site.processes.len()];
        for (room, members) in (1..).zip(&who.rooms) {
            let members = &people[members.clone()];
            authors.push((room, members[0].clone()));
            let cursor = cursor(&site.processes[0], room, &members[0]).await;
            for (number, person) in members.iter().enumerate() {
                waits[number % site.processes.len()].push(Wait {
                    room,
                    path: format!("/rooms/{room}/poll"),
                    cursor: cursor.clone(),
                    cookie: person.cookie.clone(),
                });
            }
        }
        let mut crowds = Vec::new();
        for (process, waits) in site.processes.iter().zip(waits) {
            crowds.push(Crowd::connect(process, waits, running).await);
        }
        Self {
            site,
            crowds,
            authors,
            running,
            spans: Vec::new(),
            other_spans: Vec::new(),
            lost: 0,
        }
    }

    /// Sends a message to each room through the first process, and waits until all have it.
    async fn deliver(&mut self, number: usize) {
        self.site.wait_until_idle().await;
        let mut to = Connection::open(&self.site.processes[0].address)
            .await
            .expect("a connection");
        let mut sent = HashMap::new();
        for (room, author) in &self.authors {
            let nonce = self.site.dataset.nonce(author, *room);
            let send = Request::send(*room, &text(number), &nonce);
            sent.insert(*room, self.running.elapsed());
            let answer = to.ask(&send, &author.cookie).await.expect("an answer");
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        for (process, crowd) in self.crowds.iter_mut().enumerate() {
            for received in 0..crowd.size() {
                let receipt = tokio::time::timeout(LOST_AFTER, crowd.receipts.recv()).await;
                let Ok(receipt) = receipt else {
                    self.lost += crowd.size() - received;
                    break;
                };
                let receipt = receipt.expect("clients that wait");
                let span = receipt.at.saturating_sub(sent[&receipt.room]);
                self.spans.push(span);
                if process > 0 {
                    self.other_spans.push(span);
                }
            }
        }
    }
}

/// The memory that rooms and messages take in Redis.
async fn memory(plan: &Plan, stores: &Stores) {
    let rooms = if plan.is_quick {
        MEMORY_ROOMS / 10
    } else {
        MEMORY_ROOMS
    };
    let who = Inhabitants {
        people: 1,
        rooms: vec![0..1; rooms],
    };
    let mut rows = Vec::new();
    for length in LENGTHS {
        let folder = plan.folder.join(format!("memory-{length}"));
        let flags = ["--buffer-bytes=1GiB"];
        let (site, people) = Site::on_stores(stores, folder, &who, 1, &flags).await;
        let before = stores.redis_memory();
        let (first, author) = (&site.processes[0], &people[0]);
        fill(&site, first, author, rooms, length, 1).await;
        let with_rooms = stores.redis_memory();
        fill(&site, first, author, rooms, length, MEMORY_MESSAGES).await;
        let with_messages = stores.redis_memory();
        let each = |bytes: u64, count: usize| bytes / count as u64;
        let message = each(with_messages - with_rooms, rooms * MEMORY_MESSAGES);
        let room = each(with_rooms - before, rooms).saturating_sub(message);
        rows.push(vec![
            format!("{length} bytes of text"),
            format!("{message} B"),
            format!("{room} B"),
        ]);
    }
    println!("\nMemory in Redis (used_memory), with {rooms} rooms:");
    print(&["", "a message", "a room beside its messages"], &rows);
}

/// Sends messages of a length to all rooms.
async fn fill(
    site: &Site,
    server: &Server,
    author: &Person,
    rooms: usize,
    length: usize,
    messages: usize,
) {
    let mut to = Connection::open(&server.address)
        .await
        .expect("a connection");
    for number in 0..messages {
        for room in (1..).take(rooms) {
            let text = format!("{number:x<length$}");
            let send = Request::send(room, &text, &site.dataset.nonce(author, room));
            let answer = to.ask(&send, &author.cookie).await.expect("an answer");
            assert_eq!(answer.status, 204, "{answer:?}");
        }
    }
}

/// What rooms cost that a process follows because somebody waits in each, while messages are sent through another one.
async fn followed_rooms(plan: &Plan, stores: &Stores) {
    let mut rows = Vec::new();
    for rooms in FOLLOWED {
        let rooms = if plan.is_quick { rooms / 10 } else { rooms };
        let who = Inhabitants {
            people: rooms,
            rooms: (0..rooms).map(|room| room..room + 1).collect(),
        };
        let folder = plan.folder.join(format!("followed-memory-{rooms}"));
        let (memory, people) = Site::in_memory(folder, &who, &[]).await;
        let in_memory = Follower::measure(memory, &people, plan.is_quick).await;
        let folder = plan.folder.join(format!("followed-{rooms}"));
        let (several, people) = Site::on_stores(stores, folder, &who, 2, &[]).await;
        let shared = Follower::measure(several, &people, plan.is_quick).await;
        let redis = stores.redis().memory();
        rows.push(vec![
            rooms.to_string(),
            shared.row(),
            in_memory.row(),
            format!("{:.2} %", shared.idle * 100.0),
            format!("{:.2} %", in_memory.idle * 100.0),
            format!("{:.0} µs", shared.message * 1e6),
            format!("{:.0} µs", in_memory.message * 1e6),
            mib(redis),
        ]);
    }
    println!(
        "\nRooms with one person each, who waits, at the process that is measured. Messages are sent through another one:"
    );
    print(
        &[
            "rooms",
            "memory for each, Redis",
            "in memory",
            "processor when idle, Redis",
            "in memory",
            "processor for a message, Redis",
            "in memory, with its sending",
            "Redis's memory",
        ],
        &rows,
    );
}

/// What the last process of a site costs that follows rooms.
struct Follower {
    /// Bytes of memory for each room, with the client that waits in it.
    memory: f64,
    /// The part of a core that it takes when nothing happens.
    idle: f64,
    /// Seconds of the processor for each message.
    message: f64,
}

impl Follower {
    async fn measure(site: Site, people: &[Person], is_quick: bool) -> Self {
        let (first, last) = (
            &site.processes[0],
            &site.processes[site.processes.len() - 1],
        );
        let running = Stopwatch::start();
        let mut waits = Vec::new();
        for (room, person) in (1..).zip(people) {
            waits.push(Wait {
                room,
                path: format!("/rooms/{room}/poll"),
                cursor: cursor(first, room, person).await,
                cookie: person.cookie.clone(),
            });
        }
        site.wait_until_idle().await;
        let before = last.memory();
        let mut crowd = Crowd::connect(last, waits, running).await;
        site.wait_until_idle().await;
        let memory = last.memory().saturating_sub(before) as f64 / people.len() as f64;
        let span = Duration::from_secs(if is_quick { 1 } else { 5 });
        let ticks = last.ticks();
        tokio::time::sleep(span).await;
        let idle = seconds(last.ticks() - ticks) / span.as_secs_f64();
        let ticks = last.ticks();
        let mut to = Connection::open(&first.address)
            .await
            .expect("a connection");
        let mut count = 0;
        for number in 0..FOLLOWED_MESSAGES {
            for (room, person) in (1..).zip(people) {
                let nonce = site.dataset.nonce(person, room);
                let send = Request::send(room, &text(number), &nonce);
                let answer = to.ask(&send, &person.cookie).await.expect("an answer");
                assert_eq!(answer.status, 204, "{answer:?}");
                count += 1;
            }
            for _ in 0..crowd.size() {
                let receipt = tokio::time::timeout(LOST_AFTER, crowd.receipts.recv()).await;
                receipt
                    .expect("a message in time")
                    .expect("clients that wait");
            }
        }
        let message = seconds(last.ticks() - ticks) / f64::from(count);
        Self {
            memory,
            idle,
            message,
        }
    }

    fn row(&self) -> String {
        format!("{:.1} KiB", self.memory / 1024.0)
    }
}

/// Converts the kernel's ticks.
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / 100.0
}
