//! Opening a PostgreSQL database, which several processes may do at once.

use mirage::config::{DatabaseUrl, Storage};
use mirage::database::connection::{self, OpenError};
use mirage::database::feed::Origin;
use mirage::database::transaction::{Decision, change};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use tokio::task::JoinSet;

use crate::postgres::PostgresDatabase;
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
async fn a_second_server_without_redis_is_refused() {
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
