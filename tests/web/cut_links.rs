//! A server whose link to PostgreSQL is cut without a word: a proxy in between stops forwarding.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use mirage::clock::Clock;
use mirage::config::Storage;
use mirage::database::connection::{self, OpenError, Sharing};
use mirage::database::feed::Origin;
use mirage::database::link::LinkState;
use mirage::database::listener::Subscription;
use mirage::domain::{RoomId, UserId};
use mirage::services::operators;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::postgres::PostgresDatabase;
use crate::support::{Browser, Page, Poll, TestApp, db_column, start_poll};

/// How long after a cut nothing is served any more that needs the link: the link's timeout and a heartbeat, on a machine
/// that may be busy.
pub const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// What a proxy forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    Everything,
    /// Everything but the connections that hear PostgreSQL's notifications or Redis's channels.
    Queries,
    Nothing,
}

/// A proxy in front of PostgreSQL or Redis.
pub struct Proxy {
    pub port: u16,
    forwarded: watch::Sender<Forwarded>,
    /// Each value ends the connections until then that hear something.
    ended: watch::Sender<()>,
    /// The port to which new connections lead.
    server: Arc<AtomicU16>,
    /// Each value silences the connections until then for ever.
    silenced: watch::Sender<()>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (forwarded, follow) = watch::channel(Forwarded::Everything);
        let (ended, end) = watch::channel(());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let server = Arc::new(AtomicU16::new(port));
        let (silenced, silence) = watch::channel(());
        let to = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let server = SocketAddr::from(([127, 0, 0, 1], to.load(Ordering::SeqCst)));
                // Where no server listens, the client's connection ends.
                let Ok(server) = TcpStream::connect(server).await else {
                    continue;
                };
                // Turns true once the client has sent LISTEN or SUBSCRIBE.
                let listens = Arc::new(watch::Sender::new(false));
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let gate = (follow.clone(), Arc::clone(&listens));
                for (from, to) in [(from_client, to_server), (from_server, to_client)] {
                    let (passing, listens) = (pass(from, to, gate.clone()), Arc::clone(&listens));
                    let (mut end, mut silence) = (end.clone(), silence.clone());
                    // New clones have seen nothing.
                    end.mark_unchanged();
                    silence.mark_unchanged();
                    tokio::spawn(async move {
                        let mut passing = pin!(passing);
                        tokio::select! {
                            () = &mut passing => {}
                            () = told_to_end(end, &listens) => {}
                            // Its sockets stay open until the proxy ends.
                            Ok(()) = silence.changed() => while silence.changed().await.is_ok() {},
                        }
                    });
                }
            }
        });
        Self {
            port: own,
            forwarded,
            ended,
            server,
            silenced,
            connections,
        }
    }

    /// Leads new connections to the server at another port. The others stay as they are.
    pub fn move_to(&self, port: u16) {
        self.server.store(port, Ordering::SeqCst);
    }

    /// Forwards nothing any more on the connections until now, which stay open.
    pub fn silence(&self) {
        self.silenced.send_replace(());
    }

    /// The number of connections until now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn forward(&self, what: Forwarded) {
        self.forwarded.send_replace(what);
    }

    /// Closes the connections that hear something, and no others, without a word.
    pub fn end_listeners(&self) {
        self.ended.send_replace(());
    }
}

type Gate = (watch::Receiver<Forwarded>, Arc<watch::Sender<bool>>);

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, gate: Gate) {
    let (mut forwarded, listens) = gate;
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        for word in [&b"LISTEN"[..], b"SUBSCRIBE"] {
            if bytes[..length]
                .windows(word.len())
                .any(|window| window == word)
            {
                listens.send_replace(true);
            }
        }
        let is_open = |what: &Forwarded| match what {
            Forwarded::Everything => true,
            Forwarded::Queries => !*listens.borrow(),
            Forwarded::Nothing => false,
        };
        if forwarded.wait_for(is_open).await.is_err()
            || to.write_all(&bytes[..length]).await.is_err()
        {
            return;
        }
    }
}

/// Waits until the proxy ends the connections that hear something, and this is one of them.
async fn told_to_end(mut ended: watch::Receiver<()>, listens: &watch::Sender<bool>) {
    while ended.changed().await.is_ok() {
        if *listens.borrow() {
            return;
        }
    }
    std::future::pending().await
}

