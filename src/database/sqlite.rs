//! Opening an SQLite database: its settings, its files and its lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::future::ready;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use rustix::fs::Access;
use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};

use super::opened::{Connections, OpenError};
use super::schema::{self, refuse_newer};
use crate::security::secret::create_private_folder;

/// How long a statement waits for another connection's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections read at a time.
const READERS: u32 = 4;

/// Opens a server's database, creates it if it does not exist, and runs its migrations.
pub(super) async fn open(url: &str) -> Result<Connections, OpenError> {
    let file = file_path(url).map_err(failed(url))?;
    if let Some(file) = &file {
        create_folder_of(file)?;
        if file.exists() {
            refuse_newer(url, &applied_migrations(url).await?)?;
        }
    }
    let writer = connect(url, Purpose::Write).await?;
    Migrator::up(&writer, None).await.map_err(failed(url))?;
    schema::refuse_read_only(&writer)
        .await
        .map_err(failed(url))?;
    let readers = if file.is_some() {
        connect(url, Purpose::Read).await?
    } else {
        // Each connection to an in-memory database has a database of its own.
        writer.clone()
    };
    Ok(Connections { readers, writer })
}

/// Locks a file beside the database's own. Returns the lock, or `None` for an in-memory database.
pub(super) fn lock(url: &str) -> Result<Option<File>, OpenError> {
    let Some(database) = file_path(url).map_err(failed(url))? else {
        return Ok(None);
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
        Ok(file) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            url: url.to_owned(),
            advice: "one SQLite file serves one server",
        }),
        Err(TryLockError::Error(error)) => Err(OpenError::Lock { file, error }),
    }
}

/// Connects to a database that exists, to read and write.
pub(super) async fn connect_existing(url: &str) -> Result<DatabaseConnection, OpenError> {
    connect(url, Purpose::Write).await
}

/// Returns the migrations applied to a database that exists. An empty list: it is not a database of Mirage.
pub(super) async fn applied_migrations_of_existing(url: &str) -> Result<Vec<String>, OpenError> {
    match file_path(url).map_err(failed(url))? {
        Some(file) if file.exists() => applied_migrations(url).await,
        _ => Ok(Vec::new()),
    }
}

/// Connects to a database that exists, to read only.
pub(super) async fn connect_read_only(url: &str) -> Result<DatabaseConnection, OpenError> {
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

/// Returns why a server could not write to a database that exists, by its URL and the rights to its file and folder,
/// beside which SQLite writes its log.
pub(super) fn refused_write(url: &str) -> Option<String> {
    if url.contains("mode=ro") {
        return Some("its URL says mode=ro".to_owned());
    }
    let file = file_path(url).ok().flatten()?;
    // A relative path without a folder is in this one.
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    [file.as_path(), folder].into_iter().find_map(|path| {
        let refused = rustix::fs::access(path, Access::WRITE_OK).err()?;
        Some(format!("{}: {refused}", path.display()))
    })
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

/// Returns the migrations applied to a database, or none if it is not a database of Mirage. Does not write.
async fn applied_migrations(url: &str) -> Result<Vec<String>, OpenError> {
    let database = connect_read_only(url).await?;
    let applied = schema::applied_migrations(&database)
        .await
        .map_err(failed(url))?;
    database.close().await.map_err(failed(url))?;
    Ok(applied)
}
