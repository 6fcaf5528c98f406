//! Clients that wait for what comes into rooms, as the pages of people do: each asks again as soon as it
//! has an answer, over a connection of its own.

use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::http::{Connection, Purpose, Request};
use crate::people::Person;
use crate::server::Server;

/// The header that says from where to go on.
const CURSOR: &str = "mirage-cursor";

/// What one client waits for.
#[derive(Clone)]
pub struct Wait {
    /// The room.
    pub room: i64,
    /// Where it asks: the cursor is added.
    pub path: String,
    /// From where in the room's events it goes on.
    pub cursor: String,
    /// What its browser sends.
    pub cookie: String,
}

/// A message that has come to a client.
#[derive(Debug)]
pub struct Receipt {
    /// Into which room.
    pub room: i64,
    /// When, by the crowd's stopwatch.
    pub at: Duration,
    /// From where in the room's events to go on after it.
    pub cursor: String,
}

/// Clients that wait. They stop when this is dropped.
pub struct Crowd {
    /// What has come to them.
    pub receipts: mpsc::UnboundedReceiver<Receipt>,
    /// Each client ends only when its server does.
    clients: JoinSet<()>,
}

impl Crowd {
    /// Clients of `server`, all of them waiting; `running` tells the time.
    pub async fn gather(server: &Server, waits: Vec<Wait>, running: Stopwatch) -> Self {
        let (sender, receipts) = mpsc::unbounded_channel();
        let mut clients = JoinSet::new();
        for wait in waits {
            let connection = Connection::open(&server.address).await;
            let connection = connection.expect("a connection");
            clients.spawn(follow(connection, wait, running, sender.clone()));
        }
        server.settle().await;
        Self { receipts, clients }
    }

    /// How many they are.
    pub fn size(&self) -> usize {
        self.clients.len()
    }
}

async fn follow(
    mut connection: Connection,
    wait: Wait,
    running: Stopwatch,
    receipts: mpsc::UnboundedSender<Receipt>,
) {
    let mut cursor = wait.cursor;
    loop {
        let poll = format!("{}?after={cursor}", wait.path);
        let poll = Request::get(Purpose::Fetch, poll);
        // The server stops first.
        let Ok(answer) = connection.ask(&poll, &wait.cookie).await else {
            return;
        };
        let at = running.elapsed();
        answer
            .header(CURSOR)
            .expect("a cursor")
            .clone_into(&mut cursor);
        match answer.status.as_u16() {
            200 => {
                let receipt = Receipt {
                    room: wait.room,
                    at,
                    cursor: cursor.clone(),
                };
                // Nobody counts the receipts of who waits elsewhere.
                drop(receipts.send(receipt));
            }
            204 => {}
            _ => panic!("{}: {answer:?}", poll.target),
        }
    }
}

/// From where `person` goes on in a room, to hear of what comes from now on.
pub async fn cursor(server: &Server, room: i64, person: &Person) -> String {
    let poll = Request::get(Purpose::Fetch, format!("/rooms/{room}/poll?wait=0"));
    let answer = server.ask(&poll, &person.cookie).await;
    answer.header(CURSOR).expect("a cursor").to_owned()
}
