//! Others, and the memory of the server, while somebody tries wrong passwords as fast as they like: 100
//! a second, over a connection each, with limits off.
//!
//! Each takes the server some 20 ms and 19 MiB; most are told to come again, because there is a crowd.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::task::JoinSet;

use crate::Plan;
use crate::crowd::cursor;
use crate::http::{Connection, Purpose, Request};
use crate::people::{Person, World};
use crate::server::{Server, Under};
use crate::table::{mib, ms, percentile, print};
use crate::traffic::{self, Answered, Ask, Pace, ask_all, failures, spans};
use crate::wrk::Asks;

const SPAN: Duration = Duration::from_secs(10);
/// Between two tries to sign in.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// Between two requests of one of the others.
const ASK_EVERY: Duration = Duration::from_millis(40);
/// How many poll, and how many send.
const OTHERS: usize = 8;
/// How long memory may take to be given back.
const RECOVERY: Duration = Duration::from_secs(10);

/// The room where nothing happens, and the one that is written in.
const QUIET: i64 = 1;
const LOUD: i64 = 2;

const POLL: &str = "idle poll";
const SEND: &str = "send";

/// Measures the others without and with the tries, and the memory before, meanwhile and after.
pub async fn run(plan: &Plan) {
    let span = if plan.is_quick { SPAN / 5 } else { SPAN };
    let world = World::new(&plan.folder).await;
    let people = world.add_people(1, 2 * OTHERS).await;
    world.add_rooms(QUIET, 2, &people).await;
    world.leave().await;
    let server = Server::mirage(world.folder(), &[], Under::Nothing).await;
    let world = Arc::new(world);
    let cursor = cursor(&server, QUIET, &people[0]).await;
    let poll = format!("/rooms/{QUIET}/poll?after={cursor}&wait=0");
    let poll = Ask {
        what: POLL,
        asks: Asks::This(Request::get(Purpose::Fetch, poll)),
        status: 204,
    };
    let send = Ask {
        what: SEND,
        asks: Asks::ToSend(LOUD),
        status: 204,
    };
    let asks = [poll, send];

    // The first answers load what is held in memory.
    others(&world, &server, &people, &asks, span / 5).await;
    let unloaded = others(&world, &server, &people, &asks, span).await;
    server.settle().await;
    let idle = server.memory();
    server.forget_peak();
    let (loaded, tried) = tokio::join!(
        others(&world, &server, &people, &asks, span),
        try_to_sign_in(&server, &people, span),
    );
    let peak = server.peak_memory();
    server.settle().await;
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
        "{asked} sign-ins in {} s were answered: {}.",
        span.as_secs(),
        counted.join(", ")
    );
    println!(
        "Memory: {} when idle, {} more at the most, {} more {} s later.",
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

/// Half of the people poll, and half send.
async fn others(
    world: &Arc<World>,
    server: &Server,
    people: &[Person],
    asks: &[Ask],
    span: Duration,
) -> Vec<Answered> {
    let ask = |number: usize| vec![asks[number % 2].clone()];
    let running = Stopwatch::start();
    let every = Some(ASK_EVERY);
    traffic::all(ask_all(world, server, people, ask, every, span, running)).await
}

/// Tries to sign in, half of the times as somebody who has an account. Gives how many were answered with
/// which status.
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
