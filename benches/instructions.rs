//! Instructions for each kind of request, counted by callgrind: a figure that does not depend on the
//! machine's mood.
//!
//! The server runs on one core with one worker, and is asked over one connection, one request at a time.
//! What is counted is what it executes from the first request to the last answer, in all its threads; that
//! includes what it does by the clock meanwhile, which is little. The profiles stay in
//! `target/release/callgrind`, for `callgrind_annotate`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Plan;
use crate::compare::{Kind, Sides};
use crate::http::Connection;
use crate::people::World;
use crate::server::{Server, Under, program};
use crate::table::print;

/// Requests of each kind.
const REQUESTS: usize = 2_000;

/// Counts for both servers.
pub async fn run(plan: &Plan) {
    let requests = if plan.is_quick { 100 } else { REQUESTS };
    let sides = Sides::new(plan, Under::Callgrind).await;
    let kinds = sides.kinds().await;
    let bare = sides.bare(plan, &kinds, Under::Callgrind).await;
    let profiles = program("callgrind");
    std::fs::create_dir_all(&profiles).expect("a folder for profiles");
    let mut rows = Vec::new();
    for kind in &kinds {
        let name = kind.name.replace([' ', ','], "-");
        let profile = |side: &str| profiles.join(format!("{side}-{name}"));
        let world = &sides.world;
        let of_mirage = Counted {
            server: &sides.mirage,
            folder: &plan.folder.join("mirage"),
        };
        let mirage = of_mirage
            .count(world, kind, requests, &profile("mirage"))
            .await;
        let of_bare = Counted {
            server: &bare.server,
            folder: &plan.folder.join("bare"),
        };
        let bare = of_bare.count(world, kind, requests, &profile("bare")).await;
        eprintln!("{}: {mirage} and {bare}", kind.name);
        rows.push(vec![
            kind.name.to_owned(),
            mirage.to_string(),
            bare.to_string(),
            format!("{:.2}", bare as f64 / mirage as f64),
        ]);
    }
    print(&["instructions", "Mirage", "bare", "ratio"], &rows);
}

/// A server under callgrind.
struct Counted<'a> {
    server: &'a Server,
    /// Where callgrind writes.
    folder: &'a Path,
}

impl Counted<'_> {
    /// The instructions that the server executes for a request of this kind. Leaves the profile.
    async fn count(&self, world: &World, kind: &Kind<'_>, requests: usize, profile: &Path) -> u64 {
        let mut to = Connection::open(&self.server.address)
            .await
            .expect("a connection");
        let written = kind.load.written(world, &self.server.address, requests);
        // What was executed before.
        self.dump();
        for request in &written {
            let answer = to.exchange(request.as_bytes()).await.expect("an answer");
            assert_eq!(answer.status, kind.right[0].status, "{answer:?}");
        }
        let dump = self.dump();
        std::fs::copy(&dump, profile).expect("a copy of the profile");
        let text = std::fs::read_to_string(dump).expect("a profile");
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total: u64 = total
            .and_then(|total| total.parse().ok())
            .expect("the total");
        total / requests as u64
    }

    /// Writes what was executed since the last time to a file.
    fn dump(&self) -> PathBuf {
        let before = self.dumps();
        let told = Command::new("callgrind_control")
            .arg("--dump")
            .arg(self.server.id().to_string())
            // The pipes to valgrind are named by it, and the server has none.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .expect("callgrind_control");
        let new = self.dumps().into_iter().find(|file| !before.contains(file));
        new.unwrap_or_else(|| panic!("callgrind has written nothing: {told:?}"))
    }

    fn dumps(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder).expect("the folder");
        let files = entries.map(|entry| entry.expect("a file").path());
        let is_dump = |file: &PathBuf| file.display().to_string().contains("callgrind.out.");
        files.filter(is_dump).collect()
    }
}
