//! Scaling: whether many rooms, members, messages or clients slow the server down, and memory per message.
//! A person is measured who is in all the rooms, and for the list of public rooms one who is in none.
//!
//! Two Mirage servers run side by side, one with few and one with many of something, and are loaded in
//! alternating rounds by one person, so that everything else is equal.

use std::time::Duration;

use mirage::clock::Stopwatch;

use crate::Plan;
use crate::crowd::{Crowd, Wait, cursor};
use crate::http::{Answer, Connection, Purpose, Request};
use crate::instructions::Counted;
use crate::people::{Dataset, Person};
use crate::server::{Environment, Server};
use crate::table::{median, mib, print};
use crate::wrk::{Action, Load};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);
/// The number of requests whose instructions are counted.
const REQUESTS: usize = 500;
/// The measured room, and the first of the other rooms.
const ROOM: i64 = 1;
const ELSEWHERE: i64 = 2;
/// The number of rooms in the first page of the public rooms.
const LISTED: usize = 50;
/// The default maximum of messages in a room.
const FULL: usize = 500;

/// The default memory limit for the messages of all rooms, in bytes.
const BUFFER: u64 = 64 << 20;
/// The number of messages of each length.
const MESSAGES: usize = 10_000;
/// The lengths of the messages, in bytes. The last one is the maximum.
const LENGTHS: [usize; 3] = [20, 200, 2_000];

/// A Mirage server and its clients.
struct Side {
    dataset: Dataset,
    server: Server,
    people: Vec<Person>,
    /// Somebody in no room.
    outsider: Person,
    /// Clients that wait in another room.
    _crowd: Option<Crowd>,
}

/// The size of the data.
#[derive(Clone, Copy)]
struct Size {
    rooms: usize,
    /// Members in each room.
    members: usize,
    /// Which member writes in the other rooms. The first is the measured person, to whom the messages of others
    /// are new.
    writer: usize,
    /// Messages in the measured room.
    messages: usize,
    waiting: usize,
}

const LITTLE: Size = Size {
    rooms: 1,
    members: 1,
    writer: 0,
    messages: FULL,
    waiting: 0,
};

/// What is compared.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Poll,
    Send,
    /// The first page of the public rooms, as browsers ask for it.
    List,
}

impl Kind {
    /// The name in the table, and the lowest ratio that meets the target.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Poll => ("idle poll", "0.95"),
            Self::Send => ("send", "0.95"),
            Self::List => ("public rooms", "0.80"),
        }
    }
}

/// What people do in rooms.
const CHAT: &[Kind] = &[Kind::Poll, Kind::Send];

impl Side {
    async fn new(plan: &Plan, name: &str, size: Size, environment: Environment) -> Self {
        let dataset = Dataset::new(&plan.folder.join(name)).await;
        let people = dataset.add_people(1, size.members).await;
        dataset.add_rooms(ROOM, size.rooms, &people).await;
        // The others wait in their own room.
        let first = 1 + size.members as i64;
        let others = dataset.add_people(first, size.waiting).await;
        let other_room = ROOM + size.rooms as i64;
        if size.waiting > 0 {
            dataset.add_rooms(other_room, 1, &others).await;
        }
        let outsider = outsider(&dataset, first + size.waiting as i64).await;
        dataset.close().await;
        let flag = format!("--max-messages={}", size.messages);
        let server = Server::mirage(dataset.folder(), &[&flag], environment).await;
        let mut to = Connection::open(&server.address)
            .await
            .expect("a connection");
        dataset
            .send_messages(&mut to, ROOM, &people[..1], size.messages)
            .await;
        for room in (ELSEWHERE..).take(size.rooms - 1) {
            let writer = &people[size.writer..=size.writer];
            dataset.send_messages(&mut to, room, writer, 1).await;
        }
        // A poll tells again of the other rooms that changed up to a second before its cursor, and of all of them after it
        // has read the list of them.
        cursor(&server, ROOM, &people[0]).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let crowd = if others.is_empty() {
            None
        } else {
            let cursor = cursor(&server, other_room, &others[0]).await;
            let wait = |person: &Person| Wait {
                room: other_room,
                path: format!("/rooms/{other_room}/poll"),
                cursor: cursor.clone(),
                cookie: person.cookie.clone(),
            };
            let waits = others.iter().map(wait).collect();
            Some(Crowd::connect(&server, waits, Stopwatch::start()).await)
        };
        Self {
            dataset,
            server,
            people,
            outsider,
            _crowd: crowd,
        }
    }

    /// Requests of this kind per second.
    async fn rate_of(&self, kind: Kind, span: Duration) -> f64 {
        // The last messages of the previous round may still be in flight.
        self.server.wait_until_idle().await;
        let (load, status) = self.load(kind).await;
        self.rate(load, status, span).await
    }

