//! How soon the server answers, and what it takes when nobody is there.

use std::time::Duration;

use crate::Plan;
use crate::server::{Server, Under, program};
use crate::table::{median, mib, ms, print};

/// How often it is started.
const STARTS: usize = 9;

/// Starts it with a database that is not there yet, and with one that it made before.
pub async fn run(plan: &Plan) {
    let starts = if plan.is_quick { 2 } else { STARTS };
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for number in 0..starts {
        let folder = plan.folder.join(number.to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        cold.push(start(&folder).await);
        warm.push(start(&folder).await);
    }
    // Of the bare server, with nothing to answer.
    let nothing = plan.folder.join("nothing");
    std::fs::create_dir_all(&nothing).expect("a folder");
    let mut bare = Vec::new();
    for _ in 0..starts {
        let server = Server::bare(&nothing, Under::Nothing).await;
        bare.push((server.first_answer, idle_memory(&server).await));
    }
    let row = |name: &str, starts: &[(Duration, u64)]| {
        let times: Vec<Duration> = starts.iter().map(|start| start.0).collect();
        let memory: Vec<u64> = starts.iter().map(|start| start.1).collect();
        vec![name.to_owned(), ms(median(&times)), mib(median(&memory))]
    };
    print(
        &["start", "first answer", "idle memory"],
        &[
            row("Mirage, new database", &cold),
            row("Mirage, database of an earlier start", &warm),
            row("bare", &bare),
        ],
    );
    let size = std::fs::metadata(program("mirage"))
        .expect("the program")
        .len();
    println!("The program has {}.", mib(size));
}

async fn start(folder: &std::path::Path) -> (Duration, u64) {
    let server = Server::mirage(folder, &[], Under::Nothing).await;
    let measured = (server.first_answer, idle_memory(&server).await);
    server.stop();
    measured
}

async fn idle_memory(server: &Server) -> u64 {
    server.settle().await;
    server.memory()
}
