//! Throughput and latencies of the most frequent requests, compared with the bare server.

use std::time::Duration;

use crate::Plan;
use crate::bare::{self, Constant};
use crate::http::{Answer, Connection, Purpose, Request};
use crate::people::{Dataset, Person};
use crate::server::{Environment, Server};
use crate::table::{median, ms, print};
use crate::wrk::{Action, CONNECTIONS, Load, Round};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

/// The room that people read.
const READ: i64 = 1;
/// The number of public rooms: one full page. People are in all of them.
const ROOMS: usize = 50;
/// The room of those who are in one room only.
const ALONE: i64 = 51;
/// The room that is written in, and the one with a new message. Nobody else is in them, because a poll says which of
/// the reader's other rooms have news.
const WRITTEN: i64 = 52;
const NEWS: i64 = 53;
/// The number of messages in the rooms that are read: one full page.
const MESSAGES: usize = 100;
/// The default maximum of messages in a room.
const FULL: usize = 500;

/// The start of a message in a page, and of a room in the list of public rooms.
const MESSAGE: &str = "<li id=\"m";
const LISTED_ROOM: &str = "<h2><bdi>";

/// A kind of request.
pub struct Kind<'a> {
    /// The name in tables.
    pub name: &'static str,
    /// The target, as a fraction of the bare server's throughput.
    pub target: Option<f64>,
    /// The requests and the people who send them.
    pub load: Load<'a>,
    /// Mirage's response to each person.
    pub right: Vec<Answer>,
}

/// A running Mirage with people and rooms, and what is needed to build the requests.
pub struct Setup {
    /// The data of Mirage.
    pub dataset: Dataset,
    people: Vec<Person>,
    /// As many people in the same rooms, and in the room with a new message.
    informed: Vec<Person>,
    /// As many people, who are in one room only.
    alone: Vec<Person>,
    /// As many people, who write.
    writers: Vec<Person>,
    idle: String,
    idle_alone: String,
    news: String,
    assets: Vec<String>,
    /// The server.
    pub mirage: Server,
}

/// The bare server with its responses.
pub struct Bare {
    /// The server.
    pub server: Server,
    /// Its responses to each kind of request.
    pub right: Vec<Vec<Answer>>,
}

impl Setup {
    /// Starts Mirage with 64 people in 50 rooms, and rooms of their own for some of them.
    pub async fn new(plan: &Plan, environment: Environment) -> Self {
        Self::with(plan, &[], environment).await
    }

    /// Starts Mirage in the same way, with these flags.
    pub async fn with(plan: &Plan, flags: &[&str], environment: Environment) -> Self {
        let dataset = Dataset::new(&plan.folder.join("mirage")).await;
        let mut first = 1;
        let mut people = async || {
            let people = dataset.add_people(first, CONNECTIONS).await;
            first += CONNECTIONS as i64;
            people
        };
        let (readers, informed) = (people().await, people().await);
        let (alone, writers) = (people().await, people().await);
        let everywhere = [&readers[..], &informed].concat();
        dataset.add_rooms(1, ROOMS, &everywhere).await;
        dataset.add_rooms(ALONE, 1, &alone).await;
        dataset.add_rooms(WRITTEN, 1, &writers).await;
        dataset.add_rooms(NEWS, 1, &informed).await;
        dataset.close().await;
        let mirage = Server::mirage(dataset.folder(), flags, environment).await;
        let mut to = Connection::open(&mirage.address)
            .await
            .expect("a connection");
        dataset
            .send_messages(&mut to, READ, &readers, MESSAGES)
            .await;
        dataset
            .send_messages(&mut to, NEWS, &informed, MESSAGES)
            .await;
        dataset
            .send_messages(&mut to, WRITTEN, &writers, FULL)
            .await;
        let cursor = async |to: &mut Connection, room: i64, person: &Person| {
            let page = Request::get(Purpose::Page, format!("/rooms/{room}"));
            let page = to.ask_plain(&page, &person.cookie).await.expect("a page");
            let cursor = page.between("data-cursor=\"", "\"").to_owned();
            (cursor, page)
        };
        let (_, page) = cursor(&mut to, READ, &readers[0]).await;
        let style = page.between("<link rel=\"stylesheet\" href=\"", "\"");
        let script = page.between("<script src=\"", "\"");
        let assets = vec![style.to_owned(), script.to_owned()];
        // A poll looks again at the other rooms that changed up to a second before its cursor, and the same cursor is
        // sent again and again here.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (news, _) = cursor(&mut to, NEWS, &informed[0]).await;
        dataset.send_messages(&mut to, NEWS, &informed, 1).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (idle, _) = cursor(&mut to, READ, &readers[0]).await;
        let (idle_alone, _) = cursor(&mut to, ALONE, &alone[0]).await;
        Self {
            dataset,
            people: readers,
            informed,
            alone,
            writers,
            idle,
            idle_alone,
            news,
            assets,
            mirage,
        }
    }

