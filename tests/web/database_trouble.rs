//! A database that cannot be written for a while: chat goes on, forms come back filled in, and everything
//! works again afterwards without a restart.

use std::time::Duration;

use mirage::database::link::LinkState;
use mirage::domain::RoomId;
use mirage::services::room_settings::{self, Changed};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::errors::BUSY;
use crate::postgres::PostgresServer;
use crate::support::{Browser, PASSWORD, Page, TestApp, db_column, is_cluster, start_poll};

/// Signs up two people who have the same room open.
async fn two_in_a_room(app: &TestApp) -> (Browser, Browser, i64) {
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = ada.create_public_room("Tea").await;
    bob.join(room).await;
    for browser in [&ada, &bob] {
        browser.room(room).await.assert_status(200);
    }
    (ada, bob, room)
}

/// Asserts that a message of the first person reaches the waiting poll of the second.
async fn assert_chat_works(app: &TestApp, (ada, bob, room): &(Browser, Browser, i64), text: &str) {
    let waiting = start_poll(app, bob, *room).await;
    ada.send(*room, text).await.assert_status(303);
    assert_eq!(waiting.answer().await.added, [text]);
}

/// A form that writes to the database: who sends it, where to, its fields, and the field beside which the
/// error appears.
struct Form<'a> {
    browser: &'a Browser,
    path: String,
    typed: Vec<(&'static str, &'static str)>,
    first: &'static str,
}

/// One form of each kind that writes to the database.
fn forms<'a>(nobody: &'a Browser, (ada, _, room): &'a (Browser, Browser, i64)) -> [Form<'a>; 5] {
    let form = |browser, path: &str, typed: &[_]| Form {
        browser,
        path: path.to_owned(),
        typed: typed.to_vec(),
        first: typed[0].0,
    };
    let settings = [
        ("name", "Tea with milk"),
        ("description", "No sugar"),
        ("lifespan", "longest"),
        ("slow-mode", "30"),
        ("language", "de"),
        ("posting", "everyone"),
    ];
    let (cleo, bob_too) = (
        [("name", "cleo"), ("password", PASSWORD)],
        [("name", "bob"), ("password", PASSWORD)],
    );
    let change = [("current", PASSWORD), ("password", "an owl in a willow")];
    [
        form(ada, "/rooms/new", &[("name", "Cake"), ("kind", "public")]),
        form(nobody, "/register", &cleo),
        form(nobody, "/login", &bob_too),
        form(ada, &format!("/rooms/{room}/settings"), &settings),
        form(ada, "/account/password", &change),
    ]
}