/// A server behind a proxy, with a room.
struct Scene {
    app: TestApp,
    proxy: Proxy,
    database: Arc<PostgresDatabase>,
    ada: Browser,
    room: i64,
}

impl Scene {
    async fn spawn() -> Self {
        let database = PostgresDatabase::migrated().await;
        let proxy = Proxy::to(database.port()).await;
        let database = Arc::new(database);
        let app = TestApp::through(Arc::clone(&database), proxy.port, &["--link-timeout=2s"]).await;
        let ada = app.sign_up("ada").await;
        let room = ada.create_public_room("Tea").await;
        ada.send(room, "hello").await.assert_status(303);
        Self {
            app,
            proxy,
            database,
            ada,
            room,
        }
    }

    /// Adds bob to the room, who sends a message, and returns his ID.
    async fn add_bob(&self) -> UserId {
        let bob = self.app.sign_up("bob").await;
        bob.join(self.room).await;
        bob.send(self.room, "of bob").await.assert_status(303);
        self.app.user_id("bob").await
    }

    /// Deletes a person with their messages, as an operator's command does: the server hears of it by the change feed.
    async fn delete(&self, person: UserId) {
        let (writer, now) = (&self.app.core.writer, self.app.clock.now());
        let deleted = operators::delete_person(writer, person, now).await;
        assert!(deleted.unwrap());
    }

    /// Ends the connection on which the server hears notifications and holds its lock.
    async fn end_listener(&self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid) \
                   WHERE datname = current_database() AND locktype = 'advisory' AND granted";
        self.database.execute(end).await;
    }

    /// Takes the lock of a server without Redis, as another server would.
    async fn take_lock(&self, patience: Duration) -> Result<Subscription, OpenError> {
        let database_url = self.database.url().parse().unwrap();
        let storage = Storage { database_url };
        let subscribed = connection::subscribe(&storage, Sharing::Alone, Origin::random());
        let (_, mut other) = subscribed.await.unwrap().unwrap();
        other.lock(patience).await?;
        Ok(other)
    }

    /// Waits until the server has noticed that the link is in this state.
    async fn reach(&self, state: LinkState) {
        let link = &self.app.core.database_link;
        let reached = async {
            while link.noticed() != state || link.state() != state {
                tokio::task::yield_now().await;
            }
        };
        let within = tokio::time::timeout(Duration::from_secs(20), reached);
        within.await.unwrap_or_else(|_| panic!("never {state:?}"));
    }
}

#[actix_web::test]
async fn while_postgres_is_silent_nothing_is_served_that_needs_it() {
    let scene = Scene::spawn().await;
    let (app, ada, room) = (&scene.app, &scene.ada, scene.room);
    let page = ada.room(room).await;
    let nonce = page.attribute("#write [name=nonce]", "value");
    let waiting = start_poll(app, ada, room).await;

    scene.proxy.forward(Forwarded::Nothing);

    let poll = waiting.answer_within(NOTICED_WITHIN).await;
    assert_eq!(poll.status, 503);
    scene.reach(LinkState::Silent).await;
    for path in ["/rooms/mine", "/rooms", "/healthz"] {
        ada.get(path).await.assert_status(503);
    }
    ada.room(room).await.assert_status(503);
    let sent = ada.send_with(room, "not lost", &nonce).await;
    sent.assert_status(503);
    assert!(sent.body.contains("not lost"), "{}", sent.body);
    app.anonymous().get("/login").await.assert_status(200);

    scene.proxy.forward(Forwarded::Everything);
    scene.reach(LinkState::Up).await;
    assert_eq!(ada.messages(room).await, ["hello"]);
    ada.send_with(room, "not lost", &nonce)
        .await
        .assert_status(303);
    assert_eq!(ada.messages(room).await, ["hello", "not lost"]);
}

