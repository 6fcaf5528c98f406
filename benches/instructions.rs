//! Instructions per kind of request, counted by callgrind: figures that do not depend on other load on the
//! machine.
//!
//! The server runs on one core with one worker, and gets one request at a time over one connection. The
//! count covers all threads from the first request to the last response, including the few periodic tasks
//! that run meanwhile. A part that counts over 3 % more than is stored fails. The profiles are kept in
//! `target/release/callgrind`, for `callgrind_annotate`.

use std::path::{Path, PathBuf};
use std::process::Command;

use actix_web::http::StatusCode;

use crate::Plan;
use crate::compare::{Kind, Setup};
use crate::http::Connection;
use crate::people::Dataset;
use crate::server::{Environment, Server, program};
use crate::table::{self, print};
use crate::wrk::Load;

/// The number of requests of each kind.
const REQUESTS: usize = 2_000;

/// The folder of the stored figures, within the one where `benches/run` starts this program.
const STORED: &str = "benches/figures";

/// By how many per cent a count may exceed the stored one.
const MAX_INCREASE: f64 = 3.0;

/// Counts the instructions of both servers, and compares Mirage's with the stored ones, unless these are to be replaced or
/// the rounds are short. Returns whether no count is too high.
pub async fn run(plan: &Plan) -> bool {
    let is_compared = !plan.is_quick && !plan.is_stored;
    let stored = is_compared.then(|| table::read(STORED.as_ref(), "instructions"));
    let mut is_fine = true;
    let requests = if plan.is_quick { 100 } else { REQUESTS };
    let setup = Setup::new(plan, Environment::Callgrind).await;
    let kinds = setup.kinds().await;
    let bare = setup.bare(plan, &kinds, Environment::Callgrind).await;
    let profiles = profiles();
    let mut rows = Vec::new();
    for kind in &kinds {
        let name = kind.name.replace([' ', ','], "-");
        let profile = |side: &str| profiles.join(format!("{side}-{name}"));
        let dataset = &setup.dataset;
        let of_mirage = Counted {
            server: &setup.mirage,
            folder: &plan.folder.join("mirage"),
        };
        let mirage = of_mirage
            .count_kind(dataset, kind, requests, &profile("mirage"))
            .await;
        let of_bare = Counted {
            server: &bare.server,
            folder: &plan.folder.join("bare"),
        };
        let bare = of_bare
            .count_kind(dataset, kind, requests, &profile("bare"))
            .await;
        eprintln!("{}: {mirage} and {bare}", kind.name);
        let mut row = vec![
            kind.name.to_owned(),
            mirage.to_string(),
            bare.to_string(),
            format!("{:.2}", bare as f64 / mirage as f64),
        ];
        if let Some(stored) = &stored {
            let increase = increase(stored, kind.name, mirage);
            is_fine &= increase.is_none_or(|increase| increase <= MAX_INCREASE);
            row.push(increase.map_or_else(String::new, |increase| format!("{increase:+.1} %")));
        }
        rows.push(row);
    }
    let columns = ["instructions", "Mirage", "bare", "ratio", "than stored"];
    print(&columns[..rows[0].len()], &rows);
    if !is_fine {
        eprintln!(
            "more than {MAX_INCREASE} % above {STORED}/instructions.md: see the head of benches/run"
        );
    }
    is_fine
}

/// Returns by how many per cent a count of Mirage exceeds the stored one of this kind of request, if there is one.
fn increase(stored: &[Vec<String>], kind: &str, count: u64) -> Option<f64> {
    let row = stored.iter().find(|row| row[0] == kind)?;
    let before: f64 = row[1].parse().expect("a count");
    Some(100.0 * (count as f64 / before - 1.0))
}

/// Counts the instructions of an idle poll without and with metrics.
pub async fn run_with_metrics(plan: &Plan) {
    let requests = if plan.is_quick { 100 } else { REQUESTS };
    let mut counts = Vec::new();
    for (side, flags) in [
        ("without", &[][..]),
        ("with", &["--metrics-bind=127.0.0.1:0"]),
    ] {
        let plan = Plan {
            folder: plan.folder.join(side),
            ..*plan
        };
        let setup = Setup::with(&plan, flags, Environment::Callgrind).await;
        let kinds = setup.kinds().await;
        let poll = kinds.iter().find(|kind| kind.name == "idle poll");
        let counted = Counted {
            server: &setup.mirage,
            folder: &plan.folder.join("mirage"),
        };
        let profile = profiles().join(format!("idle-poll-{side}-metrics"));
        let poll = poll.expect("the idle poll");
        let count = counted.count_kind(&setup.dataset, poll, requests, &profile);
        counts.push(count.await);
    }
    let [without, with] = counts[..] else {
        panic!("two counts")
    };
    let more = 100.0 * (with as f64 / without as f64 - 1.0);
    print(
        &["instructions", "without metrics", "with", "more", "target"],
        &[vec![
            "idle poll".to_owned(),
            without.to_string(),
            with.to_string(),
            format!("{more:.1} %"),
            "2.0 %".to_owned(),
        ]],
    );
}

/// The folder in which profiles are kept.
pub fn profiles() -> PathBuf {
    let profiles = program("callgrind");
    std::fs::create_dir_all(&profiles).expect("a folder for profiles");
    profiles
}

/// A server under callgrind.
pub struct Counted<'a> {
    /// The server.
    pub server: &'a Server,
    /// The folder that callgrind writes to.
    pub folder: &'a Path,
}

impl Counted<'_> {
    async fn count_kind(
        &self,
        dataset: &Dataset,
        kind: &Kind<'_>,
        requests: usize,
        profile: &Path,
    ) -> u64 {
        let status = kind.right[0].status;
        self.count(dataset, &kind.load, status, requests, profile)
            .await
    }

    /// The instructions per request of this load, each of which is answered with `status`. Copies the profile to
    /// `profile`.
    pub async fn count(
        &self,
        dataset: &Dataset,
        load: &Load<'_>,
        status: StatusCode,
        requests: usize,
        profile: &Path,
    ) -> u64 {
        let mut to = Connection::open(&self.server.address)
            .await
            .expect("a connection");
        let written = load.serialize(dataset, &self.server.address, requests);
        self.reset();
        for request in &written {
            let answer = to.exchange(request.as_bytes()).await.expect("an answer");
            assert_eq!(answer.status, status, "{answer:?}");
        }
        self.total(profile) / requests as u64
    }

    /// Counts from now on.
    pub fn reset(&self) {
        self.dump();
    }

    /// All instructions since [`Counted::reset`]. Copies the profile to `profile`.
    pub fn total(&self, profile: &Path) -> u64 {
        let dump = self.dump();
        std::fs::copy(&dump, profile).expect("a copy of the profile");
        let text = std::fs::read_to_string(dump).expect("a profile");
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        total
            .and_then(|total| total.parse().ok())
            .expect("the total")
    }

    /// Dumps the counts since the last dump to a file, and returns its path.
    fn dump(&self) -> PathBuf {
        let before = self.dumps();
        let told = Command::new("callgrind_control")
            .arg("--dump")
            .arg(self.server.id().to_string())
            // The names of valgrind's pipes depend on the environment, which is empty for the server.
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
