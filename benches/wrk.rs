//! Throughput and latency, measured by wrk.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::http::{Answer, Connection, Request};
use crate::people::{self, Dataset, Person};
use crate::server::Server;

/// The number of keep-alive connections.
pub const CONNECTIONS: usize = 32;
/// The number of wrk's threads. Two, so that wrk is not the bottleneck on a machine with two cores.
const THREADS: usize = 2;
/// The number of nonces prepared per second, which is more messages than any machine of today can send.
const MOST_SENT: f64 = 200_000.0;

/// A request, sent by several people in turn.
pub struct Load<'a> {
    /// The people.
    pub people: &'a [Person],
    /// What each of them requests.
    pub action: Action,
}

/// What people request.
#[derive(Debug, Clone)]
pub enum Action {
    /// The same request every time.
    Repeat(Request),
    /// Send a message to this room.
    Send(i64),
}

/// The result of a round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Requests per second.
    pub rate: f64,
    /// The median latency.
    pub p50: Duration,
    /// The 99th percentile of the latency.
    pub p99: Duration,
}

impl Load<'_> {
    /// The request of person `number`, with this nonce if it needs one.
    fn request(&self, number: usize, nonce: &str) -> Request {
        match &self.action {
            Action::Repeat(request) => request.clone(),
            Action::Send(room) => Request::send(*room, &people::text(number), nonce),
        }
    }

    /// Serializes `count` requests of the people in turn, for the server at `address`.
    pub fn serialize(&self, dataset: &Dataset, address: &str, count: usize) -> Vec<String> {
        let people = self.people.iter().enumerate().cycle().take(count);
        let write = |(number, person): (usize, &Person)| {
            let nonce = match self.action {
                Action::Repeat(_) => String::new(),
                Action::Send(room) => dataset.nonce(person, room),
            };
            self.request(number, &nonce)
                .serialize(address, &person.cookie)
        };
        people.map(write).collect()
    }

    /// Sends one request per person and returns the responses.
    pub async fn once(&self, dataset: &Dataset, server: &Server) -> Vec<Answer> {
        let mut to = Connection::open(&server.address)
            .await
            .expect("a connection");
        let mut answers = Vec::new();
        for request in self.serialize(dataset, &server.address, self.people.len()) {
            let answer = to.exchange(request.as_bytes()).await;
            answers.push(answer.expect("an answer"));
        }
        answers
    }

    /// Sends requests for `span` over [`CONNECTIONS`], and checks by their length that responses match `right`.
    ///
    /// wrk counts 4xx and 5xx responses as errors, and the bytes of all responses. If all correct responses
    /// have the same length, the bytes must be a multiple of that length, except for responses in flight at
    /// the end. Compressed pages vary a little with the nonces and times in them.
    pub fn round(
        &self,
        dataset: &Dataset,
        server: &Server,
        span: Duration,
        right: &[Answer],
    ) -> Round {
        // Several servers may be loaded at once.
        let port = server.address.rsplit(':').next().unwrap_or_default();
        let folder = dataset.folder().join(format!("wrk-{port}"));
        self.write_input(dataset, &folder, &server.address, span);
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
            "failed requests, and threads that ran out of nonces: {said}"
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
            "{requests} responses of {length} bytes are {bytes} bytes: some differ"
        );
        Round {
            rate: requests as f64 * 1e6 / us as f64,
            p50: Duration::from_micros(p50),
            p99: Duration::from_micros(p99),
        }
    }

    /// Writes the requests for `wrk.lua`.
    fn write_input(&self, dataset: &Dataset, folder: &Path, address: &str, span: Duration) {
        std::fs::create_dir_all(folder).expect("a folder for wrk");
        let nonce_length = match self.action {
            Action::Repeat(_) => 0,
            Action::Send(room) => dataset.nonce(&self.people[0], room).len(),
        };
        // As long as a nonce, for a correct content length.
        let place = format!("{:~<nonce_length$}", "");
        let mut requests = String::new();
        for (number, person) in self.people.iter().enumerate() {
            let request = self.request(number, &place);
            let written = request.serialize(address, &person.cookie);
            requests.push_str(&match nonce_length {
                0 => written,
                _ => written.replace(&place, "NONCE"),
            });
            requests.push('\0');
        }
        std::fs::write(folder.join("requests"), requests).expect("a file for wrk");
        if let Action::Send(room) = self.action {
            for thread in 0..THREADS {
                let count = (MOST_SENT * span.as_secs_f64()) as usize / THREADS;
                let people = self.people.iter().cycle().take(count);
                let lines: Vec<String> = people.map(|person| dataset.nonce(person, room)).collect();
                let file = folder.join(format!("nonces.{thread}"));
                std::fs::write(file, lines.join("\n")).expect("a file for wrk");
            }
        }
    }
}
