//! Opening the database: the settings of SQLite, and the checks before a database is used.

use std::fs::{File, OpenOptions, TryLockError};
use std::future::ready;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
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
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, RuntimeErr, Statement,
};

use super::transaction;
use crate::config::Storage;
use crate::security::secret::create_private_folder;

/// How long a statement waits for another connection's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections read at a time.
const READERS: u32 = 4;

/// A server's connections to its database.
pub struct Connections {
    /// Connections that only read. None of them ever waits for a writer.
    pub readers: DatabaseConnection,
    /// The one connection that writes. SQLite has one writer at a time: with one connection, writers wait in the
    /// pool, in order, and take no connection from readers.
    pub writer: DatabaseConnection,
}

/// The lock that keeps other servers from using the same database file, until it is dropped or the process ends.
#[derive(Debug)]
pub struct ServerLock {
    _file: Option<File>,
}

/// The reason why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database's folder cannot be created.
    #[error("cannot create the database folder {}: {error}", folder.display())]
    Folder {
        /// The path of the folder.
        folder: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The database cannot be opened, migrated or written.
    #[error("cannot use the database {url}: {error}")]
    Database {
        /// The URL of the database.
        url: String,
        /// The error of the database.
        error: DbErr,
    },
    /// No server has created the database yet.
    #[error("no Mirage database at {url}: set --database-url to the database that the server uses")]
    Missing {
        /// The URL of the database.
        url: String,
    },
    /// Another server is using the database.
    #[error("another server is using the database {url}: one SQLite file serves one server")]
    InUse {
        /// The URL of the database.
        url: String,
    },
    /// The lock file beside the database cannot be created or locked.
    #[error("cannot lock {}: {error}", file.display())]
    Lock {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// An older version of Mirage has migrated the database.
    #[error(
        "the database {url} was migrated by an older version of Mirage (before {change}): use that version's commands, or start this version's server once"
    )]
    Older {
        /// The URL of the database.
        url: String,
        /// The first migration that was not applied to the database.
        change: String,
    },
    /// A newer version of Mirage has migrated the database.
    #[error(
        "the database {url} was migrated by a newer version of Mirage ({change}): run that version"
    )]
    Newer {
        /// The URL of the database.
        url: String,
        /// The migration that this version does not know.
        change: String,
    },
}

/// Opens a server's database, creates it if it does not exist, and runs its migrations.
///
/// # Errors
/// When the database cannot be opened or written, or when a newer version of Mirage has migrated it, which leaves it
/// unchanged.
pub async fn open(storage: &Storage) -> Result<Connections, OpenError> {
    let url = &storage.database_url;
    let file = file_path(url).map_err(failed(url))?;
    if let Some(file) = &file {
        create_folder_of(file)?;
        if file.exists() {
            refuse_newer(url, &applied_migrations(url).await?)?;
        }
    }
    let writer = connect(url, Purpose::Write).await?;
    Migrator::up(&writer, None).await.map_err(failed(url))?;
    refuse_read_only(&writer).await.map_err(failed(url))?;
    let readers = if file.is_some() {
        connect(url, Purpose::Read).await?
    } else {
        // Each connection to an in-memory database has a database of its own.
        writer.clone()
    };
    Ok(Connections { readers, writer })
}

/// Makes sure that no other server uses the database. The lock is on a file beside the database's own.
///
/// # Errors
/// When another server is using the database, or the lock file cannot be created or locked.
pub fn lock(storage: &Storage) -> Result<ServerLock, OpenError> {
    let url = &storage.database_url;
    let Some(database) = file_path(url).map_err(failed(url))? else {
        return Ok(ServerLock { _file: None });
    };
    create_folder_of(&database)?;
    let mut file = database.into_os_string();
    file.push(".lock");
    let file = PathBuf::from(file);
    let opened = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&file);
    let locked = opened.map_err(TryLockError::Error).and_then(|file| {
        file.try_lock()?;
        Ok(file)
    });
    match locked {
        Ok(file) => Ok(ServerLock { _file: Some(file) }),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            url: url.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(OpenError::Lock { file, error }),
    }
}

/// Opens the database that a server has created, for an operator's command. Leaves the schema as it is: a server of
/// another version may be running.
///
/// # Errors
/// When the database cannot be opened, was not created yet, or was migrated by another version of Mirage.
pub async fn open_existing(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    let url = &storage.database_url;
    let applied = applied_migrations_of_existing(url).await?;
    refuse_newer(url, &applied)?;
    let known = Migrator::migrations();
    if let Some(missing) = known
        .iter()
        .find(|known| !applied.iter().any(|applied| applied == known.name()))
    {
        return Err(OpenError::Older {
            url: url.to_owned(),
            change: missing.name().to_owned(),
        });
    }
    connect(url, Purpose::Write).await
}

