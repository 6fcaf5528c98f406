//! Stability: whether memory, file descriptors and latencies stay constant at a third of full load.
//!
//! Many clients hold polls open, and some send a mix of requests. Full load is their throughput when they
//! send as fast as they get responses; afterwards they send at a third of that rate, whether or not the
//! server keeps up. Messages expire after half a minute, so that as many expire as are sent.

use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::sync::mpsc;

use crate::Plan;
use crate::crowd::{Crowd, Wait, cursor};
use crate::http::{Purpose, Request};
use crate::people::{Dataset, Person};
use crate::server::{Environment, Server};
use crate::table::{mib, ms, percentile, print};
use crate::traffic::{self, Answered, Ask, ask_all, failures, spans};
use crate::wrk::Action;

/// The lifespan of messages.
const LIFESPAN: &str = "--message-lifespan=30s";
/// The time until messages expire as fast as they are sent, and their memory has been returned.
const WARM_UP: Duration = Duration::from_secs(45);
const SHORT: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(3_600);
/// The number of intervals at whose end the server is sampled.
const LOOKS: u32 = 12;
/// How long to measure full load.
const FULL: Duration = Duration::from_secs(10);

/// The number of clients that send requests, and of those that wait.
const ASKERS: usize = 32;
const WAITING: usize = 128;
/// The number of rooms that people write in; the room after them is quiet.
const ROOMS: usize = 20;
const QUIET: i64 = ROOMS as i64 + 1;

/// The highest ratio of the last to the first quarter that counts as flat: for memory and descriptors, and
/// for p99.
const FLAT: f64 = 1.05;
const FLAT_P99: f64 = 1.5;

/// A sample of the server at the end of an interval.
struct Look {
    rate: f64,
    p50: Duration,
    p99: Duration,
    memory: u64,
    descriptors: usize,
}

/// Measures full load, and then a third of it for a long time.
pub async fn run(plan: &Plan) {
    let short = |span: Duration| if plan.is_quick { span / 10 } else { span };
    let span = short(if plan.is_long { LONG } else { SHORT });
    let dataset = Dataset::new(&plan.folder).await;
    let people = dataset.add_people(1, ASKERS + WAITING).await;
    dataset.add_rooms(1, ROOMS + 1, &people).await;
    dataset.close().await;
    // With this limit, messages are removed only when they expire.
    let flags = [LIFESPAN, "--max-messages=100000"];
    let server = Server::mirage(dataset.folder(), &flags, Environment::Plain).await;
    let dataset = Arc::new(dataset);
    let (askers, waiting) = people.split_at(ASKERS);
    let running = Stopwatch::start();
    let crowd = connect_waiting(&server, waiting, running).await;
    let asks = asks(&server, &askers[0]).await;

    let ask = |every: Option<Duration>, until: Duration| {
        ask_all(&dataset, &server, askers, &asks, every, until, running)
    };

    let began = running.elapsed();
    let full = traffic::all(ask(None, began + short(FULL))).await;
    let full_rate = full.len() as f64 / (running.elapsed() - began).as_secs_f64();
    assert_eq!(failures(&full), 0);
    let every = Duration::from_secs_f64(ASKERS as f64 / (full_rate / 3.0));
    println!(
        "Full load with {} waiting and {ASKERS} active clients: {full_rate:.0} responses per second, p99 {}.",
        crowd.size(),
        ms(percentile(&spans(&full), 0.99))
    );

    let began = running.elapsed() + short(WARM_UP);
    let mut answers = ask(Some(every), began + span);
    let mut until = began;
    let (mut failed, mut looks) = (0, Vec::new());
    loop {
        let answered = collect(&mut answers, until, running).await;
        failed += failures(&answered);
        if until > began {
            looks.push(Look {
                rate: answered.len() as f64 / (span / LOOKS).as_secs_f64(),
                p50: percentile(&spans(&answered), 0.5),
                p99: percentile(&spans(&answered), 0.99),
                memory: server.memory(),
                descriptors: server.descriptors(),
            });
        }
        if looks.len() == LOOKS as usize {
            break;
        }
        until += span / LOOKS;
    }
    report(&looks, span / LOOKS, failed);
    drop(crowd);
}

