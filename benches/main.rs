//! What the speed claims of Mirage rest on: `benches/run` builds this and runs it.
//!
//! Each part is a file: it starts servers ([`server`]) on fresh databases with people in them ([`people`]),
//! drives them, checks that the answers are the right ones, and prints a table. What is no table goes to
//! standard error.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on says so by panicking"
)]
#![expect(clippy::print_stdout, reason = "tables are what this program is for")]
#![expect(
    clippy::as_conversions,
    reason = "figures are for people to read: what a conversion rounds off does not show"
)]

mod bare;
mod compare;
mod crowd;
mod delivery;
mod growth;
mod http;
mod instructions;
mod people;
mod server;
mod slow;
mod start;
mod table;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

/// The parts, in the order in which they run.
const PARTS: [&str; 6] = [
    "compare",
    "delivery",
    "growth",
    "slow",
    "start",
    "instructions",
];

/// What all parts are told.
pub struct Plan {
    /// An empty folder, for all that is written.
    pub folder: PathBuf,
    /// Whether only to see that it works: few and short rounds, whose figures mean little.
    pub is_quick: bool,
}

#[actix_web::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["bare", folder, port] = words[..] {
        bare::serve(folder.as_ref(), port.parse().expect("a port")).await;
        return ExitCode::SUCCESS;
    }
    let Some((folder, rest)) = words.split_first() else {
        eprintln!("benches: run benches/run");
        return ExitCode::from(2);
    };
    let is_quick = rest.contains(&"--quick");
    let named: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| *word != "--quick")
        .collect();
    if let Some(unknown) = named.iter().find(|name| !PARTS.contains(name)) {
        eprintln!(
            "benches: there is no part {unknown}; the parts are {}",
            PARTS.join(", ")
        );
        return ExitCode::from(2);
    }
    for part in PARTS {
        if !named.is_empty() && !named.contains(&part) {
            continue;
        }
        let plan = Plan {
            folder: PathBuf::from(folder).join(part),
            is_quick,
        };
        eprintln!("\n== {part}");
        match part {
            "compare" => compare::run(&plan).await,
            "delivery" => delivery::run(&plan).await,
            "growth" => growth::run(&plan).await,
            "slow" => slow::run(&plan).await,
            "start" => start::run(&plan).await,
            "instructions" => instructions::run(&plan).await,
            other => panic!("{other} is no part"),
        }
    }
    ExitCode::SUCCESS
}
