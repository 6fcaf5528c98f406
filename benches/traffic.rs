//! People who ask at a steady rate, whether or not the server keeps up, or as fast as they are answered.

use std::sync::Arc;
use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::http::{Connection, Request};
use crate::people::{self, Person, World};
use crate::server::Server;
use crate::wrk::Asks;

/// Something to be asked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What it is called in tables.
    pub what: &'static str,
    /// What is asked.
    pub asks: Asks,
    /// The status of the right answer.
    pub status: u16,
}

/// How a request went.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// What was asked.
    pub what: &'static str,
    /// How long it took, the time included that it was due and could not be sent.
    pub took: Duration,
    /// Whether the answer has the right status. It has none when the connection broke.
    pub is_right: bool,
}

/// When things are due.
pub struct Pace {
    next: Duration,
    every: Duration,
}

impl Pace {
    /// Something is due at `first`, by the stopwatch, and then every so often.
    pub fn new(first: Duration, every: Duration) -> Self {
        Self { next: first, every }
    }

    /// Waits for the next to be due, and gives the time that it is to be measured from: that at which it
    /// was due, if that is past, and otherwise the end of the wait, which timers make a little longer.
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

/// Lets people ask a server until the stopwatch says so: each over a connection of their own what `asks` gives
/// for their number, one such request `every` so often, or as soon as there is an answer. Gives the answers as
/// they come.
pub fn ask_all(
    world: &Arc<World>,
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
        // Not all at the same time.
        let part = |every: Duration| every * number as u32 / people.len() as u32;
        let asker = Asker {
            world: Arc::clone(world),
            person: person.clone(),
            asks: asks(number),
            pace: every.map(|every| Pace::new(now + part(every), every)),
        };
        let address = server.address.clone();
        tokio::spawn(asker.ask(address, until, running, sender.clone()));
    }
    receiver
}

/// All the answers there are.
pub async fn all(mut answers: UnboundedReceiver<Answered>) -> Vec<Answered> {
    let mut all = Vec::new();
    while let Some(answered) = answers.recv().await {
        all.push(answered);
    }
    all
}

/// How long each took.
pub fn spans(answered: &[Answered]) -> Vec<Duration> {
    answered.iter().map(|answered| answered.took).collect()
}

/// How many are not right.
pub fn failures(answered: &[Answered]) -> usize {
    answered
        .iter()
        .filter(|answered| !answered.is_right)
        .count()
}

/// Who asks, over a connection of their own.
struct Asker {
    world: Arc<World>,
    person: Person,
    /// What they ask, in turn.
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
            let request = match &ask.asks {
                Asks::This(request) => request.clone(),
                Asks::ToSend(room) => {
                    let nonce = self.world.nonce(&self.person, *room);
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
            let is_right = answer.as_ref().is_ok_and(|a| a.status == ask.status);
            if !is_right {
                eprintln!("{}: {answer:?}", request.target);
                // Whatever is left of it.
                connection = None;
            }
            let answered = Answered {
                what: ask.what,
                took,
                is_right,
            };
            // Whoever counts may have seen enough.
            if answers.send(answered).is_err() {
                return;
            }
        }
    }
}
