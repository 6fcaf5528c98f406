//! PostgreSQL fails over: a standby takes the place of the primary, at the same address.

use mirage::clock::Clock;
use mirage::config::Storage;
use mirage::core::Core;
use mirage::database::connection;
use mirage::database::link::LinkState;
use mirage::domain::RoomId;
use mirage::services::operators;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, TransactionTrait,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cut_links::Proxy;
use crate::database_trouble::reach;
use crate::postgres::PostgresServer;
use crate::support::{Browser, PASSWORD, TestApp, db_column, start_poll};

/// The most connections of a process that read, and that write.
const READERS: usize = 8;
const WRITERS: usize = 4;

/// How the primary fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Its processes end at once, and the system closes their connections.
    Ends,
    /// Its machine is cut off: it says nothing any more.
    FallsSilent,
}

/// A primary with a standby that has all that is committed, and an address that moves.
struct Cluster {
    primary: PostgresServer,
    standby: PostgresServer,
    address: Proxy,
}

impl Cluster {
    async fn start() -> Self {
        let primary = PostgresServer::with(&["fsync=off", "autovacuum=off"]);
        primary.execute("postgres", "CREATE DATABASE mirage").await;
        let standby = primary.standby();
        for setting in [
            // A commit is confirmed when a standby has it.
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        ] {
            primary.execute("postgres", setting).await;
        }
        let address = Proxy::to(primary.port).await;
        Self {
            primary,
            standby,
            address,
        }
    }

    /// Starts the servers of a site, which know PostgreSQL by the address.
    async fn serve(&self) -> TestApp {
        let port = self.address.port;
        let url = format!("--database-url=postgres://mirage@127.0.0.1:{port}/mirage");
        let app = TestApp::with(&[&url, "--link-timeout=2s"]).await;
        let replicated = "SELECT sync_state FROM pg_stat_replication";
        while db_column(&app, replicated).await != ["sync"] {}
        app
    }

    async fn promote(&self) {
        let promote = "SELECT pg_promote()";
        self.standby.execute("postgres", promote).await;
    }
}

/// Creates one room after the other until that fails. Returns the names of those that were confirmed.
async fn create_rooms(browser: Browser) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let name = format!("Room {}", names.len());
        let form = [("name", name.as_str()), ("kind", "public")];
        let page = browser.post("/rooms/new", &form).await;
        if page.status != 303 {
            page.assert_status(503);
            return names;
        }
        names.push(name);
    }
}

/// Runs this query as often at once, each time on a connection of its own. Returns the booleans that it gives.
async fn ask_at_once(
    database: &DatabaseConnection,
    count: usize,
    sql: &str,
) -> Vec<Result<bool, DbErr>> {
    let mut asked = JoinSet::new();
    for _ in 0..count {
        let database = database.clone();
        let ask = Statement::from_string(database.get_database_backend(), sql);
        asked.spawn(async move {
            let transaction = database.begin().await?;
            let row = transaction.query_one_raw(ask).await?;
            row.unwrap().try_get_by_index(0)
        });
    }
    asked.join_all().await
}

/// Asserts that a process can use all its connections at once.
async fn assert_no_connection_is_stuck(core: &Core) {
    let asked = "SELECT pg_is_in_recovery() FROM pg_sleep(0.3)";
    for (database, count) in [
        (core.database.connections(), READERS),
        (&core.writer, WRITERS),
    ] {
        for answer in ask_at_once(database, count, asked).await {
            assert!(!answer.unwrap());
        }
    }
}

/// Begins statements that take ten minutes, on all connections of each process that read but one.
async fn read_for_long(app: &TestApp) -> JoinSet<Result<Option<QueryResult>, DbErr>> {
    let mut reading = JoinSet::new();
    for core in app.cores() {
        for _ in 1..READERS {
            let database = core.database.clone();
            let backend = database.get_database_backend();
            let sleep = Statement::from_string(backend, "SELECT 1 FROM pg_sleep(600)");
            reading.spawn(async move { database.query_one_raw(sleep).await });
        }
    }
    let begun = "SELECT query FROM pg_stat_activity WHERE state = 'active' \
                 AND query LIKE 'SELECT 1 FROM pg_sleep%'";
    while db_column(app, begun).await.len() < reading.len() {}
    reading
}