#[actix_web::test]
async fn what_was_refused_while_postgres_was_silent_is_not_done_when_it_answers_again() {
    const WAITS: &str = "wait_event_type = 'Lock'";
    let scene = Scene::spawn().await;
    let direct = Database::connect(scene.database.url()).await.unwrap();
    let connections = async |which| connections(&direct, which).await;
    let hold = direct.begin().await.unwrap();
    let lock = "LOCK TABLE changes IN EXCLUSIVE MODE";
    hold.execute_unprepared(lock).await.unwrap();
    let form = [("name", "Late"), ("kind", "public")];
    let posting = scene.ada.post("/rooms/new", &form);
    let cut = async {
        // The change is written to the feed last.
        while connections(WAITS).await == 0 {}
        scene.proxy.forward(Forwarded::Nothing);
    };

    let (refused, ()) = tokio::join!(posting, cut);

    refused.assert_status(503);
    hold.commit().await.unwrap();
    // The transaction is ready to be committed.
    while connections(IS_OPEN).await == 0 {}
    scene.proxy.forward(Forwarded::Everything);
    scene.reach(LinkState::Up).await;
    scene.ada.create_public_room("Later").await;
    while connections(IS_OPEN).await > 0 {}
    assert_eq!(count(&direct, "rooms WHERE name = 'Late'").await, 0);
}

#[actix_web::test]
async fn a_change_that_was_given_up_before_its_transaction_began_leaves_none_open() {
    let scene = Scene::spawn().await;
    let direct = Database::connect(scene.database.url()).await.unwrap();

    scene.proxy.forward(Forwarded::Nothing);
    let form = [("name", "Late"), ("kind", "public")];
    let refused = scene.ada.post("/rooms/new", &form).await;
    refused.assert_status(503);
    scene.proxy.forward(Forwarded::Everything);

    scene.reach(LinkState::Up).await;
    let ended = async { while connections(&direct, IS_OPEN).await > 0 {} };
    let ended = tokio::time::timeout(NOTICED_WITHIN, ended).await;
    ended.expect("a connection stays within a transaction");
    scene.ada.create_public_room("Later").await;
}

/// The state of a connection that waits for the next statement of a transaction.
const IS_OPEN: &str = "state = 'idle in transaction'";