/// Opens a database that a server has created, of any version, without changing it.
///
/// # Errors
/// When the database cannot be opened, or no server has created it yet.
pub async fn open_read_only(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    let url = &storage.database_url;
    applied_migrations_of_existing(url).await?;
    connect_read_only(url).await
}

/// Returns the migrations applied to a database that a server has created.
async fn applied_migrations_of_existing(url: &str) -> Result<Vec<String>, OpenError> {
    let missing = || OpenError::Missing {
        url: url.to_owned(),
    };
    let file = file_path(url).map_err(failed(url))?;
    file.filter(|file| file.exists()).ok_or_else(missing)?;
    let applied = applied_migrations(url).await?;
    if applied.is_empty() {
        return Err(missing());
    }
    Ok(applied)
}

async fn connect_read_only(url: &str) -> Result<DatabaseConnection, OpenError> {
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

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
}

fn create_folder_of(file: &Path) -> Result<(), OpenError> {
    let Some(folder) = file.parent() else {
        return Ok(());
    };
    create_private_folder(folder).map_err(|error| OpenError::Folder {
        folder: folder.to_owned(),
        error,
    })
}

async fn connect(url: &str, purpose: Purpose) -> Result<DatabaseConnection, OpenError> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(match purpose {
            Purpose::Read => READERS,
            Purpose::Write => 1,
        })
        .acquire_timeout(BUSY_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .journal_mode(SqliteJournalMode::Wal)
                // A change that was answered with success survives a power cut.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT);
            match purpose {
                Purpose::Read => sqlite.pragma("query_only", "ON"),
                Purpose::Write => sqlite,
            }
        })
        .map_sqlx_sqlite_before_acquire(|connection, _| {
            Box::pin(ready(Ok(is_reusable(connection))))
        });
    Database::connect(options).await.map_err(failed(url))
}

/// Returns whether a used connection can be used again. If not, the pool closes the connection.
///
/// When a commit fails because the disk is full or cannot be written, SQLite rolls the transaction back by
/// itself. sqlx then fails to roll it back, still counts it as open, and turns the following transactions
/// into savepoints: after one of them is rolled back, nothing on this connection would ever be committed
/// again, although every commit would seem to succeed. (<https://sqlite.org/lang_transaction.html>, "Response
/// To Errors Within A Transaction")
fn is_reusable(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

/// Returns a handle to the same connections that counts in `statements` each statement sent through it.
#[must_use]
pub fn count_statements(
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

/// Returns the path of the database's file, or `None` for an in-memory database.
fn file_path(url: &str) -> Result<Option<PathBuf>, DbErr> {
    let options: SqliteConnectOptions = url
        .parse()
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
    let is_in_memory = url.contains(":memory:") || url.contains("mode=memory");
    Ok((!is_in_memory).then(|| options.get_filename().to_owned()))
}

/// Fails if the database is read-only: such a server would let people sign in, and then refuse each change.
async fn refuse_read_only(database: &DatabaseConnection) -> Result<(), DbErr> {
    // On a read-only file, SQLite lets BEGIN IMMEDIATE succeed, so this runs a statement that writes but
    // matches no row.
    let transaction = transaction::begin(database).await?;
    transaction
        .execute_unprepared("DELETE FROM sessions WHERE FALSE")
        .await?;
    transaction.rollback().await
}

/// Returns the migrations applied to a database, or none if it is not a database of Mirage. Does not write.
async fn applied_migrations(url: &str) -> Result<Vec<String>, OpenError> {
    let database = connect_read_only(url).await?;
    let backend = database.get_database_backend();
    let statement = |sql: &str| Statement::from_string(backend, sql);
    let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'";
    let mut applied: Vec<String> = Vec::new();
    if database
        .query_one_raw(statement(table))
        .await
        .map_err(failed(url))?
        .is_some()
    {
        let rows = database
            .query_all_raw(statement("SELECT version FROM seaql_migrations"))
            .await;
        for row in rows.map_err(failed(url))? {
            applied.push(row.try_get("", "version").map_err(failed(url))?);
        }
    }
    database.close().await.map_err(failed(url))?;
    Ok(applied)
}

/// Refuses a database with migrations that this version does not know.
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
