//! Clients that poll rooms, as open pages do: each has its own connection and polls again as soon as it has
//! a response.

use std::time::Duration;

use mirage::clock::Stopwatch;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::http::{Connection, Purpose, Request};
use crate::people::Person;
use crate::server::Server;

/// The header with the next cursor.
const CURSOR: &str = "mirage-cursor";

/// The poll of one client.
#[derive(Clone)]
pub struct Wait {
    /// The room.
    pub room: i64,
    /// The path, to which the cursor is appended.
    pub path: String,
    /// The cursor to start from.
    pub cursor: String,
    /// The session cookie.
    pub cookie: String,
}

/// The arrival of a message at a client.
#[derive(Debug)]
pub struct Receipt {
    /// The room of the message.
    pub room: i64,
    /// The time of arrival, by the crowd's stopwatch.
    pub at: Duration,
    /// The cursor after the message.
    pub cursor: String,
}

/// Clients that poll until this is dropped.
pub struct Crowd {
    /// The arrivals at all clients.
    pub receipts: mpsc::UnboundedReceiver<Receipt>,
    /// For clients that join.
    sender: mpsc::UnboundedSender<Receipt>,
    running: Stopwatch,
    /// Each client ends when its server ends.
    clients: JoinSet<()>,
}

impl Crowd {
    /// Connects the clients to `server`, and returns once all polls wait. `running` is the stopwatch.
    pub async fn connect(server: &Server, waits: Vec<Wait>, running: Stopwatch) -> Self {
        let (sender, receipts) = mpsc::unbounded_channel();
        let mut crowd = Self {
            receipts,
            sender,
            running,
            clients: JoinSet::new(),
        };
        crowd.join(server, waits).await;
        crowd
    }

    /// Connects more clients to `server`, and returns once all polls wait.
    pub async fn join(&mut self, server: &Server, waits: Vec<Wait>) {
        for wait in waits {
            let connection = Connection::open(&server.address).await;
            let connection = connection.expect("a connection");
            let follow = follow(connection, wait, self.running, self.sender.clone());
            self.clients.spawn(follow);
        }
        server.wait_until_idle().await;
    }

    /// Closes the connections of all clients.
    pub async fn leave(&mut self) {
        self.clients.shutdown().await;
    }

    /// The number of clients.
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
        // The server has stopped.
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
                // The receiver is gone if nobody counts the receipts.
                drop(receipts.send(receipt));
            }
            204 => {}
            _ => panic!("{}: {answer:?}", poll.target),
        }
    }
}

/// The current cursor of a room.
pub async fn cursor(server: &Server, room: i64, person: &Person) -> String {
    let poll = Request::get(Purpose::Fetch, format!("/rooms/{room}/poll?wait=0"));
    let answer = server.ask(&poll, &person.cookie).await;
    answer.header(CURSOR).expect("a cursor").to_owned()
}
