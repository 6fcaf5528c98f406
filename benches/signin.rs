//! A flood of wrong sign-ins: latency of other people and memory of the server during 100 attempts per
//! second, each over its own connection, with limits off.
//!
//! Each attempt costs the server about 20 ms and 19 MiB; most are refused because of the overload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::task::JoinSet;

use crate::Plan;
use crate::crowd::cursor;
use crate::http::{Connection, Purpose, Request};
use crate::people::{Dataset, Person};
use crate::server::{Environment, Server};
use crate::table::{mib, ms, percentile, print};
use crate::traffic::{self, Answered, Ask, Pace, ask_all, failures, spans};
use crate::wrk::Action;

const SPAN: Duration = Duration::from_secs(10);
/// The interval between two sign-in attempts.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// The interval between two requests of one other person.
const ASK_EVERY: Duration = Duration::from_millis(40);
/// How many people poll, and how many send.
const OTHERS: usize = 8;
/// How long the server may take to return memory.
const RECOVERY: Duration = Duration::from_secs(10);

/// The room without messages, and the one that people write in.
const QUIET: i64 = 1;
const LOUD: i64 = 2;

const POLL: &str = "idle poll";
const SEND: &str = "send";

/// Measures other people without and with the attempts, and memory before, during and after them.
pub async fn run(plan: &Plan) {
    let span = if plan.is_quick { SPAN / 5 } else { SPAN };
    let dataset = Dataset::new(&plan.folder).await;
    let people = dataset.add_people(1, 2 * OTHERS).await;
    dataset.add_rooms(QUIET, 2, &people).await;
    dataset.close().await;
    let server = Server::mirage(dataset.folder(), &[], Environment::Plain).await;
    let dataset = Arc::new(dataset);
    let cursor = cursor(&server, QUIET, &people[0]).await;
    let poll = format!("/rooms/{QUIET}/poll?after={cursor}&wait=0");
    let poll = Ask {
        what: POLL,
        action: Action::Repeat(Request::get(Purpose::Fetch, poll)),
        status: 204,
    };
    let send = Ask {
        what: SEND,
        action: Action::Send(LOUD),
        status: 204,
    };
    let asks = [poll, send];

    // The first requests fill the caches.
    others(&dataset, &server, &people, &asks, span / 5).await;
    let unloaded = others(&dataset, &server, &people, &asks, span).await;
    server.wait_until_idle().await;
    let idle = server.memory();
    server.reset_peak();
    let (loaded, tried) = tokio::join!(
        others(&dataset, &server, &people, &asks, span),
        try_to_sign_in(&server, &people, span),
    );
    let peak = server.peak_memory();
    server.wait_until_idle().await;
    tokio::time::sleep(RECOVERY).await;
    let after = server.memory();

    let rows: Vec<Vec<String>> = [POLL, SEND]
        .iter()
        .map(|what| row(what, &unloaded, &loaded))
        .collect();
    print(
        &[
            "",
            "p50",
            "p99",
            "p50, loaded",
            "p99, loaded",
            "p99, ratio",
            "failed of",
        ],
        &rows,
    );
    let asked: usize = tried.values().sum();
    let counted: Vec<String> = tried
        .iter()
        .map(|(status, count)| format!("{count} with {status}"))
        .collect();
    println!(
        "Responses to {asked} sign-ins in {} s: {}.",
        span.as_secs(),
        counted.join(", ")
    );
    println!(
        "Memory: {} when idle, at most {} more under load, {} more {} s later.",
        mib(idle),
        mib(peak.saturating_sub(idle)),
        mib(after.saturating_sub(idle)),
        RECOVERY.as_secs()
    );
    println!("Targets: ratio at most 10, none failed, at most 95.4 MiB (100 MB) more.");
    let failed = failures(&unloaded) + failures(&loaded);
    assert_eq!(failed, 0, "polls or sends failed");
    let others: usize = tried
        .iter()
        .filter(|(status, _)| !["422", "503"].contains(&status.as_str()))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(others, 0, "sign-ins were neither refused nor put off");
}

fn row(what: &str, unloaded: &[Answered], loaded: &[Answered]) -> Vec<String> {
    let of_this = |answered: &[Answered]| -> Vec<Answered> {
        let of_this = answered.iter().filter(|answered| answered.what == what);
        of_this.copied().collect()
    };
    let (unloaded, loaded) = (of_this(unloaded), of_this(loaded));
    let at = |answered: &[Answered], part| percentile(&spans(answered), part);
    let ratio = at(&loaded, 0.99).as_secs_f64() / at(&unloaded, 0.99).as_secs_f64();
    let failed = failures(&unloaded) + failures(&loaded);
    vec![
        what.to_owned(),
        ms(at(&unloaded, 0.5)),
        ms(at(&unloaded, 0.99)),
        ms(at(&loaded, 0.5)),
        ms(at(&loaded, 0.99)),
        format!("{ratio:.1}"),
        format!("{failed} of {}", unloaded.len() + loaded.len()),
    ]
}

/// Lets half of the people poll, and half send.
async fn others(
    dataset: &Arc<Dataset>,
    server: &Server,
    people: &[Person],
    asks: &[Ask],
    span: Duration,
) -> Vec<Answered> {
    let ask = |number: usize| vec![asks[number % 2].clone()];
    let running = Stopwatch::start();
    let every = Some(ASK_EVERY);
    traffic::all(ask_all(dataset, server, people, ask, every, span, running)).await
}

/// Sends wrong sign-ins, half of them for existing accounts. Returns the number of responses by status.
async fn try_to_sign_in(
    server: &Server,
    people: &[Person],
    span: Duration,
) -> BTreeMap<String, usize> {
    let running = Stopwatch::start();
    let mut pace = Pace::new(Duration::ZERO, TRY_EVERY);
    let mut tries = JoinSet::new();
    for (number, person) in people.iter().cycle().enumerate() {
        if pace.next(running).await >= span {
            break;
        }
        let name = if number % 2 == 0 {
            person.name.clone()
        } else {
            format!("nobody{number}")
        };
        let password = format!("a kettle of cats {number}");
        let form = Request::form("/login", &[("name", &name), ("password", &password)]);
        tries.spawn(sign_in(server.address.clone(), form));
    }
    let mut counts = BTreeMap::new();
    for answer in tries.join_all().await {
        *counts.entry(answer).or_default() += 1;
    }
    counts
}

async fn sign_in(address: String, form: Request) -> String {
    let answer = match Connection::open(&address).await {
        Ok(mut to) => to.ask(&form, "").await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => answer.status.as_u16().to_string(),
        Err(error) => error.kind().to_string(),
    }
}
