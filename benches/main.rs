//! Measurements of Mirage's speed, and of those security and reliability properties that need a stopwatch or
//! their own disk. `benches/run` builds and runs this program.
//!
//! Each part is a file: it starts servers ([`server`]) on fresh databases with people ([`people`]), loads
//! them, checks the responses, and prints results to standard output. Progress goes to standard error. A
//! missed target is only reported; a wrong response ends the program. More instructions than stored fail at the end.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot continue panics"
)]
#![expect(clippy::print_stdout, reason = "tables are what this program is for")]
#![expect(
    clippy::as_conversions,
    reason = "rounding errors do not show in figures for people"
)]

mod alike;
mod bare;
mod cluster;
mod compare;
mod compression;
mod crowd;
mod delivery;
mod full_disk;
mod growth;
mod http;
mod instructions;
mod peers;
mod people;
mod picture;
mod server;
mod signin;
mod slow;
mod slow_disk;
mod soak;
mod start;
mod table;
mod traffic;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

/// The parts about speed, in the order they run.
const SPEED: [&str; 8] = [
    "compare",
    "delivery",
    "peers",
    "growth",
    "start",
    "instructions",
    "metrics",
    "compression",
];
/// The parts about security and reliability, which run only by name.
const SAFETY: [&str; 6] = ["signin", "alike", "slow", "soak", "full-disk", "slow-disk"];
/// The parts about several processes, which run only by name.
const SEVERAL: [&str; 1] = ["cluster"];
/// The parts for whoever looks for the cause of a figure, which run only by name.
const CAUSES: [&str; 2] = ["delivery-instructions", "growth-instructions"];

/// The settings of all parts.
pub struct Plan {
    /// An empty folder for all files.
    pub folder: PathBuf,
    /// Whether to run few and short rounds, which only show that the part works.
    pub is_quick: bool,
    /// Whether the figures are to be stored.
    pub is_stored: bool,
    /// Whether to run the long versions of the parts about security and reliability.
    pub is_long: bool,
}

#[actix_web::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["bare", folder, port] = words[..] {
        bare::serve(folder.as_ref(), port.parse().expect("a port")).await;
        return ExitCode::SUCCESS;
    }
    if let ["picture", folder, file] = words[..] {
        picture::draw(folder.as_ref(), file.as_ref());
        return ExitCode::SUCCESS;
    }
    let Some((folder, rest)) = words.split_first() else {
        eprintln!("benches: run benches/run");
        return ExitCode::from(2);
    };
    let is_quick = rest.contains(&"--quick");
    let is_stored = rest.contains(&"--store");
    let named: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| !["--quick", "--store"].contains(word))
        .collect();
    let parts = [&SPEED[..], &SAFETY, &SEVERAL, &CAUSES].concat();
    if let Some(unknown) = named.iter().find(|name| !parts.contains(name)) {
        eprintln!(
            "benches: there is no part {unknown}; the parts are {}",
            parts.join(", ")
        );
        return ExitCode::from(2);
    }
    let wanted: &[&str] = if named.is_empty() { &SPEED } else { &named };
    let mut is_fine = true;
    for part in parts {
        if !wanted.contains(&part) {
            continue;
        }
        let plan = Plan {
            folder: PathBuf::from(folder).join(part),
            is_quick,
            is_stored,
            is_long: is_long(),
        };
        println!("\n## {part}");
        match part {
            "compare" => compare::run(&plan).await,
            "delivery" => delivery::run(&plan).await,
            "delivery-instructions" => delivery::run_instructions(&plan).await,
            "peers" => peers::run(&plan).await,
            "growth" => growth::run(&plan).await,
            "growth-instructions" => growth::run_instructions(&plan).await,
            "slow" => slow::run(&plan).await,
            "start" => start::run(&plan).await,
            "instructions" => is_fine &= instructions::run(&plan).await,
            "metrics" => instructions::run_with_metrics(&plan).await,
            "compression" => compression::run(&plan).await,
            "signin" => signin::run(&plan).await,
            "alike" => alike::run(&plan).await,
            "soak" => soak::run(&plan).await,
            "full-disk" => full_disk::run(&plan).await,
            "slow-disk" => slow_disk::run(&plan).await,
            "cluster" => cluster::run(&plan).await,
            other => panic!("{other} is not a part"),
        }
    }
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement has no settings")]
fn is_long() -> bool {
    std::env::var_os("MIRAGE_LONG").is_some()
}
