//! Time from start to the first response, idle memory, and size of the program.

use std::time::Duration;

use crate::Plan;
use crate::server::{Environment, Server, program};
use crate::table::{median, mib, ms, print};

/// The number of starts.
const STARTS: usize = 9;

/// Starts Mirage without a database and then with the one it has created.
pub async fn run(plan: &Plan) {
    let starts = if plan.is_quick { 2 } else { STARTS };
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for number in 0..starts {
        let folder = plan.folder.join(number.to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        cold.push(start(&folder).await);
        warm.push(start(&folder).await);
    }
    // The bare server, with no responses.
    let nothing = plan.folder.join("nothing");
    std::fs::create_dir_all(&nothing).expect("a folder");
    let mut bare = Vec::new();
    for _ in 0..starts {
        let server = Server::bare(&nothing, Environment::Plain).await;
        bare.push((server.first_answer, idle_memory(&server).await));
    }
    let row = |name: &str, starts: &[(Duration, u64)]| {
        let times: Vec<Duration> = starts.iter().map(|start| start.0).collect();
        let memory: Vec<u64> = starts.iter().map(|start| start.1).collect();
        vec![name.to_owned(), ms(median(&times)), mib(median(&memory))]
    };
    print(
        &["start", "first response", "idle memory"],
        &[
            row("Mirage, new database", &cold),
            row("Mirage, existing database", &warm),
            row("bare", &bare),
        ],
    );
    let size = std::fs::metadata(program("mirage"))
        .expect("the program")
        .len();
    println!("Size of the program: {}.", mib(size));
}

async fn start(folder: &std::path::Path) -> (Duration, u64) {
    let server = Server::mirage(folder, &[], Environment::Plain).await;
    let measured = (server.first_answer, idle_memory(&server).await);
    server.stop();
    measured
}

async fn idle_memory(server: &Server) -> u64 {
    server.wait_until_idle().await;
    server.memory()
}
