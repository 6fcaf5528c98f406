//! Scaling: whether many rooms, members, messages or clients slow the server down, and memory per message.
//!
//! Two Mirage servers run side by side, one with few and one with many of something, and are loaded in
//! alternating rounds by one person, so that everything else is equal.

use std::time::Duration;

use mirage::clock::Stopwatch;

use crate::Plan;
use crate::crowd::{Crowd, Wait, cursor};
use crate::http::{Answer, Connection, Purpose, Request};
use crate::people::{Dataset, Person};
use crate::server::{Environment, Server};
use crate::table::{median, mib, print};
use crate::wrk::{Action, Load};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);
/// The measured room, and the first of the other rooms.
const ROOM: i64 = 1;
const ELSEWHERE: i64 = 2;
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
    /// Clients that wait in another room.
    _crowd: Option<Crowd>,
}

/// The size of the data.
#[derive(Clone, Copy)]
struct Size {
    rooms: usize,
    /// Members in each room.
    members: usize,
    /// Messages in the measured room.
    messages: usize,
    waiting: usize,
}

const LITTLE: Size = Size {
    rooms: 1,
    members: 1,
    messages: FULL,
    waiting: 0,
};

impl Side {
    async fn new(plan: &Plan, name: &str, size: Size) -> Self {
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
        dataset.close().await;
        let flag = format!("--max-messages={}", size.messages);
        let server = Server::mirage(dataset.folder(), &[&flag], Environment::Plain).await;
        let mut to = Connection::open(&server.address)
            .await
            .expect("a connection");
        dataset
            .send_messages(&mut to, ROOM, &people[..1], size.messages)
            .await;
        for room in (ELSEWHERE..).take(size.rooms - 1) {
            dataset.send_messages(&mut to, room, &people[..1], 1).await;
        }
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
            _crowd: crowd,
        }
    }

    /// Polls and sends per second.
    async fn rates(&self, span: Duration) -> [f64; 2] {
        // The last messages of the previous round may still be in flight.
        self.server.wait_until_idle().await;
        let cursor = cursor(&self.server, ROOM, &self.people[0]).await;
        let poll = format!("/rooms/{ROOM}/poll?after={cursor}&wait=0");
        let poll = Action::Repeat(Request::get(Purpose::Fetch, poll));
        [
            self.rate(poll, span).await,
            self.rate(Action::Send(ROOM), span).await,
        ]
    }

    async fn rate(&self, action: Action, span: Duration) -> f64 {
        let load = Load {
            people: &self.people[..1],
            action,
        };
        let right: Vec<Answer> = load.once(&self.dataset, &self.server).await;
        assert_eq!(right[0].status, 204, "{right:?}");
        load.round(&self.dataset, &self.server, span, &right).rate
    }
}

/// Compares few with many of each thing, and then measures the memory of messages.
pub async fn run(plan: &Plan) {
    let few = |count: usize| if plan.is_quick { count / 10 } else { count };
    let mut rows = Vec::new();
    for (name, little, much) in [
        (
            "rooms",
            LITTLE,
            Size {
                rooms: few(10_000),
                ..LITTLE
            },
        ),
        (
            "memberships",
            LITTLE,
            Size {
                rooms: few(200),
                members: 500,
                ..LITTLE
            },
        ),
        (
            "messages in the room",
            Size {
                messages: 1,
                ..LITTLE
            },
            LITTLE,
        ),
        (
            "people waiting elsewhere",
            Size {
                waiting: 1,
                ..LITTLE
            },
            Size {
                waiting: few(5_000),
                ..LITTLE
            },
        ),
    ] {
        let count = |size: Size| match name {
            "rooms" => size.rooms,
            "memberships" => size.rooms * size.members,
            "messages in the room" => size.messages,
            _ => size.waiting,
        };
        let title = format!("{} and {} {name}", count(little), count(much));
        eprintln!("{title}");
        let little = Side::new(plan, &format!("{name}, little"), little).await;
        let much = Side::new(plan, &format!("{name}, much"), much).await;
        rows.extend(compare(plan, &title, &little, &much).await);
    }
    print(&["", "few, 1/s", "many, 1/s", "ratio", "target"], &rows);
    messages(plan).await;
}

async fn compare(plan: &Plan, title: &str, little: &Side, much: &Side) -> Vec<Vec<String>> {
    let rounds = if plan.is_quick { 1 } else { ROUNDS };
    let (mut of_little, mut of_much) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Alternates which server comes first.
        if round % 2 == 0 {
            of_little.push(little.rates(ROUND).await);
            of_much.push(much.rates(ROUND).await);
        } else {
            of_much.push(much.rates(ROUND).await);
            of_little.push(little.rates(ROUND).await);
        }
    }
    let row = |(kind, name): (usize, &str)| {
        let of_kind =
            |rates: &[[f64; 2]]| -> Vec<f64> { rates.iter().map(|rates| rates[kind]).collect() };
        let (of_little, of_much) = (of_kind(&of_little), of_kind(&of_much));
        let pairs = of_little.iter().zip(&of_much);
        let ratios: Vec<f64> = pairs.map(|(little, much)| much / little).collect();
        vec![
            format!("{title}: {name}"),
            format!("{:.0}", median(&of_little)),
            format!("{:.0}", median(&of_much)),
            format!("{:.2}", median(&ratios)),
            "0.90".to_owned(),
        ]
    };
    ["idle poll", "send"]
        .into_iter()
        .enumerate()
        .map(row)
        .collect()
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
        side.rate(Action::Send(ROOM), ROUND).await;
    }
    // From now on, each new message evicts old ones.
    side.rate(Action::Send(ROOM), 2 * ROUND).await;
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
        _crowd: None,
    }
}