async fn fail_over(failure: Failure) {
    let cluster = Cluster::start().await;
    let app = cluster.serve().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    ada.send(room, "hello").await.assert_status(303);
    let nonce = ada.nonce(room).await;
    for core in app.cores() {
        assert_no_connection_is_stuck(core).await;
    }
    let mut creating = JoinSet::new();
    creating.spawn(create_rooms(bob.clone()));
    while db_column(&app, "SELECT name FROM rooms").await.len() < 10 {
        assert!(
            creating.try_join_next().is_none(),
            "no more rooms are created"
        );
    }
    let reading = read_for_long(&app).await;

    match failure {
        Failure::Ends => cluster.primary.kill(),
        Failure::FallsSilent => cluster.address.silence(),
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    cluster.address.move_to(nobody.local_addr().unwrap().port());
    drop(nobody);
    reach(&app, LinkState::Silent).await;
    for read in reading.join_all().await {
        assert!(read.is_err());
    }
    let confirmed = creating.join_next().await.unwrap().unwrap();
    // Moved before the standby is promoted.
    cluster.address.move_to(cluster.standby.port);
    let away = async |number: usize| {
        ada.room(room).await.assert_status(503);
        let form = [("name", "kept"), ("kind", "public")];
        let page = ada.post("/rooms/new", &form).await;
        page.assert_status(503);
        let form = [("name", "ada"), ("password", PASSWORD)];
        let page = app.anonymous().post("/login", &form).await;
        page.assert_status(503).assert_value("#name", "ada");
        let sent = ada.send_with(room, "kept", &nonce).await;
        sent.assert_status(503);
        assert_eq!(sent.text("textarea"), "kept", "{number}");
    };
    for number in 0..4 {
        away(number).await;
    }
    assert!(
        app.cores()
            .all(|core| core.database_link.state() == LinkState::Silent)
    );

    cluster.promote().await;
    reach(&app, LinkState::Up).await;

    // The message in Redis is there, and the one that was refused is sent.
    let sent = ada.send_with(room, "kept", &nonce).await;
    sent.assert_status(303);
    assert_eq!(bob.messages(room).await, ["hello", "kept"]);
    app.sign_in("ada", PASSWORD).await;
    let names = db_column(&app, "SELECT name FROM rooms").await;
    for name in &confirmed {
        assert!(names.contains(name), "{name} was confirmed");
    }
    for core in app.cores() {
        assert_no_connection_is_stuck(core).await;
    }
    // Each process hears the others, and holds the server's lock.
    let polls = [
        start_poll(&app, &ada, room).await,
        start_poll(&app, &bob, room).await,
    ];
    let deleted = operators::delete_room(&app.core.writer, RoomId(room), app.clock.now()).await;
    assert!(deleted.unwrap());
    for (browser, poll) in [&ada, &bob].into_iter().zip(polls) {
        let mut poll = poll.answer().await;
        // A poll that was answered for another reason is sent again, as `room.js` does.
        while poll.status == 204 {
            poll = browser.poll(room, &format!("?after={}", poll.cursor)).await;
        }
        assert_eq!(poll.status, 404, "{poll:?}");
    }
    let locks = "SELECT mode FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                 WHERE datname = current_database() AND locktype = 'advisory' AND granted";
    assert_eq!(db_column(&app, locks).await.len(), app.cores().count());
    println!("{failure:?}: {} confirmed rooms", confirmed.len());
}

#[actix_web::test]
async fn a_standby_goes_on_with_all_that_was_confirmed_when_the_primary_ends() {
    fail_over(Failure::Ends).await;
}

#[actix_web::test]
async fn a_standby_goes_on_with_all_that_was_confirmed_when_the_primary_falls_silent() {
    fail_over(Failure::FallsSilent).await;
}

#[actix_web::test]
async fn nothing_is_read_from_a_standby() {
    let cluster = Cluster::start().await;
    let app = cluster.serve().await;
    app.sign_up("ada").await;
    let readers = app.core.database.connections();
    let asked = "SELECT pg_is_in_recovery() FROM pg_sleep(0.1)";
    let standby = Storage {
        database_url: cluster.standby.url("mirage").parse().unwrap(),
    };
    let refused = connection::open_existing(&standby).await.err().unwrap();
    assert!(refused.to_string().contains("standby"), "{refused}");
    // Connections that are made from now on lead to the standby.
    cluster.address.move_to(cluster.standby.port);

    for answer in ask_at_once(readers, READERS, asked).await {
        assert!(
            matches!(
                answer,
                Ok(false) | Err(DbErr::Conn(_) | DbErr::ConnectionAcquire(_))
            ),
            "{answer:?}"
        );
    }
    cluster.address.move_to(cluster.primary.port);

    reach(&app, LinkState::Up).await;
    assert_no_connection_is_stuck(&app.core).await;
}
