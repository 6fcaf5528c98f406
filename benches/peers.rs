//! Mirage beside what people would pick instead, on the same work: a small Flask application that polls
//! (`flask_chat.py`), an IRC server (ngircd) and an XMPP server with group chat (prosody).
//!
//! Each server is a [`Peer`]. People have one room each to send in, one room that all senders talk in, one room with
//! readers who wait, and one room that is only read; all begin with the same 100 messages. Rounds go to the servers in
//! turn. The pages and polls of Mirage and Flask are loaded by wrk, everything else by clients in this process, which
//! are the same for all servers except for the protocol.

mod flask;
mod mirage;
mod ngircd;
mod prosody;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ::mirage::clock::Stopwatch;
use tokio::task::spawn_local;

use self::flask::Flask;
use self::mirage::Mirage;
use self::ngircd::Ngircd;
use self::prosody::Prosody;
use crate::Plan;
use crate::people::text;
use crate::server::Server;
use crate::table::{median, mib, ms, percentile, print};
use crate::wrk::CONNECTIONS;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// The number of people who wait in a room.
const READERS: usize = 100;
/// The number of messages that are delivered to them in a round.
const DELIVERIES: usize = 4;
/// The number of messages in each room at the start.
const MESSAGES: usize = 100;

/// The rooms. Below them are the rooms of one sender each, numbered like the senders, from 1 on.
const TALK: i64 = CONNECTIONS as i64 + 1;
const DELIVERY: i64 = TALK + 1;
const SHOWN: i64 = DELIVERY + 1;

/// How readers learn of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The server sends it over the connection that one also writes on.
    Push,
    /// A request waits for it.
    LongPoll,
    /// A request asks for it once a second.
    Timer,
}

/// A server to compare.
trait Peer {
    /// A signed-in person in a room.
    type Client: Client;
    /// How its readers learn of a message.
    const READING: Reading;

    /// The process.
    fn server(&self) -> &Server;

    /// Signs person number `person` in, and brings them into `room`.
    async fn client(&self, person: usize, room: i64) -> Self::Client;

    /// Opens a room with [`MESSAGES`] messages again and again. Returns the number per second, unless the server keeps
    /// no messages.
    async fn open(&mut self, span: Duration) -> Option<f64>;

    /// Asks for new messages where there are none. Returns the number per second, unless clients need not ask.
    async fn idle(&mut self, span: Duration) -> Option<f64>;
}

/// A signed-in person in a room.
trait Client: 'static {
    /// Sends a message, and returns once the server has confirmed it.
    async fn send(&mut self, text: &str);

    /// Waits for messages, and returns their number. One's own count, too.
    async fn receive(&mut self) -> usize;
}

/// The figures of a server in one round; none for what it does not do.
#[derive(Clone, Copy)]
struct Figures {
    opens: Option<f64>,
    idles: Option<f64>,
    sends: f64,
    send_p99: Duration,
    talk: Option<f64>,
    delivery_p50: Duration,
    delivery_p99: Duration,
    idle_memory: u64,
    reader_memory: u64,
}

/// A running server with its clients.
struct Side<P: Peer> {
    peer: P,
    alone: Vec<P::Client>,
    talkers: Vec<P::Client>,
    /// Read what the talkers say, if they cannot do both over one connection.
    listeners: Vec<P::Client>,
    author: Vec<P::Client>,
    readers: Vec<P::Client>,
    idle_memory: u64,
    reader_memory: u64,
    rounds: Vec<Figures>,
}

impl<P: Peer> Side<P> {
    /// Connects all clients, and fills their rooms.
    async fn new(peer: P) -> Self {
        let idle_memory = settled_memory(peer.server()).await;
        let mut alone = Vec::new();
        for (person, room) in (1..=CONNECTIONS).zip(1..) {
            alone.push(peer.client(person, room).await);
        }
        let mut talkers = Vec::new();
        let mut listeners = Vec::new();
        for person in 1..=CONNECTIONS {
            match P::READING {
                Reading::Push => talkers.push(peer.client(person, TALK).await),
                Reading::LongPoll => {
                    talkers.push(peer.client(person, TALK).await);
                    listeners.push(peer.client(person, TALK).await);
                }
                Reading::Timer => {}
            }
        }
        let mut author = vec![peer.client(READERS + 1, DELIVERY).await];
        for client in alone
            .iter_mut()
            .chain(talkers.first_mut())
            .chain(&mut author)
        {
            for number in 0..MESSAGES {
                client.send(&text(number)).await;
            }
        }
        for client in match P::READING {
            Reading::Push => &mut talkers,
            Reading::LongPoll | Reading::Timer => &mut listeners,
        } {
            receive(client, MESSAGES).await;
        }
        let before = settled_memory(peer.server()).await;
        let mut readers = Vec::new();
        for person in 1..=READERS {
            readers.push(peer.client(person, DELIVERY).await);
        }
        let mut side = Self {
            peer,
            alone,
            talkers,
            listeners,
            author,
            readers,
            idle_memory,
            reader_memory: 0,
            rounds: Vec::new(),
        };
        // After the first message, each reader has waited once.
        side.deliver(1).await;
        let after = settled_memory(side.peer.server()).await;
        side.reader_memory = after.saturating_sub(before) / READERS as u64;
        side
    }

