//! Opening the database: how SQLite is set up, and what a database must be to be served.

use std::future::ready;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, RuntimeErr, Statement,
};

use super::transaction;
use crate::config::Storage;
use crate::security::secret::create_private_folder;

/// How long a statement waits for another's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to the SQLite file: one writes at a time, the others read beside it.
const CONNECTIONS: u32 = 4;

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database's folder cannot be made.
    #[error("cannot create the database folder {}: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The database cannot be opened, changed or written.
    #[error("cannot use the database {url}: {error}")]
    Database {
        /// Which one.
        url: String,
        /// The error of the database.
        error: DbErr,
    },
    /// No server has made the database yet.
    #[error("no Mirage database at {url}: set --database-url to the database that the server uses")]
    Missing {
        /// Where it was looked for.
        url: String,
    },
    /// A newer program has changed the database.
    #[error(
        "the database {url} was migrated by a newer version of Mirage ({change}): run that version"
    )]
    Newer {
        /// Which one.
        url: String,
        /// The change that this program does not know.
        change: String,
    },
}

/// Opens a server's database, makes it if it is not there, and brings its schema up to date.
///
/// # Errors
/// When it cannot be opened or written, or a newer program has changed it; then it is left alone.
pub async fn open(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    let url = &storage.database_url;
    let file = file_of(url).map_err(failed(url))?;
    if let Some(file) = &file {
        if let Some(folder) = file.parent() {
            create_private_folder(folder).map_err(|error| OpenError::Folder {
                folder: folder.to_owned(),
                error,
            })?;
        }
        if file.exists() {
            refuse_newer(url, &applied_changes(url).await?)?;
        }
    }
    // A database in memory is another one in each connection.
    connect(url, if file.is_some() { CONNECTIONS } else { 1 }).await
}

/// Opens the database that a server has made, and brings its schema up to date, as the server does.
///
/// # Errors
/// As with [`open`], and when there is none yet.
pub async fn open_existing(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    let url = &storage.database_url;
    refuse_newer(url, &changes_of_existing(url).await?)?;
    connect(url, 1).await
}

/// Opens the database that a server has made, of whatever version, and leaves it as it is.
///
/// # Errors
/// When it cannot be opened, and when there is none yet.
pub async fn open_to_read(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    let url = &storage.database_url;
    changes_of_existing(url).await?;
    connect_to_read(url).await
}

/// The changes of the schema that the database has seen which a server has made.
async fn changes_of_existing(url: &str) -> Result<Vec<String>, OpenError> {
    let missing = || OpenError::Missing {
        url: url.to_owned(),
    };
    let file = file_of(url).map_err(failed(url))?;
    file.filter(|file| file.exists()).ok_or_else(missing)?;
    let applied = applied_changes(url).await?;
    if applied.is_empty() {
        return Err(missing());
    }
    Ok(applied)
}

async fn connect_to_read(url: &str) -> Result<DatabaseConnection, OpenError> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .read_only(true)
                .create_if_missing(false)
                .busy_timeout(BUSY_TIMEOUT)
        });
    Database::connect(options).await.map_err(failed(url))
}

async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection, OpenError> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(BUSY_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                // What was answered with success is on the disk, power cut or not.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
        })
        .map_sqlx_sqlite_before_acquire(|connection, _| Box::pin(ready(Ok(is_fit(connection)))));
    let database = Database::connect(options).await.map_err(failed(url))?;
    Migrator::up(&database, None).await.map_err(failed(url))?;
    refuse_read_only(&database).await.map_err(failed(url))?;
    Ok(database)
}

/// Whether a connection that was used before can be used again, or is to be closed.
///
/// Where a commit fails because the disk is full or cannot be written, SQLite has rolled the transaction
/// back by itself. sqlx then cannot roll it back, goes on as if it were open, and makes savepoints of the
/// transactions that follow: once one of them is rolled back, nothing on this connection would ever be
/// committed again, though every commit would seem to succeed.
/// (<https://sqlite.org/lang_transaction.html>, "Response To Errors Within A Transaction")
fn is_fit(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

/// The same connections, counting in `statements` what is sent to the database by this hand.
#[must_use]
pub fn counting(
    mut database: DatabaseConnection,
    statements: Arc<AtomicU64>,
) -> DatabaseConnection {
    database.set_metric_callback(move |_| {
        statements.fetch_add(1, Ordering::Relaxed);
    });
    database
}

fn failed(url: &str) -> impl Fn(DbErr) -> OpenError {
    move |error| OpenError::Database {
        url: url.to_owned(),
        error,
    }
}

/// The file that holds the database, if it is one.
fn file_of(url: &str) -> Result<Option<PathBuf>, DbErr> {
    let options: SqliteConnectOptions = url
        .parse()
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
    let is_in_memory = url.contains(":memory:") || url.contains("mode=memory");
    Ok((!is_in_memory).then(|| options.get_filename().to_owned()))
}

/// Fails on a database that can only be read, which would let everybody in and refuse each change.
async fn refuse_read_only(database: &DatabaseConnection) -> Result<(), DbErr> {
    // A statement that writes, though it finds nothing to change: on a file that can only be read,
    // SQLite lets BEGIN IMMEDIATE itself pass.
    let transaction = transaction::begin(database).await?;
    transaction
        .execute_unprepared("DELETE FROM sessions WHERE FALSE")
        .await?;
    transaction.rollback().await
}

/// The changes of the schema that a database has seen; none if it is none of ours. Looks without writing.
async fn applied_changes(url: &str) -> Result<Vec<String>, OpenError> {
    let database = connect_to_read(url).await?;
    let backend = database.get_database_backend();
    let ask = |sql: &str| Statement::from_string(backend, sql);
    let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'";
    let mut applied: Vec<String> = Vec::new();
    if database
        .query_one_raw(ask(table))
        .await
        .map_err(failed(url))?
        .is_some()
    {
        let rows = database
            .query_all_raw(ask("SELECT version FROM seaql_migrations"))
            .await;
        for row in rows.map_err(failed(url))? {
            applied.push(row.try_get("", "version").map_err(failed(url))?);
        }
    }
    database.close().await.map_err(failed(url))?;
    Ok(applied)
}

/// Refuses a database with changes that this program does not know.
fn refuse_newer(url: &str, applied: &[String]) -> Result<(), OpenError> {
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
