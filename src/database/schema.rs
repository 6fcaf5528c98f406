//! The checks of a database's schema before the database is used.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use super::opened::OpenError;
use super::transaction;

/// Returns the migrations applied to a database, or none if it is not a database of Mirage. Does not write.
pub(super) async fn applied_migrations(
    database: &DatabaseConnection,
) -> Result<Vec<String>, DbErr> {
    let backend = database.get_database_backend();
    let statement = |sql: &str| Statement::from_string(backend, sql);
    let table = if backend == DbBackend::Sqlite {
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'"
    } else {
        "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL"
    };
    if database.query_one_raw(statement(table)).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = database
        .query_all_raw(statement("SELECT version FROM seaql_migrations"))
        .await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

/// Fails if the database is read-only: such a server would let people sign in, and then refuse each change.
pub(super) async fn refuse_read_only(database: &DatabaseConnection) -> Result<(), DbErr> {
    // On a read-only file, SQLite lets BEGIN IMMEDIATE succeed, so this runs a statement that writes but
    // matches no row.
    let transaction = transaction::begin(database).await?;
    transaction
        .execute_unprepared("DELETE FROM sessions WHERE FALSE")
        .await?;
    transaction.rollback().await
}

/// Refuses a database with migrations that this version does not know.
pub(super) fn refuse_newer(url: &str, applied: &[String]) -> Result<(), OpenError> {
    let known: Vec<_> = Migrator::migrations()
        .iter()
        .map(|m| m.name().to_owned())
        .collect();
    match applied.iter().find(|change| !known.contains(change)) {
        Some(change) => Err(OpenError::Newer {
            url: url.to_owned(),
            change: change.clone(),
        }),
        None => Ok(()),
    }
}

/// Refuses a database to which a migration that this version knows was not applied.
pub(super) fn refuse_older(url: &str, applied: &[String]) -> Result<(), OpenError> {
    let known = Migrator::migrations();
    let missing = known
        .iter()
        .find(|known| !applied.iter().any(|applied| applied == known.name()));
    match missing {
        Some(missing) => Err(OpenError::Older {
            url: url.to_owned(),
            change: missing.name().to_owned(),
        }),
        None => Ok(()),
    }
}