    async fn round(&mut self, span: Duration) {
        let opens = self.peer.open(span).await;
        let idles = self.peer.idle(span).await;
        let (sends, send_p99) = self.send(span).await;
        let talk = self.talk(span).await;
        let spans = self.deliver(DELIVERIES).await;
        self.rounds.push(Figures {
            opens,
            idles,
            sends,
            send_p99,
            talk,
            delivery_p50: percentile(&spans, 0.5),
            delivery_p99: percentile(&spans, 0.99),
            idle_memory: self.idle_memory,
            reader_memory: self.reader_memory,
        });
    }

    /// Everybody sends in their own room, the next message once the last one is confirmed. Returns the number per
    /// second, and the 99th percentile of their times.
    async fn send(&mut self, span: Duration) -> (f64, Duration) {
        let running = Stopwatch::start();
        let sending = each(&mut self.alone, async move |client| {
            let mut spans = Vec::new();
            while running.elapsed() < span {
                let began = running.elapsed();
                client.send(&text(spans.len())).await;
                spans.push(running.elapsed().saturating_sub(began));
            }
            spans
        });
        let spans = sending.await.concat();
        let rate = spans.len() as f64 / running.elapsed().as_secs_f64();
        (rate, percentile(&spans, 0.99))
    }

    /// Everybody sends in one room and reads all of it. Returns the number of messages per second that all have.
    async fn talk(&mut self, span: Duration) -> Option<f64> {
        if self.talkers.is_empty() {
            return None;
        }
        let sent = Rc::new(Cell::new(0));
        // How many messages there are, once this is known.
        let all = Rc::new(Cell::new(usize::MAX));
        let running = Stopwatch::start();
        let expected = Rc::clone(&all);
        let listening = each(&mut self.listeners, async move |client| {
            let mut received = 0;
            while received < expected.get() {
                received += client.receive().await;
            }
        });
        let count = Rc::clone(&sent);
        each(&mut self.talkers, async move |client| {
            while running.elapsed() < span {
                client.send(&text(count.get())).await;
                count.set(count.get() + 1);
            }
        })
        .await;
        // The last one tells those who wait that they have all.
        let total = sent.get() + 1;
        all.set(total);
        self.talkers[0].send(&text(total)).await;
        listening.await;
        if P::READING == Reading::Push {
            let receiving = each(&mut self.talkers, async move |client| {
                receive(client, total).await;
            });
            receiving.await;
        }
        Some(total as f64 / running.elapsed().as_secs_f64())
    }

    /// Sends messages to the waiting readers, the next one once all have the last one. Returns the times from sending
    /// to each receipt.
    async fn deliver(&mut self, messages: usize) -> Vec<Duration> {
        let mut spans = Vec::new();
        for number in 0..messages {
            let running = Stopwatch::start();
            let receiving = each(&mut self.readers, async move |client| {
                receive(client, 1).await;
                running.elapsed()
            });
            if P::READING == Reading::LongPoll {
                self.peer.server().wait_until_idle().await;
            }
            let sent = running.elapsed();
            self.author[0].send(&text(number)).await;
            let receipts = receiving.await;
            spans.extend(receipts.iter().map(|receipt| receipt.saturating_sub(sent)));
        }
        spans
    }
}

/// Receives exactly `count` messages.
async fn receive(client: &mut impl Client, count: usize) {
    let mut received = 0;
    while received < count {
        received += client.receive().await;
    }
    assert_eq!(received, count, "messages that arrive");
}

/// Starts a task with each client, and returns a future of their results that gives the clients back.
fn each<C: Client, T: 'static>(
    clients: &mut Vec<C>,
    what: impl AsyncFn(&mut C) -> T + 'static,
) -> impl Future<Output = Vec<T>> {
    let what = Rc::new(what);
    let tasks: Vec<_> = clients
        .drain(..)
        .map(|mut client| {
            let what = Rc::clone(&what);
            spawn_local(async move {
                let result = what(&mut client).await;
                (client, result)
            })
        })
        .collect();
    async move {
        let mut results = Vec::new();
        for task in tasks {
            let (client, result) = task.await.expect("a client that does not fail");
            clients.push(client);
            results.push(result);
        }
        results
    }
}

