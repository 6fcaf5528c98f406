//! Whether much of everything makes the server slow, and what messages take.
//!
//! Two Mirages run beside each other, one with little and one with much of something, and are driven in
//! alternating rounds: by one person, so that all else is equal.

use std::time::Duration;

use mirage::clock::Stopwatch;

use crate::Plan;
use crate::crowd::{Crowd, Wait, cursor};
use crate::http::{Answer, Connection, Purpose, Request};
use crate::people::{Person, World};
use crate::server::{Server, Under};
use crate::table::{median, mib, print};
use crate::wrk::{Asks, Load};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);
/// The room that is measured, and the first of the others.
const ROOM: i64 = 1;
const ELSEWHERE: i64 = 2;
/// Messages in a room at most, by default.
const FULL: usize = 500;

/// What the messages of all rooms may take by default, in bytes.
const BUFFER: u64 = 64 << 20;
/// Messages of each length.
const MESSAGES: usize = 10_000;
/// Their lengths, in bytes; the last is the most that is taken.
const LENGTHS: [usize; 3] = [20, 200, 2_000];

/// A Mirage, and who asks it.
struct Side {
    world: World,
    server: Server,
    people: Vec<Person>,
    /// Who waits elsewhere.
    _crowd: Option<Crowd>,
}

/// How much of everything there is.
#[derive(Clone, Copy)]
struct Size {
    rooms: usize,
    /// In each of the rooms.
    members: usize,
    /// In the room that is measured.
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
        let world = World::new(&plan.folder.join(name)).await;
        let people = world.add_people(1, size.members).await;
        world.add_rooms(ROOM, size.rooms, &people).await;
        // The rest are in a room of their own, where they wait.
        let first = 1 + size.members as i64;
        let others = world.add_people(first, size.waiting).await;
        let other_room = ROOM + size.rooms as i64;
        if size.waiting > 0 {
            world.add_rooms(other_room, 1, &others).await;
        }
        world.leave().await;
        let flag = format!("--max-messages={}", size.messages);
        let server = Server::mirage(world.folder(), &[&flag], Under::Nothing).await;
        let mut to = Connection::open(&server.address)
            .await
            .expect("a connection");
        world.talk(&mut to, ROOM, &people[..1], size.messages).await;
        for room in (ELSEWHERE..).take(size.rooms - 1) {
            world.talk(&mut to, room, &people[..1], 1).await;
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
            Some(Crowd::gather(&server, waits, Stopwatch::start()).await)
        };
        Self {
            world,
            server,
            people,
            _crowd: crowd,
        }
    }

    /// Polls and sends a second.
    async fn rates(&self, span: Duration) -> [f64; 2] {
        // The last messages of an earlier round may still be coming in.
        self.server.settle().await;
        let cursor = cursor(&self.server, ROOM, &self.people[0]).await;
        let poll = format!("/rooms/{ROOM}/poll?after={cursor}&wait=0");
        let poll = Asks::This(Request::get(Purpose::Fetch, poll));
        [
            self.rate(poll, span).await,
            self.rate(Asks::ToSend(ROOM), span).await,
        ]
    }

    async fn rate(&self, asks: Asks, span: Duration) -> f64 {
        let load = Load {
            people: &self.people[..1],
            asks,
        };
        let right: Vec<Answer> = load.once(&self.world, &self.server).await;
        assert_eq!(right[0].status, 204, "{right:?}");
        load.round(&self.world, &self.server, span, &right).rate
    }
}

/// Measures little against much of each thing, then what messages take.
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
    print(&["", "little, 1/s", "much, 1/s", "ratio", "target"], &rows);
    messages(plan).await;
}

async fn compare(plan: &Plan, title: &str, little: &Side, much: &Side) -> Vec<Vec<String>> {
    let rounds = if plan.is_quick { 1 } else { ROUNDS };
    let (mut of_little, mut of_much) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Neither is always the one that comes after the other.
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

/// What messages of some lengths take in memory, and what as many do as the server keeps.
async fn messages(plan: &Plan) {
    let mut rows = Vec::new();
    for length in LENGTHS {
        let side = many(plan, &format!("{length} bytes")).await;
        let author = &side.people[0];
        let text: String = "kettle and cake ".chars().cycle().take(length).collect();
        let mut to = Connection::open(&side.server.address)
            .await
            .expect("a connection");
        side.world.talk(&mut to, ROOM, &side.people, 1).await;
        let before = side.server.memory();
        let count = if plan.is_quick {
            MESSAGES / 10
        } else {
            MESSAGES
        };
        for _ in 0..count {
            let send = Request::send(ROOM, text.trim(), &side.world.nonce(author, ROOM));
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
    print(&["bytes of a text", "bytes of memory", "ratio"], &rows);

    let side = many(plan, "full").await;
    let empty = side.server.memory();
    let author = &side.people[0];
    let ask = async |target: String| {
        let page = Request::get(Purpose::Page, target);
        side.server.ask(&page, &author.cookie).await
    };
    // The first to come is the first to go.
    let mut to = Connection::open(&side.server.address)
        .await
        .expect("a connection");
    side.world.talk(&mut to, ROOM, &side.people, 1).await;
    let page = ask(format!("/rooms/{ROOM}")).await;
    let first = page.between("<li id=\"m", "\"");
    while ask(format!("/rooms/{ROOM}/messages/{first}/delete"))
        .await
        .status
        != 404
    {
        side.rate(Asks::ToSend(ROOM), ROUND).await;
    }
    // Messages come as fast as the oldest go.
    side.rate(Asks::ToSend(ROOM), 2 * ROUND).await;
    let memory = side.server.memory();
    println!(
        "Full of messages, {} by its own count, it takes {}, and took {} without any: {:.2} of them (target: 1.50).",
        mib(BUFFER),
        mib(memory),
        mib(empty),
        memory as f64 / BUFFER as f64
    );
}

/// A Mirage whose rooms keep as many messages as can be.
async fn many(plan: &Plan, name: &str) -> Side {
    let world = World::new(&plan.folder.join(name)).await;
    let people = world.add_people(1, 1).await;
    world.add_rooms(ROOM, 1, &people).await;
    world.leave().await;
    let server = Server::mirage(world.folder(), &["--max-messages=100000"], Under::Nothing).await;
    Side {
        world,
        server,
        people,
        _crowd: None,
    }
}