    /// Instructions per request of this kind.
    async fn instructions_of(&self, kind: Kind, requests: usize) -> u64 {
        self.server.wait_until_idle().await;
        let (load, status) = self.load(kind).await;
        // The first request may fill a cache.
        let warm = load.once(&self.dataset, &self.server).await;
        assert_eq!(warm[0].status, status, "{warm:?}");
        let folder = self.dataset.folder();
        let counted = Counted {
            server: &self.server,
            folder,
        };
        let profile = folder.join("profile");
        counted
            .count(&self.dataset, &load, warm[0].status, requests, &profile)
            .await
    }

    /// Requests of this kind, and the status of their answers.
    async fn load(&self, kind: Kind) -> (Load<'_>, u16) {
        let one = &self.people[..1];
        match kind {
            Kind::Poll => {
                let cursor = cursor(&self.server, ROOM, &self.people[0]).await;
                let poll = format!("/rooms/{ROOM}/poll?after={cursor}&wait=0");
                let action = Action::Repeat(Request::get(Purpose::Fetch, poll));
                (
                    Load {
                        people: one,
                        action,
                    },
                    204,
                )
            }
            Kind::Send => {
                let action = Action::Send(ROOM);
                (
                    Load {
                        people: one,
                        action,
                    },
                    204,
                )
            }
            Kind::List => {
                let action = Action::Repeat(Request::get(Purpose::Page, "/rooms"));
                let people = std::slice::from_ref(&self.outsider);
                (Load { people, action }, 200)
            }
        }
    }

    async fn send_rate(&self, span: Duration) -> f64 {
        let (load, status) = self.load(Kind::Send).await;
        self.rate(load, status, span).await
    }

    async fn rate(&self, load: Load<'_>, status: u16, span: Duration) -> f64 {
        let right: Vec<Answer> = load.once(&self.dataset, &self.server).await;
        assert_eq!(right[0].status, status, "{right:?}");
        load.round(&self.dataset, &self.server, span, &right).rate
    }
}

/// What is compared: its name, the kinds of requests, and the two sizes.
type Comparison = (&'static str, &'static [Kind], Size, Size);

/// Compares few with many of each thing, and then measures the memory of messages.
pub async fn run(plan: &Plan) {
    let mut rows = Vec::new();
    for (name, kinds, little, much) in comparisons(plan) {
        let title = title(name, little, much);
        eprintln!("{title}");
        let (little, much) = sides(plan, name, little, much, Environment::Plain).await;
        rows.extend(compare(plan, &title, kinds, &little, &much).await);
    }
    print(&["", "few, 1/s", "many, 1/s", "ratio", "target"], &rows);
    messages(plan).await;
}

/// Compares the instructions per request with few and with many of each thing.
pub async fn run_instructions(plan: &Plan) {
    let requests = if plan.is_quick { 100 } else { REQUESTS };
    let mut rows = Vec::new();
    for (name, kinds, little, much) in comparisons(plan) {
        let title = title(name, little, much);
        eprintln!("{title}");
        let (little, much) = sides(plan, name, little, much, Environment::Callgrind).await;
        for kind in kinds {
            let few = little.instructions_of(*kind, requests).await;
            let many = much.instructions_of(*kind, requests).await;
            let (kind, _) = kind.row();
            rows.push(vec![
                format!("{title}: {kind}"),
                few.to_string(),
                many.to_string(),
                format!("{:.2}", few as f64 / many as f64),
            ]);
        }
    }
    print(&["instructions", "few", "many", "ratio"], &rows);
}

fn comparisons(plan: &Plan) -> [Comparison; 6] {
    let few = |count: usize| if plan.is_quick { count / 10 } else { count };
    [
        (
            "rooms",
            CHAT,
            LITTLE,
            Size {
                rooms: few(10_000),
                ..LITTLE
            },
        ),
        (
            "public rooms",
            &[Kind::List],
            Size {
                rooms: LISTED,
                ..LITTLE
            },
            Size {
                rooms: few(10_000),
                ..LITTLE
            },
        ),
        (
            "rooms a person",
            CHAT,
            LITTLE,
            // Each has something new, which polls say.
            Size {
                rooms: 20,
                members: 2,
                writer: 1,
                ..LITTLE
            },
        ),
        (
            "memberships",
            CHAT,
            LITTLE,
            Size {
                rooms: few(200),
                members: 500,
                ..LITTLE
            },
        ),
        (
            "messages in the room",
            CHAT,
            Size {
                messages: 1,
                ..LITTLE
            },
            LITTLE,
        ),
        (
            "people waiting elsewhere",
            CHAT,
            Size {
                waiting: 1,
                ..LITTLE
            },
            Size {
                waiting: few(5_000),
                ..LITTLE
            },
        ),
    ]
}

fn title(name: &str, little: Size, much: Size) -> String {
    let count = |size: Size| match name {
        "rooms" | "public rooms" | "rooms a person" => size.rooms,
        "memberships" => size.rooms * size.members,
        "messages in the room" => size.messages,
        _ => size.waiting,
    };
    format!("{} and {} {name}", count(little), count(much))
}

