//! Requests a second and latencies of what people ask most, beside the bare server.

use std::time::Duration;

use crate::Plan;
use crate::bare::{self, Constant};
use crate::http::{Answer, Connection, Purpose, Request};
use crate::people::{Person, World};
use crate::server::{Server, Under};
use crate::table::{median, ms, print};
use crate::wrk::{Asks, CONNECTIONS, Load, Round};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

/// The room that people look at, the one with news, and the one that they write in.
const READ: i64 = 1;
const NEWS: i64 = 2;
const WRITTEN: i64 = 3;
/// Public rooms, as many as a page shows.
const ROOMS: usize = 50;
/// Messages on a room page, as many as it shows.
const MESSAGES: usize = 100;
/// Messages in a room at most.
const FULL: usize = 500;

/// How a message begins in a page, and a room in the list of public rooms.
const MESSAGE: &str = "<li id=\"m";
const LISTED_ROOM: &str = "<h2><bdi>";

/// A kind of request.
pub struct Kind<'a> {
    /// What it is called in tables.
    pub name: &'static str,
    /// What is to be reached, as a part of what the bare server does.
    pub target: Option<f64>,
    /// Who asks what.
    pub load: Load<'a>,
    /// What Mirage answers each of them.
    pub right: Vec<Answer>,
}

/// Mirage with people in it, a bare server that gives the same answers, and what to ask them.
pub struct Sides {
    /// Where Mirage is.
    pub world: World,
    people: Vec<Person>,
    idle: String,
    news: String,
    assets: Vec<String>,
    /// Mirage.
    pub mirage: Server,
}

/// The bare server's side of a kind.
pub struct Bare {
    /// The server.
    pub server: Server,
    /// What it answers each kind.
    pub right: Vec<Vec<Answer>>,
}

impl Sides {
    /// Mirage, with 32 people in 50 rooms that have been written in.
    pub async fn new(plan: &Plan, under: Under) -> Self {
        let world = World::new(&plan.folder.join("mirage")).await;
        let people = world.add_people(1, CONNECTIONS).await;
        world.add_rooms(1, ROOMS, &people).await;
        world.leave().await;
        let mirage = Server::mirage(world.folder(), &[], under).await;
        let mut to = Connection::open(&mirage.address)
            .await
            .expect("a connection");
        world.talk(&mut to, READ, &people, MESSAGES).await;
        world.talk(&mut to, NEWS, &people, MESSAGES).await;
        world.talk(&mut to, WRITTEN, &people, FULL).await;
        let mut cursor = async |room: i64| {
            let page = Request::get(Purpose::Page, format!("/rooms/{room}"));
            let page = to
                .ask_plain(&page, &people[0].cookie)
                .await
                .expect("a page");
            let cursor = page.between("data-cursor=\"", "\"").to_owned();
            (cursor, page)
        };
        let (idle, page) = cursor(READ).await;
        let (news, _) = cursor(NEWS).await;
        let style = page.between("<link rel=\"stylesheet\" href=\"", "\"");
        let script = page.between("<script src=\"", "\"");
        let assets = vec![style.to_owned(), script.to_owned()];
        world.talk(&mut to, NEWS, &people, 1).await;
        Self {
            world,
            people,
            idle,
            news,
            assets,
            mirage,
        }
    }

