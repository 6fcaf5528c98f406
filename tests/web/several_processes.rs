//! Opening a PostgreSQL database, which several processes may do at once.

use std::sync::Arc;

use mirage::clock::FixedClock;
use mirage::config::{Command, DatabaseUrl, Storage};
use mirage::database::connection::{self, OpenError};
use mirage::database::feed::Origin;
use mirage::database::transaction::{Decision, change};
use mirage::server::application::Application;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use tokio::task::JoinSet;

use crate::postgres::{Pooler, PostgresDatabase, PostgresServer, certificate_of_localhost};
use crate::support::START;

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

#[actix_web::test]
async fn a_second_server_is_refused() {
    let database = PostgresDatabase::migrated().await;
    let storage = storage(&database);
    let lock = connection::lock(&storage).await.unwrap();

    let second = connection::lock(&storage).await;

    assert!(matches!(second, Err(OpenError::InUse { .. })));
    drop(lock);
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
    let lock = async |host: &str, parameters: &str| {
        let port = server.port;
        let url = format!("postgres://mirage@{host}:{port}/postgres?{parameters}");
        let database_url = url.parse().unwrap();
        connection::lock(&Storage { database_url }).await.map(drop)
    };
    let trusted = format!("sslmode=verify-full&sslrootcert={certificate}");

    lock("localhost", &trusted).await.unwrap();
    // The certificate is for another name, or signed by nobody whom the system trusts.
    assert!(lock("127.0.0.1", &trusted).await.is_err());
    assert!(lock("localhost", "sslmode=verify-full").await.is_err());
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
}
