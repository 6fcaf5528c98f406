//! Mirage, as a [`Peer`].

use std::rc::Rc;
use std::time::Duration;

use super::{Client, MESSAGES, Peer, READERS, Reading, SHOWN, TALK};
use crate::Plan;
use crate::http::{Connection, Purpose, Request};
use crate::people::{Dataset, Person};
use crate::server::{Environment, Server};
use crate::wrk::{Action, CONNECTIONS, Load};

/// The start of a message in a page or in the answer to a poll.
const MESSAGE: &str = "<li id=\"m";

/// A running Mirage.
pub struct Mirage {
    server: Server,
    dataset: Rc<Dataset>,
    people: Vec<Person>,
}

/// A person in a room.
pub struct Page {
    connection: Connection,
    dataset: Rc<Dataset>,
    person: Person,
    room: i64,
    cursor: String,
}

impl Mirage {
    /// Starts Mirage with all people in all rooms.
    pub async fn start(plan: &Plan) -> Self {
        let dataset = Dataset::new(&plan.folder.join("mirage")).await;
        let people = dataset.add_people(1, READERS + 1).await;
        for (person, room) in people.iter().zip(1..TALK) {
            dataset
                .add_rooms(room, 1, std::slice::from_ref(person))
                .await;
        }
        dataset.add_rooms(TALK, 3, &people).await;
        dataset.close().await;
        // The clients are idle while it is the others' turn. A room keeps enough messages that nobody misses any while 32
        // people talk, even if a busy machine lets a reader wait for a second.
        let flags = ["--keep-alive=10min", "--max-messages=10000"];
        let server = Server::mirage(dataset.folder(), &flags, Environment::Plain).await;
        let to = Connection::open(&server.address).await;
        let mut to = to.expect("a connection");
        dataset
            .send_messages(&mut to, SHOWN, &people, MESSAGES)
            .await;
        // A poll looks again at the other rooms that changed up to a second before its cursor.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Self {
            server,
            dataset: Rc::new(dataset),
            people,
        }
    }

    async fn load(&self, request: Request, span: Duration) -> f64 {
        let load = Load {
            people: &self.people[..CONNECTIONS],
            action: Action::Repeat(request),
        };
        // A page names who is in the room, so its length is not the same until everybody has come.
        load.once(&self.dataset, &self.server).await;
        let right = load.once(&self.dataset, &self.server).await;
        load.round(&self.dataset, &self.server, span, &right).rate
    }
}

impl Peer for Mirage {
    type Client = Page;
    const READING: Reading = Reading::LongPoll;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn client(&self, person: usize, room: i64) -> Page {
        let connection = Connection::open(&self.server.address).await;
        let mut page = Page {
            connection: connection.expect("a connection"),
            dataset: Rc::clone(&self.dataset),
            person: self.people[person - 1].clone(),
            room,
            cursor: String::new(),
        };
        page.poll("&wait=0").await;
        page
    }

    async fn open(&mut self, span: Duration) -> Option<f64> {
        let page = Request::get(Purpose::Page, format!("/rooms/{SHOWN}")).plain();
        let answer = self.server.ask(&page, &self.people[0].cookie).await;
        assert_eq!(answer.text().matches(MESSAGE).count(), MESSAGES);
        Some(self.load(page, span).await)
    }

    async fn idle(&mut self, span: Duration) -> Option<f64> {
        let cursor = self.client(1, SHOWN).await.cursor;
        let poll = format!("/rooms/{SHOWN}/poll?after={cursor}&wait=0");
        Some(self.load(Request::get(Purpose::Fetch, poll), span).await)
    }
}

impl Page {
    /// Polls, and returns the number of new messages.
    async fn poll(&mut self, more: &str) -> usize {
        let poll = format!("/rooms/{}/poll?after={}{more}", self.room, self.cursor);
        let poll = Request::get(Purpose::Fetch, poll);
        let answer = self.connection.ask_plain(&poll, &self.person.cookie).await;
        let answer = answer.expect("an answer");
        let is_reset = answer.header("mirage-reset").is_some();
        assert!(!is_reset || self.cursor.is_empty(), "messages were lost");
        let cursor = answer.header("mirage-cursor").expect("a cursor");
        cursor.clone_into(&mut self.cursor);
        answer.text().matches(MESSAGE).count()
    }
}

impl Client for Page {
    async fn send(&mut self, text: &str) {
        let nonce = self.dataset.nonce(&self.person, self.room);
        let send = Request::send(self.room, text, &nonce);
        let answer = self.connection.ask(&send, &self.person.cookie).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    async fn receive(&mut self) -> usize {
        self.poll("").await
    }
}
