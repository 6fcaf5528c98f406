//! Clients that send at a steady rate, whether or not the server keeps up, or as fast as they get responses.

use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::http::{Connection, Request};
use crate::people::{self, Dataset, Person};
use crate::server::Server;
use crate::wrk::Action;

/// A kind of request with its expected status.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The name in tables.
    pub what: &'static str,
    /// The request.
    pub action: Action,
    /// The status of a correct response.
    pub status: u16,
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The name of the request.
    pub what: &'static str,
    /// The latency, including the time for which the request was due but could not be sent.
    pub took: Duration,
    /// The status of the response. None if the connection broke.
    pub status: Option<u16>,
    /// Whether the response has the expected status. A broken connection counts as wrong.
    pub is_right: bool,
}

/// A schedule of due times.
pub struct Pace {
    next: Duration,
    every: Duration,
}

impl Pace {
    /// A schedule with the first due time by the stopwatch, and an interval.
    pub fn new(first: Duration, every: Duration) -> Self {
        Self { next: first, every }
    }

    /// Waits for the next due time and returns the time to measure from: the due time if it has passed, and
    /// otherwise the end of the wait, because timers fire a little late.
    pub async fn next(&mut self, running: Stopwatch) -> Duration {
        let due = self.next;
        self.next += self.every;
        let now = running.elapsed();
        if due <= now {
            return due;
        }
        tokio::time::sleep(due - now).await;
        running.elapsed()
    }
}

/// Lets people send requests until the stopwatch reaches `until`, each over their own connection. Each sends
/// the requests that `asks` returns for their index, in turn, one per interval `every`, or as soon as there
/// is a response. Returns the outcomes as they arrive.
pub fn ask_all(
    dataset: &Arc<Dataset>,
    server: &Server,
    people: &[Person],
    asks: impl Fn(usize) -> Vec<Ask>,
    every: Option<Duration>,
    until: Duration,
    running: Stopwatch,
) -> UnboundedReceiver<Answered> {
    let (sender, receiver) = unbounded_channel();
    let now = running.elapsed();
    for (number, person) in people.iter().enumerate() {
        // Spreads the people over the interval.
        let part = |every: Duration| every * number as u32 / people.len() as u32;
        let asker = Asker {
            dataset: Arc::clone(dataset),
            person: person.clone(),
            asks: asks(number),
            pace: every.map(|every| Pace::new(now + part(every), every)),
        };
        let address = server.address.clone();
        tokio::spawn(asker.ask(address, until, running, sender.clone()));
    }
    receiver
}

/// Collects all outcomes.
pub async fn all(mut answers: UnboundedReceiver<Answered>) -> Vec<Answered> {
    let mut all = Vec::new();
    while let Some(answered) = answers.recv().await {
        all.push(answered);
    }
    all
}

/// The latencies.
pub fn spans(answered: &[Answered]) -> Vec<Duration> {
    answered.iter().map(|answered| answered.took).collect()
}

/// The number of wrong responses.
pub fn failures(answered: &[Answered]) -> usize {
    answered
        .iter()
        .filter(|answered| !answered.is_right)
        .count()
}

/// A client with its own connection.
struct Asker {
    dataset: Arc<Dataset>,
    person: Person,
    /// The requests to send, in turn.
    asks: Vec<Ask>,
    pace: Option<Pace>,
}

impl Asker {
    async fn ask(
        mut self,
        address: String,
        until: Duration,
        running: Stopwatch,
        answers: UnboundedSender<Answered>,
    ) {
        let mut connection = None;
        for (number, ask) in self.asks.iter().cycle().enumerate() {
            let began = match &mut self.pace {
                Some(pace) => pace.next(running).await,
                None => running.elapsed(),
            };
            if began >= until {
                return;
            }
            let request = match &ask.action {
                Action::Repeat(request) => request.clone(),
                Action::Send(room) => {
                    let nonce = self.dataset.nonce(&self.person, *room);
                    Request::send(*room, &people::text(number), &nonce)
                }
            };
            let answer = match connection.take() {
                Some(connection) => Ok(connection),
                None => Connection::open(&address).await,
            };
            let answer = match answer {
                Ok(open) => {
                    let open = connection.insert(open);
                    open.ask(&request, &self.person.cookie).await
                }
                Err(error) => Err(error),
            };
            let took = running.elapsed().saturating_sub(began);
            let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
            let is_right = status == Some(ask.status);
            if !is_right {
                eprintln!("{}: {answer:?}", request.target);
                // The connection may contain the rest of a response.
                connection = None;
            }
            let answered = Answered {
                what: ask.what,
                took,
                status,
                is_right,
            };
            // The receiver may have been dropped.
            if answers.send(answered).is_err() {
                return;
            }
        }
    }
}