    /// The kinds of requests to compare, each sent once and checked.
    pub async fn kinds(&self) -> Vec<Kind<'_>> {
        let poll = |room: i64, cursor: &str| {
            let target = format!("/rooms/{room}/poll?after={cursor}&wait=0");
            Action::Repeat(Request::get(Purpose::Fetch, target))
        };
        let room = Request::get(Purpose::Page, format!("/rooms/{READ}"));
        let list = Request::get(Purpose::Page, "/rooms");
        let asset = |number: usize| {
            Action::Repeat(Request::get(Purpose::Asset, self.assets[number].clone()))
        };
        let repeat = Action::Repeat;
        let kinds = [
            ("idle poll", Some(0.75), 204, poll(READ, &self.idle)),
            (
                "idle poll, in one room",
                None,
                204,
                poll(ALONE, &self.idle_alone),
            ),
            (
                "poll, one new message",
                Some(0.70),
                200,
                poll(NEWS, &self.news),
            ),
            (
                "room page, 100 messages",
                Some(0.40),
                200,
                repeat(room.clone()),
            ),
            (
                "room page, gzip only",
                Some(0.25),
                200,
                repeat(room.clone().gzip()),
            ),
            (
                "room page, not compressed",
                Some(0.65),
                200,
                repeat(room.plain()),
            ),
            (
                "public rooms, 50 rooms",
                Some(0.40),
                200,
                repeat(list.clone()),
            ),
            (
                "public rooms, gzip only",
                Some(0.25),
                200,
                repeat(list.clone().gzip()),
            ),
            (
                "public rooms, not compressed",
                Some(0.55),
                200,
                repeat(list.plain()),
            ),
            ("send", Some(0.50), 204, Action::Send(WRITTEN)),
            ("style sheet", None, 200, asset(0)),
            ("room script", None, 200, asset(1)),
        ];
        let mut found = Vec::new();
        for (name, target, status, action) in kinds {
            let people = match name {
                "idle poll, in one room" => &self.alone,
                "poll, one new message" => &self.informed,
                "send" => &self.writers,
                _ => &self.people,
            };
            let load = Load { people, action };
            // The first requests fill the caches and mark people as present.
            load.once(&self.dataset, &self.mirage).await;
            let right = load.once(&self.dataset, &self.mirage).await;
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

    /// The names and bodies of the pages that are compared, not compressed.
    pub async fn pages(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut to = Connection::open(&self.mirage.address)
            .await
            .expect("a connection");
        let mut pages = Vec::new();
        for (name, target) in [
            ("room page", format!("/rooms/{READ}")),
            ("public rooms", "/rooms".to_owned()),
        ] {
            let request = Request::get(Purpose::Page, target);
            let cookie = &self.people[0].cookie;
            let page = to.ask_plain(&request, cookie).await.expect("a page");
            pages.push((name, page.body));
        }
        pages
    }

    /// Checks the content of the uncompressed responses.
    async fn check(&self) {
        let idle = format!("/rooms/{READ}/poll?after={}&wait=0", self.idle);
        let news = format!("/rooms/{NEWS}/poll?after={}&wait=0", self.news);
        let reader = &self.people[0];
        let mut to = Connection::open(&self.mirage.address)
            .await
            .expect("a connection");
        for (person, purpose, target, status, mark, count) in [
            (reader, Purpose::Fetch, idle, 204, MESSAGE, 0),
            (&self.informed[0], Purpose::Fetch, news, 200, MESSAGE, 1),
            (
                reader,
                Purpose::Page,
                format!("/rooms/{READ}"),
                200,
                MESSAGE,
                MESSAGES,
            ),
            (
                reader,
                Purpose::Page,
                "/rooms".to_owned(),
                200,
                LISTED_ROOM,
                ROOMS,
            ),
        ] {
            let request = Request::get(purpose, target);
            let answer = to
                .ask_plain(&request, &person.cookie)
                .await
                .expect("an answer");
            let found = (answer.status.as_u16(), answer.text().matches(mark).count());
            assert_eq!(found, (status, count), "{}", request.target);
        }
    }

    /// Starts the bare server, with the response of median length of each kind.
    pub async fn bare(&self, plan: &Plan, kinds: &[Kind<'_>], environment: Environment) -> Bare {
        let folder = plan.folder.join("bare");
        let constant = |kind: &Kind<'_>| {
            let request = match &kind.load.action {
                Action::Repeat(request) => request.clone(),
                Action::Send(room) => Request::send(*room, "", ""),
            };
            let mut by_length: Vec<&Answer> = kind.right.iter().collect();
            by_length.sort_by_key(|answer| answer.body.len());
            Constant::of(&request, by_length[by_length.len() / 2])
        };
        let constants: Vec<Constant> = kinds.iter().map(constant).collect();
        bare::write_answers(&folder, &constants);
        let server = Server::bare(&folder, environment).await;
        let mut right = Vec::new();
        for kind in kinds {
            let answers = kind.load.once(&self.dataset, &server).await;
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

/// Loads both servers in alternating rounds, and prints the medians of each kind.
pub async fn run(plan: &Plan) {
    let setup = Setup::new(plan, Environment::Plain).await;
    let kinds = setup.kinds().await;
    let bare = setup.bare(plan, &kinds, Environment::Plain).await;
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
                    .round(&setup.dataset, &setup.mirage, span, &kind.right)
            };
            let of_bare = || {
                kind.load
                    .round(&setup.dataset, &bare.server, span, &bare.right[number])
            };
            // Alternates which server comes first.
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
    setup.check().await;
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