/// Sends all forms at once and returns the responses.
async fn submit(forms: &[Form<'_>; 5]) -> [Page; 5] {
    let [a, b, c, d, e] = forms
        .each_ref()
        .map(|form| form.browser.post(&form.path, &form.typed));
    let (a, b, c, d, e) = tokio::join!(a, b, c, d, e);
    [a, b, c, d, e]
}

/// Asserts that a form came back filled in, asking the person to send it again soon.
#[track_caller]
fn assert_comes_back(form: &Form<'_>, page: &Page) {
    page.assert_status(503).assert_problem(form.first, BUSY);
    assert_eq!(page.header("retry-after"), "5");
    for (name, value) in &form.typed {
        match *name {
            "name" => drop(page.assert_value("#name", value)),
            "description" => assert_eq!(page.text("#description"), *value),
            "lifespan" | "slow-mode" | "language" => {
                let chosen = format!("#{name} [selected]");
                assert_eq!(page.attribute(&chosen, "value"), *value);
            }
            "kind" | "posting" => {
                let chosen = format!("[name={name}][checked]");
                assert_eq!(page.attribute(&chosen, "value"), *value);
            }
            // Passwords are never sent back.
            _ => (),
        }
    }
}

/// Asserts that every form that writes comes back, and that a button without fields gets a 503 page.
async fn assert_forms_come_back(app: &TestApp, people: &(Browser, Browser, i64)) {
    let nobody = app.anonymous();
    let (forms, leave) = (forms(&nobody, people), format!("/rooms/{}/leave", people.2));

    let (pages, left) = tokio::join!(submit(&forms), people.1.post(&leave, &[("leave", "1")]));

    for (form, page) in forms.iter().zip(&pages) {
        assert_comes_back(form, page);
    }
    left.assert_status(503);
    assert_eq!(left.header("retry-after"), "5");
    assert_eq!(left.text("h1"), "The server cannot do that right now");
}

/// Asserts that every form succeeds once the database can be written again, without a restart.
async fn assert_forms_succeed(app: &TestApp, people: &(Browser, Browser, i64)) {
    let nobody = app.anonymous();
    for page in submit(&forms(&nobody, people)).await {
        page.assert_status(303);
    }
    people.1.leave(people.2).await;
}

/// Keeps everybody from writing, until the transaction is rolled back.
async fn lock_writes(database: &DatabaseConnection) -> DatabaseTransaction {
    let lock = database.begin().await.unwrap();
    let sql = if is_cluster() {
        "LOCK TABLE users, rooms, room_members, sessions IN EXCLUSIVE MODE"
    } else {
        "UPDATE users SET created_at = created_at"
    };
    lock.execute_unprepared(sql).await.unwrap();
    lock
}

/// Runs a statement on the server's connection that writes.
async fn on_the_writer(app: &TestApp, sql: &str) {
    let connection = app.core.writer.begin().await.unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    connection.rollback().await.unwrap();
}

#[actix_web::test]
async fn while_the_database_is_locked_chat_goes_on_and_forms_come_back() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    let other = Database::connect(app.database_url()).await.unwrap();
    let lock = lock_writes(&other).await;

    let talk = async {
        for number in 0..20 {
            assert_chat_works(&app, &people, &format!("message {number}")).await;
        }
    };
    // Each call waits for the busy timeout of five seconds, so the lock lasts ten.
    tokio::join!(assert_forms_come_back(&app, &people), talk);
    assert_forms_come_back(&app, &people).await;
    assert_chat_works(&app, &people, "still here").await;
    lock.rollback().await.unwrap();

    assert_forms_succeed(&app, &people).await;
}

#[actix_web::test]
async fn while_the_database_is_read_only_chat_goes_on_and_forms_come_back() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    on_the_writer(&app, "PRAGMA query_only = ON").await;

    assert_forms_come_back(&app, &people).await;
    assert_chat_works(&app, &people, "still here").await;
    people.0.get("/rooms").await.assert_status(200);
    on_the_writer(&app, "PRAGMA query_only = OFF").await;

    assert_forms_succeed(&app, &people).await;
}

/// A site on a new database of a PostgreSQL of its own.
async fn spawn_on(server: &PostgresServer) -> TestApp {
    server.execute("postgres", "CREATE DATABASE mirage").await;
    let url = format!("--database-url={}", server.url("mirage"));
    TestApp::with(&[&url, "--link-timeout=2s"]).await
}