    /// The kinds of requests that are compared, each asked once and found right.
    pub async fn kinds(&self) -> Vec<Kind<'_>> {
        let poll = |room: i64, cursor: &str| {
            let target = format!("/rooms/{room}/poll?after={cursor}&wait=0");
            Asks::This(Request::get(Purpose::Fetch, target))
        };
        let room = Request::get(Purpose::Page, format!("/rooms/{READ}"));
        let list = Request::get(Purpose::Page, "/rooms");
        let asset =
            |number: usize| Asks::This(Request::get(Purpose::Asset, self.assets[number].clone()));
        let kinds = [
            ("idle poll", Some(0.70), 204, poll(READ, &self.idle)),
            (
                "poll, one new message",
                Some(0.65),
                200,
                poll(NEWS, &self.news),
            ),
            (
                "room page, 100 messages",
                Some(0.65),
                200,
                Asks::This(room.clone()),
            ),
            (
                "room page, not compressed",
                Some(0.65),
                200,
                Asks::This(room.plain()),
            ),
            (
                "public rooms, 50 rooms",
                Some(0.60),
                200,
                Asks::This(list.clone()),
            ),
            (
                "public rooms, not compressed",
                Some(0.60),
                200,
                Asks::This(list.plain()),
            ),
            ("send", Some(0.60), 204, Asks::ToSend(WRITTEN)),
            ("style sheet", None, 200, asset(0)),
            ("room script", None, 200, asset(1)),
        ];
        let mut found = Vec::new();
        for (name, target, status, asks) in kinds {
            let load = Load {
                people: &self.people,
                asks,
            };
            // The first answers load what is held in memory, and make people seen.
            load.once(&self.world, &self.mirage).await;
            let right = load.once(&self.world, &self.mirage).await;
            assert!(
                right.iter().all(|answer| answer.status == status),
                "{name}: {right:?}"
            );
            found.push(Kind {
                name,
                target,
                load,
                right,
            });
        }
        self.check().await;
        found
    }

    /// Checks what stands in the answers, not compressed.
    async fn check(&self) {
        let idle = format!("/rooms/{READ}/poll?after={}&wait=0", self.idle);
        let news = format!("/rooms/{NEWS}/poll?after={}&wait=0", self.news);
        let mut to = Connection::open(&self.mirage.address)
            .await
            .expect("a connection");
        for (purpose, target, status, mark, count) in [
            (Purpose::Fetch, idle, 204, MESSAGE, 0),
            (Purpose::Fetch, news, 200, MESSAGE, 1),
            (
                Purpose::Page,
                format!("/rooms/{READ}"),
                200,
                MESSAGE,
                MESSAGES,
            ),
            (Purpose::Page, "/rooms".to_owned(), 200, LISTED_ROOM, ROOMS),
        ] {
            let request = Request::get(purpose, target);
            let answer = to
                .ask_plain(&request, &self.people[0].cookie)
                .await
                .expect("an answer");
            let found = (answer.status.as_u16(), answer.text().matches(mark).count());
            assert_eq!(found, (status, count), "{}", request.target);
        }
    }

    /// The bare server, with one of Mirage's answers for each kind: one of the length in the middle.
    pub async fn bare(&self, plan: &Plan, kinds: &[Kind<'_>], under: Under) -> Bare {
        let folder = plan.folder.join("bare");
        let constant = |kind: &Kind<'_>| {
            let request = match &kind.load.asks {
                Asks::This(request) => request.clone(),
                Asks::ToSend(room) => Request::send(*room, "", ""),
            };
            let mut by_length: Vec<&Answer> = kind.right.iter().collect();
            by_length.sort_by_key(|answer| answer.body.len());
            Constant::of(&request, by_length[by_length.len() / 2])
        };
        let constants: Vec<Constant> = kinds.iter().map(constant).collect();
        bare::leave(&folder, &constants);
        let server = Server::bare(&folder, under).await;
        let mut right = Vec::new();
        for kind in kinds {
            let answers = kind.load.once(&self.world, &server).await;
            let status = kind.right[0].status;
            assert!(
                answers.iter().all(|answer| answer.status == status),
                "{answers:?}"
            );
            right.push(answers);
        }
        Bare { server, right }
    }
}

/// Drives both in rounds that alternate, and prints the medians of each kind.
pub async fn run(plan: &Plan) {
    let sides = Sides::new(plan, Under::Nothing).await;
    let kinds = sides.kinds().await;
    let bare = sides.bare(plan, &kinds, Under::Nothing).await;
    let (rounds, span) = if plan.is_quick {
        (1, Duration::from_secs(1))
    } else {
        (ROUNDS, ROUND)
    };
    let mut results: Vec<Vec<(Round, Round)>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (number, kind) in kinds.iter().enumerate() {
            let of_mirage = || {
                kind.load
                    .round(&sides.world, &sides.mirage, span, &kind.right)
            };
            let of_bare = || {
                kind.load
                    .round(&sides.world, &bare.server, span, &bare.right[number])
            };
            // Neither is always the one that comes after the other.
            let pair = if round % 2 == 0 {
                let first = of_mirage();
                (first, of_bare())
            } else {
                let first = of_bare();
                (of_mirage(), first)
            };
            results[number].push(pair);
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    sides.check().await;
    let rows: Vec<Vec<String>> = kinds
        .iter()
        .zip(&results)
        .map(|(kind, rounds)| row(kind, rounds))
        .collect();
    print(
        &[
            "",
            "Mirage, 1/s",
            "p50",
            "p99",
            "bare, 1/s",
            "p50",
            "p99",
            "ratio",
            "target",
        ],
        &rows,
    );
}

fn row(kind: &Kind<'_>, rounds: &[(Round, Round)]) -> Vec<String> {
    let mut row = vec![kind.name.to_owned()];
    for side in [
        |pair: &(Round, Round)| pair.0,
        |pair: &(Round, Round)| pair.1,
    ] {
        let rounds: Vec<Round> = rounds.iter().map(side).collect();
        let rates: Vec<f64> = rounds.iter().map(|round| round.rate).collect();
        let p50s: Vec<Duration> = rounds.iter().map(|round| round.p50).collect();
        let p99s: Vec<Duration> = rounds.iter().map(|round| round.p99).collect();
        row.push(format!("{:.0}", median(&rates)));
        row.extend([ms(median(&p50s)), ms(median(&p99s))]);
    }
    let ratios: Vec<f64> = rounds
        .iter()
        .map(|(mirage, bare)| mirage.rate / bare.rate)
        .collect();
    row.push(format!("{:.2}", median(&ratios)));
    row.push(
        kind.target
            .map_or_else(String::new, |target| format!("{target:.2}")),
    );
    row
}
