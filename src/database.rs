//! Opening the database: how SQLite is set up, and what a database must be to be served.

use std::fs::{File, OpenOptions};
use std::future::ready;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::app::StartupError;
use crate::config::Storage;

/// How long a statement waits for another's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to the SQLite file: one writes at a time, the others read beside it.
const CONNECTIONS: u32 = 4;

/// Opens a server's database, makes it if it is not there, and brings its schema up to date.
///
/// # Errors
/// When it cannot be opened or written, or a newer program has changed it; then it is left alone.
pub async fn open(storage: &Storage) -> Result<DatabaseConnection, StartupError> {
    let url = &storage.database_url;
    let file = file_of(url).map_err(failed(url))?;
    if let Some(file) = &file {
        if let Some(folder) = file.parent() {
            make_folder(folder).map_err(|error| StartupError::DatabaseFolder {
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
pub async fn open_existing(storage: &Storage) -> Result<DatabaseConnection, StartupError> {
    let url = &storage.database_url;
    refuse_newer(url, &changes_of_existing(url).await?)?;
    connect(url, 1).await
}

/// Opens the database that a server has made, of whatever version, and leaves it as it is.
///
/// # Errors
/// When it cannot be opened, and when there is none yet.
pub async fn open_to_read(storage: &Storage) -> Result<DatabaseConnection, StartupError> {
    let url = &storage.database_url;
    changes_of_existing(url).await?;
    connect_to_read(url).await
}

/// The changes of the schema that the database has seen which a server has made.
async fn changes_of_existing(url: &str) -> Result<Vec<String>, StartupError> {
    let missing = || StartupError::NoDatabase {
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

async fn connect_to_read(url: &str) -> Result<DatabaseConnection, StartupError> {
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

/// Why there is no copy of a database.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file is there, or cannot be made or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The database cannot be read, or its copy not be written.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Copies the database, as it is at one moment, to a new file. Who writes does not wait for it.
///
/// # Errors
/// When the file is there, or cannot be written. A part of a copy is not left behind.
pub async fn copy_to(database: &DatabaseConnection, file: &Path) -> Result<(), CopyError> {
    // For its owner only before anything is in it. SQLite takes a file that is empty for a new one.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let copied = fill_copy(database, file, &made).await;
    if copied.is_err() {
        drop(std::fs::remove_file(file));
    }
    copied
}

async fn fill_copy(
    database: &DatabaseConnection,
    file: &Path,
    made: &File,
) -> Result<(), CopyError> {
    // What begins with a slash is no URI to SQLite.
    let path = std::path::absolute(file)?;
    let path = path
        .to_str()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let backend = database.get_database_backend();
    let copy = Statement::from_sql_and_values(backend, "VACUUM INTO ?", [path.into()]);
    database.execute_raw(copy).await?;
    // SQLite leaves that to the operating system.
    made.sync_all()?;
    Ok(())
}

async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection, StartupError> {
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

fn failed(url: &str) -> impl Fn(DbErr) -> StartupError {
    move |error| StartupError::Database {
        url: url.to_owned(),
        error,
    }
}

/// Begins a transaction that writes.
///
/// It takes SQLite's write lock at once: a transaction that first reads and then writes is refused
/// with `SQLITE_BUSY`, whatever the timeout, when another wrote in between.
///
/// # Errors
/// When the database is away or busy for longer than the timeout.
pub async fn write(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    database.begin_with_options(options).await
}

/// Makes a folder for what is nobody else's business: hashes of passwords, the server's secret.
///
/// # Errors
/// When it cannot be made. One that is there stays as it is.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
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
    let transaction = write(database).await?;
    transaction
        .execute_unprepared("DELETE FROM sessions WHERE FALSE")
        .await?;
    transaction.rollback().await
}

/// The changes of the schema that a database has seen; none if it is none of ours. Looks without writing.
async fn applied_changes(url: &str) -> Result<Vec<String>, StartupError> {
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
fn refuse_newer(url: &str, applied: &[String]) -> Result<(), StartupError> {
    let known: Vec<_> = Migrator::migrations()
        .iter()
        .map(|m| m.name().to_owned())
        .collect();
    match applied.iter().find(|change| !known.contains(change)) {
        Some(change) => Err(StartupError::NewerDatabase {
            url: url.to_owned(),
            change: change.clone(),
        }),
        None => Ok(()),
    }
}
