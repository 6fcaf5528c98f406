//! Examining a database without changing it: one that a server uses, or a backup.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TryGetable};

use super::connection::{self, OpenError};
use super::{schema, sqlite};
use crate::config::{DatabaseUrl, Storage};

/// What was found in a database.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// What is damaged, in the words of the database. Empty if nothing is.
    pub damages: Vec<String>,
    /// Why a server could not write to the database, if it could not.
    pub refused_write: Option<String>,
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
/// When the database cannot be opened or read, no server has created it yet, or a newer version of Mirage has migrated it.
pub async fn examine(storage: &Storage) -> Result<Examined, OpenError> {
    let database = connection::open_to_examine(storage).await?;
    let mut examined = read(&database, &storage.database_url.to_string()).await;
    if let Ok(examined) = &mut examined {
        examined.refused_write = refused_write(&database, &storage.database_url).await;
    }
    drop(database.close().await);
    examined
}

/// Returns why a server could not write, without writing.
async fn refused_write(database: &DatabaseConnection, url: &DatabaseUrl) -> Option<String> {
    match url {
        DatabaseUrl::Sqlite(url) => sqlite::refused_write(url),
        DatabaseUrl::Postgres(_) => {
            let tried = schema::refuse_read_only(database).await;
            tried.err().map(|error| error.to_string())
        }
    }
}

async fn read(database: &DatabaseConnection, url: &str) -> Result<Examined, OpenError> {
    let failed = |error| OpenError::Database {
        url: url.to_owned(),
        error,
    };
    let damages = damages(database).await.map_err(failed)?;
    if !damages.is_empty() {
        return Ok(Examined {
            damages,
            ..Examined::default()
        });
    }
    let applied = schema::applied_migrations(database).await.map_err(failed)?;
    schema::refuse_newer(url, &applied)?;
    let count = async |table| count(database, table).await.map_err(failed);
    Ok(Examined {
        damages,
        refused_write: None,
        // All that are applied are known.
        pending: Migrator::migrations().len() - applied.len(),
        users: count("users").await?,
        rooms: count("rooms").await?,
        members: count("room_members").await?,
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
