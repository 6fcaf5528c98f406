//! A slow disk: latency of the page "Your rooms" while 50 people join and leave rooms, and each fsync takes
//! 50 ms longer.
//!
//! Reading the page waits neither for the disk nor for those who wait for it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;

use crate::Plan;
use crate::http::{Purpose, Request};
use crate::people::{Dataset, Person};
use crate::server::{Environment, SLOW_SYNC, Server};
use crate::table::{ms, percentile, print};
use crate::traffic::{self, Answered, Ask, ask_all, failures, spans};
use crate::wrk::Action;

/// The library that slows each fsync down, and by how much.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/slow_disk.c");
const SYNC_TAKES: Duration = Duration::from_millis(50);

const SPAN: Duration = Duration::from_secs(15);
/// How long requests may take after the end of the span before the server counts as stuck.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// The interval between two requests of one reader.
const READ_EVERY: Duration = Duration::from_millis(40);

/// How many people write, each over a connection of their own, and how many read.
const WRITERS: usize = 50;
const READERS: usize = 8;
/// The first of the rooms, and how many there are. The readers are in all of them, so that each join and each
/// departure changes their pages.
const FIRST_ROOM: i64 = 1;
const ROOMS: usize = 18;

const READ: &str = "Your rooms, alone";
const READ_WHILE: &str = "Your rooms, beside the writers";
const JOIN: &str = "join";
const LEAVE: &str = "leave";

/// Measures readers without and with the writers.
pub async fn run(plan: &Plan) {
    let span = if plan.is_quick { SPAN / 5 } else { SPAN };
    let dataset = Dataset::new(&plan.folder).await;
    let readers = dataset.add_people(1, READERS).await;
    let writers = dataset.add_people(1 + READERS as i64, WRITERS).await;
    dataset.add_rooms(FIRST_ROOM, ROOMS, &readers).await;
    dataset.close().await;
    compile(&dataset.folder().join(SLOW_SYNC));
    let server = Server::mirage(dataset.folder(), &[], Environment::SlowDisk).await;
    let dataset = Arc::new(dataset);

    // The first requests fill the caches.
    read(&dataset, &server, &readers, READ, span / 5).await;
    let alone = read(&dataset, &server, &readers, READ, span).await;
    let (beside, written) = tokio::join!(
        read(&dataset, &server, &readers, READ_WHILE, span),
        write(&dataset, &server, &writers, span),
    );

    let of = |what: &str| -> Vec<Answered> {
        let of_this = written.iter().filter(|answered| answered.what == what);
        of_this.copied().collect()
    };
    let (joins, leaves) = (of(JOIN), of(LEAVE));
    let kinds = [
        (READ, &alone),
        (READ_WHILE, &beside),
        (JOIN, &joins),
        (LEAVE, &leaves),
    ];
    let rows: Vec<Vec<String>> = kinds.map(|(what, answered)| row(what, answered)).into();
    print(
        &["", "requests", "p50", "p99", "503", "target of p50"],
        &rows,
    );

    for answered in [&alone, &beside] {
        assert_eq!(failures(answered), 0, "pages failed");
    }
    for (name, changes) in [(JOIN, &joins), (LEAVE, &leaves)] {
        let fastest = spans(changes).into_iter().min();
        let fastest = fastest.unwrap_or_else(|| panic!("no {name} in {span:?}"));
        assert!(
            fastest >= SYNC_TAKES,
            "{name} in {fastest:?}: the disk is not slow"
        );
    }
    // Writers may be put off.
    let allowed = [Some(303), Some(503)];
    let wrong = written
        .iter()
        .filter(|a| !allowed.contains(&a.status))
        .count();
    assert_eq!(wrong, 0, "changes were neither made nor put off");
}

fn compile(library: &Path) {
    let compiled = Command::new("cc")
        .args([
            "-std=c11", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o",
        ])
        .arg(library)
        .args([SOURCE, "-ldl"])
        .status();
    assert!(compiled.expect("cc").success(), "{SOURCE} does not compile");
}

/// Lets the readers look at their rooms.
async fn read(
    dataset: &Arc<Dataset>,
    server: &Server,
    readers: &[Person],
    what: &'static str,
    span: Duration,
) -> Vec<Answered> {
    let page = Request::get(Purpose::Page, "/rooms/mine");
    let ask = Ask {
        what,
        action: Action::Repeat(page),
        status: 200,
    };
    let asks = |_| vec![ask.clone()];
    bounded(dataset, server, readers, asks, Some(READ_EVERY), span).await
}

/// Lets each writer join and leave one of the rooms, as often as the server answers.
async fn write(
    dataset: &Arc<Dataset>,
    server: &Server,
    writers: &[Person],
    span: Duration,
) -> Vec<Answered> {
    let asks = |number: usize| {
        let room = FIRST_ROOM + (number % ROOMS) as i64;
        let ask = |what| Ask {
            what,
            action: Action::Repeat(Request::form(
                format!("/rooms/{room}/{what}"),
                &[(what, "1")],
            )),
            status: 303,
        };
        vec![ask(JOIN), ask(LEAVE)]
    };
    bounded(dataset, server, writers, asks, None, span).await
}

async fn bounded(
    dataset: &Arc<Dataset>,
    server: &Server,
    people: &[Person],
    asks: impl Fn(usize) -> Vec<Ask>,
    every: Option<Duration>,
    span: Duration,
) -> Vec<Answered> {
    let running = Stopwatch::start();
    let answers = ask_all(dataset, server, people, asks, every, span, running);
    let all = tokio::time::timeout(span + ENDS_WITHIN, traffic::all(answers)).await;
    all.expect("a server that answers")
}

fn row(what: &str, answered: &[Answered]) -> Vec<String> {
    let spans = spans(answered);
    let refused = answered.iter().filter(|a| a.status == Some(503)).count();
    let target = if what == READ_WHILE { "10.00 ms" } else { "" };
    vec![
        what.to_owned(),
        answered.len().to_string(),
        ms(percentile(&spans, 0.5)),
        ms(percentile(&spans, 0.99)),
        refused.to_string(),
        target.to_owned(),
    ]
}