async fn settled_memory(server: &Server) -> u64 {
    server.wait_until_idle().await;
    server.memory()
}

/// Runs each server in turn, and prints the medians of the rounds.
pub async fn run(plan: &Plan) {
    let mut mirage = Side::new(Mirage::start(plan).await).await;
    let mut flask = Side::new(Flask::start(plan).await).await;
    let mut ngircd = Side::new(Ngircd::start(plan).await).await;
    let mut prosody = Side::new(Prosody::start(plan).await).await;
    let (rounds, span) = if plan.is_quick {
        (1, Duration::from_secs(1))
    } else {
        (ROUNDS, ROUND)
    };
    for round in 0..rounds {
        // Alternates which server comes first.
        if round % 2 == 0 {
            mirage.round(span).await;
            flask.round(span).await;
            ngircd.round(span).await;
            prosody.round(span).await;
        } else {
            prosody.round(span).await;
            ngircd.round(span).await;
            flask.round(span).await;
            mirage.round(span).await;
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    print_table(&[mirage.rounds, flask.rounds, ngircd.rounds, prosody.rounds]);
    println!("{NOTES}");
}

/// What the figures do not say.
const NOTES: &str = "\
Ratios are Mirage's figure to the other's: of rates, more is better; of times and memory, less. Rate limits are off
everywhere, and nothing is encrypted.

What is not comparable:

- An IRC server keeps no messages, so a room opens empty, and an IRC line is not a page: it is bytes that the client
  makes readable. ngircd checks no password here, has no accounts and confirms nothing; a send counts as confirmed once
  it answers the PING behind it, and only those who are connected at the time get the message.
- Mirage keeps 10,000 messages of a room here instead of 500, so that no reader misses any on a busy machine.
- prosody keeps the last 100 messages of a room in memory, as configured here, until the room is empty. Opening a room is
  a client that joins again and gets them as XML. A message is confirmed by its copy to the author. People are
  anonymous, and nothing is written to a disk.
- Clients of ngircd and prosody hold a connection that the server writes to. Mirage's page waits with a request, which it
  has to send again after each message; while it does, messages gather and arrive together. The Flask application's
  page asks once a second, so its readers wait half a second on average, whatever the server does.
- Only Mirage looks sessions up in a database, has roles, bans, limits and sends that are never doubled, and makes pages
  for screen readers. Pages are not compressed here, as Flask does not compress; Mirage otherwise does.";

/// Prints the medians of the rounds of Mirage and its peers, and their ratios.
fn print_table(sides: &[Vec<Figures>; 4]) {
    type Pick = fn(&Figures) -> Option<f64>;
    type Show = fn(f64) -> String;
    let rate: Show = |value| format!("{value:.0}");
    let time: Show = |value| ms(Duration::from_secs_f64(value));
    let rows: [(&str, Pick, Show); 9] = [
        ("room with 100 messages, 1/s", |round| round.opens, rate),
        ("idle poll, 1/s", |round| round.idles, rate),
        ("send, 1/s", |round| Some(round.sends), rate),
        (
            "send, p99",
            |round| Some(round.send_p99.as_secs_f64()),
            time,
        ),
        ("32 people talk, messages/s", |round| round.talk, rate),
        (
            "delivery to 100 readers, p50",
            |round| Some(round.delivery_p50.as_secs_f64()),
            time,
        ),
        (
            "delivery to 100 readers, p99",
            |round| Some(round.delivery_p99.as_secs_f64()),
            time,
        ),
        (
            "idle memory",
            |round| Some(round.idle_memory as f64),
            |bytes| mib(bytes as u64),
        ),
        (
            "memory per reader",
            |round| Some(round.reader_memory as f64),
            |bytes| format!("{:.1} KiB", bytes / 1024.0),
        ),
    ];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, pick, format)| {
            let figures = |side: &Vec<Figures>| side.iter().map(pick).collect::<Option<Vec<_>>>();
            let ours = figures(&sides[0]).expect("Mirage does all of it");
            let mut row = vec![(*name).to_owned(), format(median(&ours))];
            for side in &sides[1..] {
                let Some(theirs) = figures(side) else {
                    row.extend(["–".to_owned(), String::new()]);
                    continue;
                };
                let ratios: Vec<f64> = ours
                    .iter()
                    .zip(&theirs)
                    .map(|(ours, theirs)| ours / theirs)
                    .collect();
                row.push(format(median(&theirs)));
                row.push(format!("{:.2}", median(&ratios)));
            }
            row
        })
        .collect();
    print(
        &[
            "", "Mirage", "Flask", "ratio", "ngircd", "ratio", "prosody", "ratio",
        ],
        &rows,
    );
}