/// Counts rows.
async fn count(database: &DatabaseConnection, rows: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {rows}");
    let query = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(query).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Counts the connections to the database that are in this state.
async fn connections(database: &DatabaseConnection, state: &str) -> i64 {
    let all = "pg_stat_activity WHERE datname = current_database() AND";
    count(database, &format!("{all} {state}")).await
}

#[actix_web::test]
async fn while_the_change_feed_is_silent_nothing_held_is_trusted() {
    let scene = Scene::spawn().await;
    let (app, ada, room) = (&scene.app, &scene.ada, scene.room);
    let bob = app.sign_up("bob").await;
    bob.join(room).await;
    let (cleo, dan) = (app.sign_up("cleo").await, app.sign_up("dan").await);
    cleo.join(room).await;
    for held in [&cleo, &dan] {
        held.room(room).await.assert_status(200);
    }
    let waiting = start_poll(app, ada, room).await;

    scene.proxy.forward(Forwarded::Queries);

    let poll = waiting.answer_within(NOTICED_WITHIN).await;
    assert_eq!((poll.status, wait_of(&poll)), (204, "0"));
    scene.reach(LinkState::Deaf).await;
    // Pages go on, and show what nobody has told this process of.
    ada.room(room).await.assert_status(200);
    let renamed = "UPDATE rooms SET name = 'Cake'";
    scene.database.execute(renamed).await;
    assert_eq!(ada.room(room).await.text("h1"), "Cake");
    scene
        .database
        .execute("DELETE FROM room_members WHERE user_id = 2")
        .await;
    let refused = bob.poll(room, "").await;
    assert_eq!(refused.status, 403);
    ada.send(room, "still here").await.assert_status(303);
    scene
        .database
        .execute("DELETE FROM sessions WHERE user_id = 2")
        .await;
    bob.get("/rooms/mine")
        .await
        .assert_redirect("/login?next=/rooms/mine");
    // These rows change without a look at them before the feed is heard again.
    for change in [
        "UPDATE rooms SET name = 'Bread'",
        "DELETE FROM room_members WHERE user_id = 3",
        "DELETE FROM sessions WHERE user_id = 4",
    ] {
        scene.database.execute(change).await;
    }

    scene.proxy.forward(Forwarded::Everything);
    scene.reach(LinkState::Up).await;
    assert_eq!(ada.room(room).await.text("h1"), "Bread");
    assert_eq!(ada.get("/rooms").await.texts(".rooms h2"), ["Bread"]);
    assert_eq!(cleo.poll(room, "?wait=0").await.status, 403);
    dan.get("/rooms/mine")
        .await
        .assert_redirect("/login?next=/rooms/mine");
    let waiting = start_poll(app, ada, room).await;
    ada.send(room, "back").await.assert_status(303);
    assert_eq!(waiting.answer().await.added, ["back"]);
}

#[actix_web::test]
async fn changes_that_were_not_heard_are_applied_later() {
    let scene = Scene::spawn().await;
    let bob = scene.add_bob().await;
    scene.proxy.forward(Forwarded::Queries);
    scene.reach(LinkState::Deaf).await;

    scene.delete(bob).await;
    scene.proxy.forward(Forwarded::Everything);
    scene.reach(LinkState::Up).await;

    assert_eq!(scene.ada.messages(scene.room).await, ["hello"]);
}

#[actix_web::test]
async fn a_listener_that_postgres_ends_is_replaced() {
    let scene = Scene::spawn().await;
    let (app, ada, room) = (&scene.app, &scene.ada, scene.room);
    let waiting = start_poll(app, ada, room).await;

    scene.end_listener().await;

    let poll = waiting.answer().await;
    assert_eq!((poll.status, wait_of(&poll)), (204, "0"));
    scene.reach(LinkState::Up).await;
    let waiting = start_poll(app, ada, room).await;
    let now = app.clock.now();
    let deleted = operators::delete_room(&app.core.writer, RoomId(room), now).await;
    assert!(deleted.unwrap());
    assert_eq!(waiting.answer().await.status, 404);
}

#[actix_web::test]
async fn a_listener_whose_connection_is_closed_is_replaced_and_what_it_missed_is_applied() {
    let scene = Scene::spawn().await;
    let (app, ada, room) = (&scene.app, &scene.ada, scene.room);
    let bob = scene.add_bob().await;
    let waiting = start_poll(app, ada, room).await;

    // The next listener hears nothing yet.
    scene.proxy.forward(Forwarded::Queries);
    scene.proxy.end_listeners();

    // Sooner than silence is noticed.
    let poll = waiting.answer().await;
    assert_eq!((poll.status, wait_of(&poll)), (204, "0"));
    scene.reach(LinkState::Deaf).await;
    scene.delete(bob).await;
    scene.proxy.forward(Forwarded::Everything);
    scene.reach(LinkState::Up).await;
    assert_eq!(ada.messages(room).await, ["hello"]);
}

#[actix_web::test]
async fn a_server_takes_its_lock_again_with_its_next_connection() {
    let scene = Scene::spawn().await;
    for is_told in [true, false] {
        if is_told {
            scene.end_listener().await;
            scene.reach(LinkState::Deaf).await;
        } else {
            // PostgreSQL does not know that the connection is cut, and keeps its lock.
            scene.proxy.forward(Forwarded::Queries);
            scene.reach(LinkState::Deaf).await;
            scene.proxy.forward(Forwarded::Everything);
        }
        scene.reach(LinkState::Up).await;

        let taken = scene.take_lock(Duration::ZERO).await;
        assert!(matches!(taken, Err(OpenError::InUse { .. })), "{is_told}");
    }
}

#[actix_web::test]
async fn a_server_that_lost_its_lock_to_another_serves_nothing_until_that_has_stopped() {
    let scene = Scene::spawn().await;
    let (ada, room) = (&scene.ada, scene.room);
    // The first in the queue when the server loses its connection.
    let (other, ()) = tokio::join!(scene.take_lock(Duration::from_secs(60)), async {
        while !is_lock_awaited(&scene.app).await {}
        scene.end_listener().await;
    });

    scene.reach(LinkState::Silent).await;
    ada.room(room).await.assert_status(503);
    ada.get("/healthz").await.assert_status(503);

    other.unwrap().unlock().await.unwrap();
    scene.reach(LinkState::Up).await;
    assert_eq!(ada.messages(room).await, ["hello"]);
}

/// Returns whether another server waits for the server's lock.
pub async fn is_lock_awaited(app: &TestApp) -> bool {
    let waiting = "SELECT mode FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                   WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
    !db_column(app, waiting).await.is_empty()
}

fn wait_of(poll: &Poll) -> &str {
    let page: &Page = &poll.page;
    page.header("mirage-wait")
}
