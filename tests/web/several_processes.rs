//! Opening a PostgreSQL database, which several processes may do at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mirage::clock::FixedClock;
use mirage::config::{Command, DatabaseUrl, Storage};
use mirage::database::connection::{self, OpenError, Sharing};
use mirage::database::feed::Origin;
use mirage::database::listener::Subscription;
use mirage::database::transaction::{Decision, MAX_ATTEMPTS, change};
use mirage::server::application::Application;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use tokio::task::JoinSet;

use crate::cut_links::{Proxy, is_lock_awaited};
use crate::postgres::{Pooler, PostgresDatabase, PostgresServer, certificate_of_localhost};
use crate::support::{START, TestApp};

fn storage(database: &PostgresDatabase) -> Storage {
    let database_url: DatabaseUrl = database.url().parse().unwrap();
    Storage { database_url }
}

#[actix_web::test]
async fn several_processes_migrate_one_database_once() {
    let database = PostgresDatabase::empty().await;
    let storage = storage(&database);
    let missing = connection::open_existing(&storage).await;
    assert!(matches!(missing, Err(OpenError::Missing { .. })));

    let opened = tokio::join!(
        connection::open(&storage),
        connection::open(&storage),
        connection::open(&storage)
    );

    for connections in [opened.0, opened.1, opened.2] {
        connections.unwrap();
    }
    connection::open_existing(&storage).await.unwrap();
}

/// Subscribes as a server does when it starts, with this setting.
async fn subscribed(database: &PostgresDatabase, sharing: Sharing) -> Subscription {
    let storage = storage(database);
    let subscribed = connection::subscribe(&storage, sharing, Origin::random());
    subscribed.await.unwrap().unwrap().1
}

/// Takes the lock without a wait. Returns the sentence for the operator if the server is refused.
async fn locked(database: &PostgresDatabase, sharing: Sharing) -> Result<Subscription, String> {
    let mut subscription = subscribed(database, sharing).await;
    let locked = subscription.lock(Duration::ZERO).await;
    locked.map_err(|error| error.to_string())?;
    Ok(subscription)
}

#[actix_web::test]
async fn servers_share_a_database_only_if_they_share_a_redis() {
    for (first, second, advice) in [
        (Sharing::Together, Sharing::Together, None),
        (Sharing::Alone, Sharing::Alone, Some("set --redis-url")),
        (Sharing::Together, Sharing::Alone, Some("set --redis-url")),
        (
            Sharing::Alone,
            Sharing::Together,
            Some("that one has no --redis-url"),
        ),
    ] {
        let database = PostgresDatabase::migrated().await;
        let held = locked(&database, first).await.unwrap();

        let refused = locked(&database, second).await.err();

        let Some(advice) = advice else {
            assert_eq!(refused, None);
            continue;
        };
        let refused = refused.unwrap();
        assert!(refused.contains("another server is using"), "{refused}");
        assert!(refused.contains(advice), "{refused}");
        held.unlock().await.unwrap();
        locked(&database, second).await.unwrap();
    }
}

#[actix_web::test]
async fn a_server_without_redis_is_refused_beside_another_until_that_has_stopped() {
    let database = Arc::new(PostgresDatabase::migrated().await);
    let app = TestApp::through(Arc::clone(&database), database.port(), &[]).await;

    let refused = built(&database, database.port()).await.unwrap_err();
    assert!(refused.contains("set --redis-url"), "{refused}");

    app.stop().await;
    built(&database, database.port()).await.unwrap();
}

#[actix_web::test]
async fn a_server_that_takes_over_gets_the_lock_as_soon_as_the_other_has_stopped() {
    let database = Arc::new(PostgresDatabase::migrated().await);
    let app = TestApp::through(Arc::clone(&database), database.port(), &[]).await;
    let mut next = subscribed(&database, Sharing::Alone).await;
    let waiting = tokio::spawn(async move { next.lock(Duration::from_secs(60)).await });
    while !is_lock_awaited(&app).await {}

    app.stop().await;

    waiting.await.unwrap().unwrap();
}

#[actix_web::test]
async fn a_command_connects_twice() {
    let database = PostgresDatabase::migrated().await;
    let proxy = Proxy::to(database.port()).await;
    let database_url: DatabaseUrl = database.url_at(proxy.port).parse().unwrap();

    let opened = connection::open_existing(&Storage { database_url }).await;

    opened
        .unwrap()
        .execute_unprepared("SELECT 1")
        .await
        .unwrap();
    assert_eq!(proxy.connections(), 2);
}

#[actix_web::test]
async fn readers_cannot_write() {
    let database = PostgresDatabase::migrated().await;
    let connections = connection::open(&storage(&database)).await.unwrap();

    let written = connections.readers.execute_unprepared("DELETE FROM users");

    let error = written.await.unwrap_err().to_string();
    assert!(error.contains("read-only transaction"), "{error}");
}

