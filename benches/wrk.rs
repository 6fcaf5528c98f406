//! How many requests a second a server answers, measured by wrk.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::http::{Answer, Connection, Request};
use crate::people::{self, Person, World};
use crate::server::Server;

/// Connections that are kept open.
pub const CONNECTIONS: usize = 32;
/// wrk's threads. Of two, none is what the others wait for on a machine with two cores.
const THREADS: usize = 2;
/// For how many messages a second there are nonces; no machine of today gets there.
const MOST_SENT: f64 = 200_000.0;

/// What is asked, by each of several people in turn.
pub struct Load<'a> {
    /// The people.
    pub people: &'a [Person],
    /// What each of them asks.
    pub asks: Asks,
}

/// What people ask.
#[derive(Debug, Clone)]
pub enum Asks {
    /// All the same.
    This(Request),
    /// To send a message to this room.
    ToSend(i64),
}

/// How a round went.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Requests a second.
    pub rate: f64,
    /// The time from request to answer that half of them stay below.
    pub p50: Duration,
    /// The time that 99 of 100 stay below.
    pub p99: Duration,
}

impl Load<'_> {
    /// What person `number` asks, with this nonce if it takes one.
    fn request(&self, number: usize, nonce: &str) -> Request {
        match &self.asks {
            Asks::This(request) => request.clone(),
            Asks::ToSend(room) => Request::send(*room, &people::text(number), nonce),
        }
    }

    /// As many requests, written for the server at `address`, of the people in turn; with nonces of `world`.
    pub fn written(&self, world: &World, address: &str, count: usize) -> Vec<String> {
        let people = self.people.iter().enumerate().cycle().take(count);
        let write = |(number, person): (usize, &Person)| {
            let nonce = match self.asks {
                Asks::This(_) => String::new(),
                Asks::ToSend(room) => world.nonce(person, room),
            };
            self.request(number, &nonce)
                .written(address, &person.cookie)
        };
        people.map(write).collect()
    }

    /// Asks once for each person, and gives the answers.
    pub async fn once(&self, world: &World, server: &Server) -> Vec<Answer> {
        let mut to = Connection::open(&server.address)
            .await
            .expect("a connection");
        let mut answers = Vec::new();
        for request in self.written(world, &server.address, self.people.len()) {
            let answer = to.exchange(request.as_bytes()).await;
            answers.push(answer.expect("an answer"));
        }
        answers
    }

    /// Asks for so long over [`CONNECTIONS`], and checks by their length that the answers are like `right`.
    ///
    /// wrk counts answers by their status, 4xx and 5xx as errors, and all their bytes. Where all right
    /// answers are equally long, those bytes are just so many times that length, but for what was under
    /// way at the end; compressed pages vary a little with the nonces and times in them.
    pub fn round(&self, world: &World, server: &Server, span: Duration, right: &[Answer]) -> Round {
        let folder = world.folder().join("wrk");
        self.leave(world, &folder, &server.address, span);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/wrk.lua");
        let output = Command::new("wrk")
            .arg(format!("--threads={THREADS}"))
            .arg(format!("--connections={CONNECTIONS}"))
            .arg(format!("--duration={}", span.as_secs()))
            .arg(format!("--script={script}"))
            .arg(format!("http://{}", server.address))
            .args(["--".as_ref(), folder.as_os_str()])
            .output()
            .expect("wrk");
        std::fs::remove_dir_all(&folder).expect("the folder for wrk");
        let said = String::from_utf8_lossy(&output.stdout);
        let result = said.lines().find_map(|line| line.strip_prefix("RESULT "));
        let result = result.unwrap_or_else(|| panic!("wrk says: {said}"));
        let figures: Vec<u64> = result.split(' ').filter_map(|f| f.parse().ok()).collect();
        let [requests, us, bytes, failed, exhausted, p50, p99] = figures[..] else {
            panic!("wrk says: {said}");
        };
        assert_eq!(
            (failed, exhausted),
            (0, 0),
            "not answered, and nonces missing: {said}"
        );
        let lengths: Vec<f64> = right.iter().map(|answer| answer.length as f64).collect();
        let length = lengths.iter().sum::<f64>() / lengths.len() as f64;
        let varies = right
            .iter()
            .any(|answer| answer.header("content-encoding").is_some());
        let part = if varies { 0.01 } else { 0.0 };
        let allowed = length * (requests as f64 * part + CONNECTIONS as f64 + 1.0);
        let off = bytes as f64 - requests as f64 * length;
        assert!(
            off.abs() <= allowed,
            "{requests} answers of {length} bytes are {bytes} bytes: some were others"
        );
        Round {
            rate: requests as f64 * 1e6 / us as f64,
            p50: Duration::from_micros(p50),
            p99: Duration::from_micros(p99),
        }
    }

    /// Leaves for `wrk.lua` what it sends.
    fn leave(&self, world: &World, folder: &Path, address: &str, span: Duration) {
        std::fs::create_dir_all(folder).expect("a folder for wrk");
        let nonce_length = match self.asks {
            Asks::This(_) => 0,
            Asks::ToSend(room) => world.nonce(&self.people[0], room).len(),
        };
        // As long as a nonce, for the content length.
        let place = format!("{:~<nonce_length$}", "");
        let mut requests = String::new();
        for (number, person) in self.people.iter().enumerate() {
            let request = self.request(number, &place);
            let written = request.written(address, &person.cookie);
            requests.push_str(&match nonce_length {
                0 => written,
                _ => written.replace(&place, "NONCE"),
            });
            requests.push('\0');
        }
        std::fs::write(folder.join("requests"), requests).expect("a file for wrk");
        if let Asks::ToSend(room) = self.asks {
            for thread in 0..THREADS {
                let count = (MOST_SENT * span.as_secs_f64()) as usize / THREADS;
                let people = self.people.iter().cycle().take(count);
                let lines: Vec<String> = people.map(|person| world.nonce(person, room)).collect();
                let file = folder.join(format!("nonces.{thread}"));
                std::fs::write(file, lines.join("\n")).expect("a file for wrk");
            }
        }
    }
}
