//! Timing side channels: whether the response time reveals why a sign-in or a join was refused.
//!
//! Requests are sent one at a time over one connection, one of each kind in a random order per round, so
//! that other load on the machine affects all kinds alike. Every response is compared: status, headers
//! without `Date`, and body without the typed name, which has the same length in all kinds.

use std::time::Duration;

use mirage::clock::Stopwatch;
use mirage::security::secret::random_bytes;

use crate::Plan;
use crate::http::{Answer, Connection, Request};
use crate::people::Dataset;
use crate::server::{Environment, Server};
use crate::table::{median, ms, percentile, print};

/// Rounds that are not measured, because they fill caches.
const WARM_UP: usize = 10;

/// The first account ID and the number of accounts. All IDs have two digits, so that names are equally long.
const FIRST: i64 = 10;
const PEOPLE: usize = 45;

const ROOM_PASSWORD: &str = "open sesame";
const OWN: &str = "Kettle club";
const BANNED: &str = "Pepper club";
const NONE: &str = "Basket club";

/// A reason for a refusal.
struct Reason {
    what: &'static str,
    /// The names to type, in turn. Names at the same index have the same length for all reasons.
    names: Vec<String>,
    password: &'static str,
}

/// Compares refused sign-ins, then refused joins.
pub async fn run(plan: &Plan) {
    let dataset = Dataset::new(&plan.folder).await;
    let people = dataset.add_people(FIRST, PEOPLE).await;
    dataset.close().await;
    let server = Server::mirage(dataset.folder(), &[], Environment::Plain).await;
    let names: Vec<String> = people.iter().map(|person| person.name.clone()).collect();
    let unknown = people.iter().map(|person| {
        let other = person.id + PEOPLE as i64;
        person
            .name
            .replace(&person.id.to_string(), &other.to_string())
    });
    let sign_ins = [
        Reason {
            what: "unknown name",
            names: unknown.collect(),
            password: "a kettle of cats",
        },
        Reason {
            what: "wrong password",
            names,
            password: "a kettle of cats",
        },
    ];
    compare(plan, &server, "/login", "", &sign_ins).await;

    let (owner, guest) = (&people[0], &people[1]);
    for name in [OWN, BANNED] {
        let form = [
            ("name", name),
            ("kind", "private"),
            ("password", ROOM_PASSWORD),
        ];
        server
            .submit(&Request::form("/rooms/new", &form), &owner.cookie)
            .await;
    }
    let form = [("name", BANNED), ("password", ROOM_PASSWORD)];
    let join = Request::form("/rooms/private", &form);
    let room = server.submit(&join, &guest.cookie).await;
    let (room, _) = room.split_once('?').expect("a room's address");
    let ban = format!("{room}/members/{}/ban", guest.id);
    let ban = Request::form(ban, &[("reason", "Pepper in the tea")]);
    server.submit(&ban, &owner.cookie).await;

    let reason = |what, name: &str, password| Reason {
        what,
        names: vec![name.to_owned()],
        password,
    };
    let joins = [
        reason("no such room", NONE, ROOM_PASSWORD),
        reason("wrong password", OWN, "open barley"),
        reason("banned, right password", BANNED, ROOM_PASSWORD),
    ];
    compare(plan, &server, "/rooms/private", &guest.cookie, &joins).await;
}

async fn compare(plan: &Plan, server: &Server, target: &str, cookie: &str, reasons: &[Reason]) {
    let (count, goal) = match (plan.is_quick, plan.is_long) {
        (true, _) => (30, 0.03),
        (_, true) => (5_000, 0.01),
        _ => (300, 0.03),
    };
    let to = Connection::open(&server.address).await;
    let mut to = to.expect("a connection");
    let mut spans = vec![Vec::new(); reasons.len()];
    for round in 0..WARM_UP + count {
        let mut answers = vec![None; reasons.len()];
        for place in shuffled(reasons.len()) {
            let reason = &reasons[place];
            let name = &reason.names[round % reason.names.len()];
            let form = [("name", name.as_str()), ("password", reason.password)];
            let form = Request::form(target, &form);
            let running = Stopwatch::start();
            let answer = to.ask_plain(&form, cookie).await.expect("an answer");
            let took = running.elapsed();
            if round >= WARM_UP {
                spans[place].push(took);
            }
            answers[place] = Some(without_name(answer, name));
        }
        for (reason, answer) in reasons.iter().zip(&answers) {
            assert_eq!(
                answer, &answers[0],
                "{target}: the responses to {} and {} differ",
                reason.what, reasons[0].what
            );
        }
    }
    let rows: Vec<Vec<String>> = reasons
        .iter()
        .zip(&spans)
        .map(|(reason, spans)| {
            vec![
                reason.what.to_owned(),
                ms(median(spans)),
                ms(percentile(spans, 0.25)),
                ms(percentile(spans, 0.75)),
            ]
        })
        .collect();
    print(&[target, "median", "p25", "p75"], &rows);
    let medians: Vec<Duration> = spans.iter().map(|spans| median(spans)).collect();
    let least = medians.iter().min().expect("reasons").as_secs_f64();
    let most = medians.iter().max().expect("reasons").as_secs_f64();
    let difference = most / least - 1.0;
    let verdict = if difference <= goal { "met" } else { "missed" };
    println!(
        "{count} of each; status, headers without Date, and bodies are equal. The medians differ by at most \
        {:.2} % (target: {:.0} %, {verdict}).",
        difference * 100.0,
        goal * 100.0
    );
}

/// The parts of a response that must not depend on the reason.
fn without_name(answer: Answer, name: &str) -> (u16, Vec<(String, String)>, String) {
    let typed = format!(" value=\"{name}\"");
    let text = answer.text();
    assert_eq!(text.matches(&typed).count(), 1, "{name} in {text}");
    let body = text.replace(&typed, "");
    let headers = answer
        .headers
        .into_iter()
        .filter(|(name, _)| name != "date");
    (answer.status.as_u16(), headers.collect(), body)
}

/// The numbers below `count`, in a random order.
fn shuffled(count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    numbers.sort_by_cached_key(|_| random_bytes::<8>());
    numbers
}