/// Waits until the servers know that their links to PostgreSQL are in this state.
pub async fn reach(app: &TestApp, state: LinkState) {
    let reached = async {
        while app.cores().any(|core| core.database_link.state() != state) {
            tokio::task::yield_now().await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(30), reached);
    within.await.unwrap_or_else(|_| panic!("never {state:?}"));
}

#[actix_web::test]
async fn while_postgres_is_stopped_forms_come_back_and_a_new_start_mends_all() {
    let mut server = PostgresServer::start();
    let app = spawn_on(&server).await;
    let people = two_in_a_room(&app).await;
    let (ada, _, room) = &people;
    assert_chat_works(&app, &people, "hello").await;
    let nonce = ada.nonce(*room).await;
    let nobody = app.anonymous();
    let forms = forms(&nobody, &people);

    server.stop();

    for is_noticed in [false, true] {
        if is_noticed {
            reach(&app, LinkState::Silent).await;
        }
        for (form, page) in forms.iter().zip(&submit(&forms).await) {
            page.assert_status(503);
            assert_eq!(page.header("retry-after"), "5");
            // Who is signed in is in the database, too.
            if matches!(form.path.as_str(), "/register" | "/login") {
                assert_comes_back(form, page);
            }
        }
        let refused = ada.send_with(*room, "kept", &nonce).await;
        refused.assert_status(503);
        assert_eq!(refused.text("textarea"), "kept");
        ada.get("/rooms").await.assert_status(503);
    }

    server.start_again();
    reach(&app, LinkState::Up).await;
    ada.send_with(*room, "kept", &nonce)
        .await
        .assert_status(303);
    assert_eq!(ada.messages(*room).await, ["hello", "kept"]);
    assert_chat_works(&app, &people, "still here").await;
    // The forms are not sent again: one whose transaction waited for a connection may have succeeded meanwhile.
    app.sign_up("dora").await.create_public_room("Pie").await;
    people.1.leave(*room).await;
}

#[actix_web::test]
async fn while_postgres_is_read_only_chat_goes_on_and_forms_come_back() {
    let mut server = PostgresServer::start();
    let app = spawn_on(&server).await;
    let people = two_in_a_room(&app).await;
    // What a database is set to holds for its next connections.
    let restart = async |server: &mut PostgresServer| {
        server.stop();
        reach(&app, LinkState::Silent).await;
        server.start_again();
        reach(&app, LinkState::Up).await;
    };
    let set = "ALTER DATABASE mirage SET default_transaction_read_only = on";
    server.execute("postgres", set).await;
    restart(&mut server).await;

    assert_forms_come_back(&app, &people).await;
    assert_chat_works(&app, &people, "still here").await;
    people.0.get("/rooms").await.assert_status(200);

    let reset = "ALTER DATABASE mirage RESET default_transaction_read_only";
    server.execute("postgres", reset).await;
    restart(&mut server).await;
    assert_forms_succeed(&app, &people).await;
}

#[actix_web::test]
async fn while_the_disk_is_full_chat_goes_on_and_forms_come_back() {
    let app = TestApp::spawn().await;
    let people = two_in_a_room(&app).await;
    // SQLite raises a limit below the current size to the current size: the database cannot grow.
    on_the_writer(&app, "PRAGMA max_page_count = 1").await;

    let mut made = 0;
    let refused = loop {
        let form = [
            ("name", format!("Room {made}")),
            ("kind", "public".to_owned()),
        ];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let page = people.0.post("/rooms/new", &form).await;
        if page.status != 303 {
            break page;
        }
        made += 1;
        assert!(made < 1_000, "it is never full");
    };
    refused.assert_status(503).assert_problem("name", BUSY);
    refused.assert_value("#name", &format!("Room {made}"));
    assert_chat_works(&app, &people, "still here").await;
    people.0.get("/rooms").await.assert_status(200);
    on_the_writer(&app, "PRAGMA max_page_count = 1000000").await;

    assert_forms_succeed(&app, &people).await;
    eprintln!("{made} rooms had room on the full disk");
}

#[actix_web::test]
async fn writes_are_committed_after_sqlite_has_rolled_back_a_transaction_by_itself() {
    let app = TestApp::with_sqlite().await;
    let ada = app.sign_up("ada").await;
    ada.create_public_room("Tea").await;
    // SQLite rolls back by itself when a commit finds the disk full, and sqlx does not notice.
    let connection = app.core.writer.begin().await.unwrap();
    connection.execute_unprepared("ROLLBACK").await.unwrap();
    drop(connection);

    // A refused and an accepted form in turn, so that each connection serves both.
    for number in 0..8 {
        let taken = [("name", "Tea"), ("kind", "public")];
        let page = ada.post("/rooms/new", &taken).await;
        page.assert_status(422);
        ada.create_public_room(&format!("Cake {number}")).await;
    }

    let beside = Database::connect(app.database_url()).await.unwrap();
    let sql = "SELECT name FROM rooms WHERE name LIKE 'Cake %'";
    let statement = Statement::from_string(beside.get_database_backend(), sql);
    assert_eq!(beside.query_all_raw(statement).await.unwrap().len(), 8);
}

#[actix_web::test]
async fn waiting_writers_delay_no_reader() {
    const WRITERS: usize = 8;
    let app = TestApp::spawn().await;
    let (ada, bob, _) = two_in_a_room(&app).await;
    let other = Database::connect(app.database_url()).await.unwrap();
    let lock = lock_writes(&other).await;
    let mut writes = JoinSet::new();
    for number in 0..WRITERS {
        let browser = ada.clone();
        writes.spawn(async move {
            let name = format!("Room {number}");
            let form = [("name", name.as_str()), ("kind", "public")];
            browser.post("/rooms/new", &form).await.status
        });
    }

    // The writers wait for the lock all this time.
    for _ in 0..5 {
        bob.get("/rooms/mine").await.assert_status(200);
        bob.get("/healthz").await.assert_status(200);
        assert!(writes.try_join_next().is_none(), "a writer had its turn");
    }

    lock.rollback().await.unwrap();
    while let Some(written) = writes.join_next().await {
        assert_eq!(written.unwrap(), 303);
    }
}

#[actix_web::test]
async fn making_a_room_public_waits_for_a_reader_without_the_write_lock() {
    let app = TestApp::spawn().await;
    let (ada, bob) = (app.sign_up("ada").await, app.sign_up("bob").await);
    let room = RoomId(ada.create_private_room("Den").await);
    let owner = app.user_id("ada").await;
    let (reads, release) = (Notify::new(), Notify::new());
    app.core.rooms.forget(room);
    let reader = app.core.rooms.get(room, async || {
        reads.notify_one();
        release.notified().await;
        Ok::<_, ()>(None)
    });

    let change = async {
        reads.notified().await;
        let change = room_settings::make_public(&app.core, room, owner);
        let write = async {
            bob.create_public_room("Cake").await;
            release.notify_one();
        };
        tokio::join!(change, write).0
    };
    let (_, changed) = tokio::join!(reader, change);

    assert_eq!(changed.unwrap(), Changed::Done);
}

#[actix_web::test]
async fn an_account_is_created_and_the_old_session_ended_together_or_not_at_all() {
    let app = TestApp::spawn().await;
    let browser = app.sign_up("ada").await;
    app.refuse("DELETE ON sessions").await;
    let form = [("name", "bob"), ("password", PASSWORD)];

    browser.post("/register", &form).await.assert_status(500);
    app.allow("sessions").await;

    browser.post("/register", &form).await.assert_status(303);
    let sessions = db_column(&app, "SELECT user_agent FROM sessions").await;
    assert_eq!(sessions.len(), 1);
}

#[actix_web::test]
async fn a_change_whose_connection_ended_after_its_commit_is_applied() {
    const WAITS: &str = "SELECT pid::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let server = PostgresServer::with(&["fsync=off", "autovacuum=off"]);
    let app = spawn_on(&server).await;
    let (ada, bob, room) = two_in_a_room(&app).await;
    let person = ada.member_id(room, "bob").await;
    let standby = async |names: &str| {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        server.execute("mirage", &set).await;
        server.execute("mirage", "SELECT pg_reload_conf()").await;
    };
    // A commit waits for a standby that there is not, after it has happened.
    standby("nobody").await;
    let path = format!("/rooms/{room}/members/{person}/remove");
    let removing = tokio::spawn(async move { ada.post(&path, &[("confirm", "1")]).await });
    let waiting = loop {
        let found = db_column(&app, WAITS).await;
        if let [process] = &found[..] {
            break process.clone();
        }
    };

    let end = format!("SELECT pg_terminate_backend({waiting})");
    server.execute("mirage", &end).await;

    assert!(removing.await.unwrap().status.is_server_error());
    standby("").await;
    // Each server in turn.
    let removed =
        async { while bob.room(room).await.has("#log") || bob.room(room).await.has("#log") {} };
    let removed = tokio::time::timeout(Duration::from_secs(20), removed).await;
    removed.unwrap_or_else(|_| panic!("bob still reads"));
}