/// Connects the waiting clients, spread over all rooms. Their receipts are ignored.
async fn connect_waiting(server: &Server, people: &[Person], running: Stopwatch) -> Crowd {
    let mut waits = Vec::new();
    for (person, room) in people.iter().zip((1..=QUIET).cycle()) {
        waits.push(Wait {
            room,
            path: format!("/rooms/{room}/poll"),
            cursor: cursor(server, room, person).await,
            cookie: person.cookie.clone(),
        });
    }
    let mut crowd = Crowd::connect(server, waits, running).await;
    crowd.receipts.close();
    crowd
}

/// The requests of one client, in turn: of 20, 14 polls, 3 messages, 2 room pages and 1 list of rooms.
async fn asks(server: &Server, person: &Person) -> impl Fn(usize) -> Vec<Ask> {
    let cursor = cursor(server, QUIET, person).await;
    let ask = |what, action, status| Ask {
        what,
        action,
        status,
    };
    move |number| {
        let room = (number % ROOMS) as i64 + 1;
        let poll = format!("/rooms/{QUIET}/poll?after={cursor}&wait=0");
        let get = |purpose, target| Action::Repeat(Request::get(purpose, target));
        let poll = ask("idle poll", get(Purpose::Fetch, poll), 204);
        let page = ask(
            "room page",
            get(Purpose::Page, format!("/rooms/{room}")),
            200,
        );
        let list = ask("public rooms", get(Purpose::Page, "/rooms".to_owned()), 200);
        let send = ask("send", Action::Send(room), 204);
        let mut asks = vec![poll; 20];
        for (place, other) in [
            (1, &send),
            (4, &page),
            (7, &send),
            (10, &list),
            (13, &send),
            (16, &page),
        ] {
            asks[place] = other.clone();
        }
        // Clients do not send the same kind of request at the same time.
        asks.rotate_left(number * 7 % 20);
        asks
    }
}

/// Collects the responses until the stopwatch reaches `until`.
async fn collect(
    answers: &mut mpsc::UnboundedReceiver<Answered>,
    until: Duration,
    running: Stopwatch,
) -> Vec<Answered> {
    let mut collected = Vec::new();
    loop {
        let left = until.saturating_sub(running.elapsed());
        match tokio::time::timeout(left, answers.recv()).await {
            Ok(Some(answered)) => collected.push(answered),
            // The last response may arrive a moment early.
            Ok(None) => tokio::time::sleep(left).await,
            Err(_) => return collected,
        }
        if left.is_zero() {
            return collected;
        }
    }
}

fn report(looks: &[Look], each: Duration, failed: usize) {
    let rows: Vec<Vec<String>> = (1..)
        .zip(looks)
        .map(|(number, look)| {
            vec![
                format!("{} s", (each * number).as_secs()),
                format!("{:.0}", look.rate),
                ms(look.p50),
                ms(look.p99),
                mib(look.memory),
                look.descriptors.to_string(),
            ]
        })
        .collect();
    print(
        &["until", "1/s", "p50", "p99", "memory", "descriptors"],
        &rows,
    );
    let quarter = looks.len() / 4;
    let ratio = |what: fn(&Look) -> f64| {
        let sum = |looks: &[Look]| looks.iter().map(what).sum::<f64>();
        sum(&looks[looks.len() - quarter..]) / sum(&looks[..quarter])
    };
    let memory = ratio(|look| look.memory as f64);
    let descriptors = ratio(|look| look.descriptors as f64);
    let p99 = ratio(|look| look.p99.as_secs_f64());
    let verdict = |ratio: f64, most: f64| if ratio <= most { "flat" } else { "NOT FLAT" };
    println!(
        "Ratio of the last quarter to the first: memory {memory:.3} ({}), descriptors {descriptors:.3} ({}), \
        p99 {p99:.2} ({}). {failed} requests failed.",
        verdict(memory, FLAT),
        verdict(descriptors, FLAT),
        verdict(p99, FLAT_P99),
    );
    println!(
        "Targets: at most {FLAT} for memory and descriptors, {FLAT_P99} for p99, none failed."
    );
    assert_eq!(failed, 0, "requests failed");
    assert!(
        memory <= FLAT && descriptors <= FLAT,
        "memory or descriptors leak"
    );
}