#[actix_web::test]
async fn changes_that_meet_are_made_one_after_another() {
    const CHANGES: i64 = 20;
    let database = PostgresDatabase::migrated().await;
    let connections = connection::open(&storage(&database)).await.unwrap();
    let insert = "INSERT INTO name_keys (version) VALUES (0)";
    connections.writer.execute_unprepared(insert).await.unwrap();

    let mut added = JoinSet::new();
    for _ in 0..CHANGES {
        added.spawn_local(add_one(connections.writer.clone()));
    }
    for made in added.join_all().await {
        made.unwrap();
    }

    assert_eq!(number(&connections.readers).await.unwrap(), CHANGES);
}

#[actix_web::test]
async fn a_change_that_always_meets_another_is_given_up_after_a_bounded_number_of_attempts() {
    let app = TestApp::spawn().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);

    let given_up = app.core.change(async move |transaction| {
        counted.fetch_add(1, Ordering::SeqCst);
        let meet = "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$";
        transaction.execute_unprepared(meet).await?;
        Ok(Decision::RollBack(()))
    });
    let given_up = given_up.await.unwrap_err();

    assert!(given_up.is_transient(), "{given_up:?}");
    assert_eq!(attempts.load(Ordering::SeqCst), MAX_ATTEMPTS);
}

/// Reads a number and writes the next one, so that two at once cannot both be right.
async fn add_one(writer: DatabaseConnection) -> Result<(), DbErr> {
    let added = change(&writer, Origin::random(), START, async |transaction| {
        let next = number(transaction).await? + 1;
        let update = format!("UPDATE name_keys SET version = {next}");
        transaction.execute_unprepared(&update).await?;
        Ok::<_, DbErr>(Decision::Commit((), Vec::new()))
    });
    added.await?;
    Ok(())
}

async fn number(database: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let select = "SELECT version FROM name_keys";
    let select = Statement::from_string(database.get_database_backend(), select);
    let row = database.query_one_raw(select).await?;
    row.unwrap().try_get_by_index(0)
}

#[actix_web::test]
async fn a_database_of_a_newer_version_is_refused() {
    let database = PostgresDatabase::migrated().await;
    let storage = storage(&database);
    let connections = connection::open(&storage).await.unwrap();
    let newer = "INSERT INTO seaql_migrations VALUES ('m29990101_000001_the_future', 0)";
    connections.writer.execute_unprepared(newer).await.unwrap();

    let server = connection::open(&storage).await;
    let command = connection::open_existing(&storage).await;

    assert!(matches!(server, Err(OpenError::Newer { .. })));
    assert!(matches!(command, Err(OpenError::Newer { .. })));
}

#[actix_web::test]
async fn a_server_that_cannot_hear_its_own_notifications_refuses_to_start() {
    let database = PostgresDatabase::empty().await;
    let pooler = Pooler::start("transaction");

    let error = built(&database, pooler.port).await.err().unwrap();

    assert!(error.contains("pool_mode = session"), "{error}");
    // Nothing was migrated.
    let missing = connection::open_existing(&storage(&database)).await;
    assert!(matches!(missing, Err(OpenError::Missing { .. })));
    // Nor locked: it refuses for the same reason while another server holds the lock.
    let held = locked(&database, Sharing::Alone).await.unwrap();
    let error = built(&database, pooler.port).await.err().unwrap();
    assert!(error.contains("pool_mode = session"), "{error}");
    held.unlock().await.unwrap();
    drop(pooler);

    let pooler = Pooler::start("session");
    built(&database, pooler.port).await.unwrap();
}

/// Builds a server that reaches its database at this port. Returns the sentence for the operator if it refuses.
async fn built(database: &PostgresDatabase, port: u16) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let line = [
        "mirage".to_owned(),
        "--bind=127.0.0.1:0".to_owned(),
        format!("--database-url={}", database.url_at(port)),
        format!("--secret-file={}/mirage.key", folder.path().display()),
    ];
    let Ok(Command::Serve(config)) = Command::parse(line) else {
        panic!("not the flags of a server")
    };
    let built = Application::build(*config, Arc::new(FixedClock::at(START))).await;
    built.map(drop).map_err(|error| error.to_string())
}

#[actix_web::test]
async fn a_link_with_tls_leads_to_the_right_server_or_nowhere() {
    let (folder, certificate) = certificate_of_localhost();
    let file = |name: &str| folder.join(name).display().to_string();
    let server = PostgresServer::with(&[
        "ssl=on",
        &format!("ssl_cert_file={certificate}"),
        &format!("ssl_key_file={}", file("key.pem")),
    ]);
    let link = async |host: &str, parameters: &str| {
        let port = server.port;
        let url = format!("postgres://mirage@{host}:{port}/postgres?{parameters}");
        let database_url = url.parse().unwrap();
        let storage = Storage { database_url };
        let subscribed = connection::subscribe(&storage, Sharing::Alone, Origin::random());
        subscribed.await.map(drop)
    };
    let trusted = format!("sslmode=verify-full&sslrootcert={certificate}");

    link("localhost", &trusted).await.unwrap();
    // The certificate is for another name, or signed by nobody whom the system trusts.
    assert!(link("127.0.0.1", &trusted).await.is_err());
    assert!(link("localhost", "sslmode=verify-full").await.is_err());
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
}
