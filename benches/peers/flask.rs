//! The Flask application, as a [`Peer`].
//!
//! It runs in waitress, which Flask's documentation names for production and which is a single process with threads, as
//! messages in memory need it. Waitress's settings are its defaults, except that it accepts more than 100 connections.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Client, MESSAGES, Peer, Reading, SHOWN};
use crate::Plan;
use crate::http::{Connection, Purpose, Request};
use crate::people::{Dataset, Person, text};
use crate::server::{Server, free_port, program};
use crate::wrk::{Action, CONNECTIONS, Load};

/// Waitress, in the environment that `benches/run` makes.
const WAITRESS: &str = "../benches-venv/bin/waitress-serve";
/// Everybody's name, and password for every room.
const NAME: &str = "ada";
const PASSWORD: &str = "a kettle of fish";
/// The start of a message in a page, and in the answer to a poll.
const IN_PAGE: &str = "<li id=\"m";
const IN_POLL: &str = "\"author\":";
/// How often a page asks for new messages, and the time between the first questions of two people.
const INTERVAL: Duration = Duration::from_secs(1);
const STAGGER: Duration = Duration::from_millis(10);

/// A running Flask application.
pub struct Flask {
    server: Server,
    /// Where wrk's files go.
    dataset: Dataset,
    /// The people in the room that is only read.
    people: Vec<Person>,
    /// The session cookie of each room.
    cookies: RefCell<HashMap<i64, String>>,
}

/// A person in a room.
pub struct Page {
    connection: Connection,
    person: Person,
    room: i64,
    /// The last message that the page has.
    last: usize,
}

impl Flask {
    /// Starts the application with its rooms, one of which has messages.
    pub async fn start(plan: &Plan) -> Self {
        let folder = plan.folder.join("flask");
        let dataset = Dataset::new(&folder).await;
        let port = free_port();
        let words = [
            "env".to_owned(),
            format!("PYTHONPATH={}/peers", env!("CARGO_MANIFEST_DIR")),
            "PYTHONDONTWRITEBYTECODE=1".to_owned(),
            waitress().display().to_string(),
            format!("--listen=127.0.0.1:{port}"),
            "--connection-limit=1000".to_owned(),
            "flask_chat:app".to_owned(),
        ];
        let server = Server::peer(&words, port, &folder).await;
        for _ in 1..=SHOWN {
            let fields = [("name", "Tea and cake"), ("password", PASSWORD)];
            let made = server.ask(&Request::form("/rooms", &fields), "").await;
            assert_eq!(made.status, 302, "{made:?}");
        }
        let mut flask = Self {
            server,
            dataset,
            people: Vec::new(),
            cookies: RefCell::default(),
        };
        for person in 1..=CONNECTIONS {
            flask.people.push(flask.person(person, SHOWN).await);
        }
        let mut author = flask.client(1, SHOWN).await;
        for number in 0..MESSAGES {
            author.send(&text(number)).await;
        }
        flask
    }

    /// Returns a person who is in the room. All people in a room have one session: the application knows no people,
    /// and each password takes its hash.
    async fn person(&self, number: usize, room: i64) -> Person {
        let known = self.cookies.borrow().get(&room).cloned();
        let cookie = match known {
            Some(cookie) => cookie,
            None => self.join(room).await,
        };
        Person {
            id: number as i64,
            name: NAME.to_owned(),
            cookie,
        }
    }

    /// Joins a room by its password. Returns the session cookie.
    async fn join(&self, room: i64) -> String {
        let fields = [("name", NAME), ("password", PASSWORD)];
        let join = Request::form(format!("/rooms/{room}/join"), &fields);
        let joined = self.server.ask(&join, "").await;
        let cookie = joined.header("set-cookie").expect("a cookie");
        let (cookie, _) = cookie.split_once(';').expect("a cookie with attributes");
        let mut cookies = self.cookies.borrow_mut();
        cookies.insert(room, cookie.to_owned());
        cookie.to_owned()
    }

    async fn load(&self, request: Request, span: Duration) -> f64 {
        let load = Load {
            people: &self.people,
            action: Action::Repeat(request),
        };
        let right = load.once(&self.dataset, &self.server).await;
        assert!(right.iter().all(|answer| answer.status == 200), "{right:?}");
        load.round(&self.dataset, &self.server, span, &right).rate
    }
}

/// The path of waitress's program.
fn waitress() -> PathBuf {
    let path = program(WAITRESS);
    assert!(
        path.exists(),
        "{} is missing: run benches/run",
        path.display()
    );
    path
}

impl Peer for Flask {
    type Client = Page;
    const READING: Reading = Reading::Timer;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn client(&self, person: usize, room: i64) -> Page {
        let connection = Connection::open(&self.server.address).await;
        let mut page = Page {
            connection: connection.expect("a connection"),
            person: self.person(person, room).await,
            room,
            last: 0,
        };
        page.poll().await;
        page
    }

    async fn open(&mut self, span: Duration) -> Option<f64> {
        let page = Request::get(Purpose::Page, format!("/rooms/{SHOWN}"));
        let answer = self.server.ask(&page, &self.people[0].cookie).await;
        assert_eq!(answer.text().matches(IN_PAGE).count(), MESSAGES);
        Some(self.load(page, span).await)
    }

    async fn idle(&mut self, span: Duration) -> Option<f64> {
        let poll = format!("/rooms/{SHOWN}/poll?after={MESSAGES}");
        Some(self.load(Request::get(Purpose::Fetch, poll), span).await)
    }
}

impl Page {
    /// Asks for new messages, and returns their number.
    async fn poll(&mut self) -> usize {
        let poll = format!("/rooms/{}/poll?after={}", self.room, self.last);
        let poll = Request::get(Purpose::Fetch, poll);
        let answer = self.connection.ask(&poll, &self.person.cookie).await;
        let answer = answer.expect("an answer");
        self.last = answer.between("\"last\":", ",").parse().expect("a number");
        answer.text().matches(IN_POLL).count()
    }
}

impl Client for Page {
    async fn send(&mut self, text: &str) {
        let send = Request::send(self.room, text, "");
        let answer = self.connection.ask(&send, &self.person.cookie).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn receive(&mut self) -> usize {
        tokio::time::sleep(STAGGER * self.person.id as u32).await;
        loop {
            let count = self.poll().await;
            if count > 0 {
                return count;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}
