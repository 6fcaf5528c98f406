//! Examining a database without changing it: one that a server uses, or a backup.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TryGetable};

use super::connection::{self, OpenError};
use crate::config::Storage;

/// What was found in a database.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// What is damaged, in the words of the database. Empty if nothing is.
    pub damages: Vec<String>,
    /// The first applied migration that this version does not know, if there is one.
    pub unknown: Option<String>,
    /// How many migrations of this version are not applied yet.
    pub pending: usize,
    /// The number of accounts.
    pub users: i64,
    /// The number of rooms.
    pub rooms: i64,
    /// The number of memberships.
    pub members: i64,
}

/// Examines the database, which a server may be using meanwhile: whether it is whole, which migrations it has, and how
/// much is in it.
///
/// # Errors
/// When the database cannot be opened or read, or no server has created it yet.
pub async fn examine(storage: &Storage) -> Result<Examined, OpenError> {
    let database = connection::open_to_examine(storage).await?;
    let examined = read(&database).await;
    drop(database.close().await);
    examined.map_err(|error| OpenError::Database {
        url: storage.database_url.to_string(),
        error,
    })
}

async fn read(database: &DatabaseConnection) -> Result<Examined, DbErr> {
    let damages = damages(database).await?;
    if !damages.is_empty() {
        return Ok(Examined {
            damages,
            ..Examined::default()
        });
    }
    let applied: Vec<String> = column(
        database,
        "SELECT version FROM seaql_migrations ORDER BY version",
    )
    .await?;
    let known: Vec<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    let is_pending = |name: &&String| !applied.contains(name);
    Ok(Examined {
        damages,
        pending: known.iter().filter(is_pending).count(),
        unknown: applied.into_iter().find(|name| !known.contains(name)),
        users: count(database, "users").await?,
        rooms: count(database, "rooms").await?,
        members: count(database, "room_members").await?,
    })
}

/// Returns what SQLite finds damaged. PostgreSQL looks after itself.
async fn damages(database: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    if database.get_database_backend() != DbBackend::Sqlite {
        return Ok(Vec::new());
    }
    let mut damages: Vec<String> = column(database, "PRAGMA integrity_check(3)").await?;
    damages.retain(|line| line != "ok");
    if damages.is_empty() {
        let orphans: Vec<String> = column(database, "PRAGMA foreign_key_check").await?;
        if let Some(table) = orphans.first() {
            damages.push(format!("rows of {table} refer to rows that do not exist"));
        }
    }
    Ok(damages)
}

async fn count(database: &DatabaseConnection, table: &str) -> Result<i64, DbErr> {
    let counts = column(database, &format!("SELECT count(*) FROM {table}")).await?;
    Ok(counts.first().copied().unwrap_or_default())
}

/// Returns the first column of the rows.
async fn column<T: TryGetable>(database: &DatabaseConnection, sql: &str) -> Result<Vec<T>, DbErr> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}