async fn sides(
    plan: &Plan,
    name: &str,
    little: Size,
    much: Size,
    environment: Environment,
) -> (Side, Side) {
    let little = Side::new(plan, &format!("{name}, little"), little, environment).await;
    let much = Side::new(plan, &format!("{name}, much"), much, environment).await;
    (little, much)
}

async fn compare(
    plan: &Plan,
    title: &str,
    kinds: &[Kind],
    little: &Side,
    much: &Side,
) -> Vec<Vec<String>> {
    let rounds = if plan.is_quick { 1 } else { ROUNDS };
    let mut rates: Vec<Vec<[f64; 2]>> = vec![Vec::new(); kinds.len()];
    for round in 0..rounds {
        for (kind, rates) in kinds.iter().zip(&mut rates) {
            // Alternates which server comes first.
            if round % 2 == 0 {
                let of_little = little.rate_of(*kind, ROUND).await;
                rates.push([of_little, much.rate_of(*kind, ROUND).await]);
            } else {
                let of_much = much.rate_of(*kind, ROUND).await;
                rates.push([little.rate_of(*kind, ROUND).await, of_much]);
            }
        }
    }
    let row = |(kind, rates): (&Kind, Vec<[f64; 2]>)| {
        let (name, target) = kind.row();
        let side = |side: usize| -> Vec<f64> { rates.iter().map(|pair| pair[side]).collect() };
        let ratios: Vec<f64> = rates.iter().map(|[little, much]| much / little).collect();
        vec![
            format!("{title}: {name}"),
            format!("{:.0}", median(&side(0))),
            format!("{:.0}", median(&side(1))),
            format!("{:.2}", median(&ratios)),
            target.to_owned(),
        ]
    };
    kinds.iter().zip(rates).map(row).collect()
}

/// Adds somebody who is in no room.
async fn outsider(dataset: &Dataset, id: i64) -> Person {
    dataset.add_people(id, 1).await.remove(0)
}

/// Measures the memory per message for several lengths, and the memory of a full message buffer.
async fn messages(plan: &Plan) {
    let mut rows = Vec::new();
    for length in LENGTHS {
        let side = many(plan, &format!("{length} bytes")).await;
        let author = &side.people[0];
        let text: String = "kettle and cake ".chars().cycle().take(length).collect();
        let mut to = Connection::open(&side.server.address)
            .await
            .expect("a connection");
        side.dataset
            .send_messages(&mut to, ROOM, &side.people, 1)
            .await;
        let before = side.server.memory();
        let count = if plan.is_quick {
            MESSAGES / 10
        } else {
            MESSAGES
        };
        for _ in 0..count {
            let send = Request::send(ROOM, text.trim(), &side.dataset.nonce(author, ROOM));
            let answer = to.ask(&send, &author.cookie).await.expect("an answer");
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        let taken = (side.server.memory() - before) / count as u64;
        let more = taken as f64 / length as f64;
        rows.push(vec![
            length.to_string(),
            taken.to_string(),
            format!("{more:.1}"),
        ]);
    }
    print(&["bytes of text", "bytes of memory", "ratio"], &rows);

    let side = many(plan, "full").await;
    let empty = side.server.memory();
    let author = &side.people[0];
    let ask = async |target: String| {
        let page = Request::get(Purpose::Page, target);
        side.server.ask(&page, &author.cookie).await
    };
    // The buffer is full once the first message has been evicted.
    let mut to = Connection::open(&side.server.address)
        .await
        .expect("a connection");
    side.dataset
        .send_messages(&mut to, ROOM, &side.people, 1)
        .await;
    let page = ask(format!("/rooms/{ROOM}")).await;
    let first = page.between("<li id=\"m", "\"");
    while ask(format!("/rooms/{ROOM}/messages/{first}/delete"))
        .await
        .status
        != 404
    {
        side.send_rate(ROUND).await;
    }
    // From now on, each new message evicts old ones.
    side.send_rate(2 * ROUND).await;
    let memory = side.server.memory();
    println!(
        "With a full message buffer of {} the process takes {}, and {} when empty: {:.2} times the buffer (target: 1.50).",
        mib(BUFFER),
        mib(memory),
        mib(empty),
        memory as f64 / BUFFER as f64
    );
}

/// Starts a Mirage server with the highest limit of messages per room.
async fn many(plan: &Plan, name: &str) -> Side {
    let dataset = Dataset::new(&plan.folder.join(name)).await;
    let people = dataset.add_people(1, 1).await;
    dataset.add_rooms(ROOM, 1, &people).await;
    let outsider = outsider(&dataset, 2).await;
    dataset.close().await;
    let server = Server::mirage(
        dataset.folder(),
        &["--max-messages=100000"],
        Environment::Plain,
    )
    .await;
    Side {
        dataset,
        server,
        people,
        outsider,
        _crowd: None,
    }
}
