//! Opening the database, SQLite or PostgreSQL, and the checks before it is used.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::DatabaseConnection;

use super::feed::Origin;
use super::listener::{Subscriber, Subscription};
pub use super::opened::{Connections, OpenError};
pub use super::server_lock::Sharing;
use super::{postgres, schema, sqlite};
use crate::config::{DatabaseUrl, Storage};
use crate::metrics::TimeSum;

/// The lock that keeps other servers from using the same SQLite file, until it is dropped or the process ends.
///
/// A server on PostgreSQL holds its lock on the connection that hears notifications ([`Subscription::lock`]).
#[derive(Debug)]
pub struct FileLock {
    _file: Option<File>,
}

/// Opens a server's database, creates an SQLite database if it does not exist, and runs its migrations.
///
/// # Errors
/// When the database cannot be opened or written, or when a newer version of Mirage has migrated it, which leaves it
/// unchanged.
pub async fn open(storage: &Storage) -> Result<Connections, OpenError> {
    match &storage.database_url {
        DatabaseUrl::Sqlite(url) => sqlite::open(url).await,
        DatabaseUrl::Postgres(options) => postgres::open(options, &name(storage)).await,
    }
}

/// Subscribes to the changes of other processes, on a PostgreSQL database, and makes sure that they are heard. Reads and
/// changes nothing, and locks nothing yet: call [`Subscription::lock`] next.
///
/// # Errors
/// When PostgreSQL cannot be reached, or its notifications do not arrive.
pub async fn subscribe(
    storage: &Storage,
    sharing: Sharing,
    origin: Origin,
) -> Result<Option<(Subscriber, Subscription)>, OpenError> {
    let DatabaseUrl::Postgres(options) = &storage.database_url else {
        return Ok(None);
    };
    let subscriber = Subscriber::new(postgres::quiet(options), name(storage), sharing, origin);
    let subscription = subscriber.subscribe_and_check().await?;
    Ok(Some((subscriber, subscription)))
}

/// Makes sure that no other server uses the database, if it is an SQLite file.
///
/// # Errors
/// When another server is using the database, or the file cannot be locked.
pub fn lock_file(storage: &Storage) -> Result<FileLock, OpenError> {
    let file = match &storage.database_url {
        DatabaseUrl::Sqlite(url) => sqlite::lock(url)?,
        DatabaseUrl::Postgres(_) => None,
    };
    Ok(FileLock { _file: file })
}

/// Opens the database that a server has created, for an operator's command. Leaves the schema as it is: a server of
/// another version may be running.
///
/// # Errors
/// When the database cannot be opened, was not created yet, or was migrated by another version of Mirage.
pub async fn open_existing(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    let url = name(storage);
    let (database, applied) = open_created(storage, Purpose::Command).await?;
    schema::refuse_newer(&url, &applied)?;
    schema::refuse_older(&url, &applied)?;
    Ok(database)
}

/// Opens a new PostgreSQL database and makes Mirage's tables in it. Tables of Mirage without rows may be there already.
///
/// # Errors
/// When the database cannot be opened or written, has other tables, or is not a PostgreSQL database.
pub async fn open_new(url: &DatabaseUrl) -> Result<Connections, OpenError> {
    let name = url.to_string();
    let DatabaseUrl::Postgres(options) = url else {
        return Err(OpenError::NotEmpty { url: name });
    };
    let database = postgres::connect_for_command(options, &name).await?;
    let applied = schema::applied_migrations(&database).await;
    let is_ours = applied.map(|applied| !applied.is_empty());
    drop(database.close().await);
    let is_ours = is_ours.map_err(postgres::failed_query(&name))?;
    if !is_ours && postgres::has_tables(options, &name).await? {
        return Err(OpenError::NotEmpty { url: name });
    }
    postgres::open(options, &name).await
}

/// Opens a database that a server has created, of any version, to look at it or copy it. Nothing is written.
///
/// # Errors
/// When the database cannot be opened, or no server has created it yet.
pub async fn open_to_examine(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    Ok(open_created(storage, Purpose::Examine).await?.0)
}

/// What an existing database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To read and write.
    Command,
    /// To look at it or copy it.
    Examine,
}

/// Opens a database that a server has created. Returns it with the migrations applied to it.
async fn open_created(
    storage: &Storage,
    purpose: Purpose,
) -> Result<(DatabaseConnection, Vec<String>), OpenError> {
    let missing = || OpenError::Missing { url: name(storage) };
    match &storage.database_url {
        DatabaseUrl::Sqlite(url) => {
            // Read before anything is opened to write, which would change a file that is not Mirage's.
            let applied = sqlite::applied_migrations_of_existing(url).await?;
            if applied.is_empty() {
                return Err(missing());
            }
            let database = match purpose {
                Purpose::Command => sqlite::connect_existing(url).await?,
                Purpose::Examine => sqlite::connect_read_only(url).await?,
            };
            Ok((database, applied))
        }
        DatabaseUrl::Postgres(options) => {
            let database = postgres::connect_for_command(options, &name(storage)).await?;
            let applied = schema::applied_migrations(&database).await;
            let applied = applied.map_err(postgres::failed_query(&name(storage)))?;
            if applied.is_empty() {
                return Err(missing());
            }
            Ok((database, applied))
        }
    }
}

/// Returns a handle to the same connections that counts in `statements` each statement sent through it, and adds
/// the time it took to `time`.
#[must_use]
pub fn count_statements(
    mut database: DatabaseConnection,
    statements: Arc<AtomicU64>,
    time: Arc<TimeSum>,
) -> DatabaseConnection {
    database.set_metric_callback(move |statement| {
        statements.fetch_add(1, Ordering::Relaxed);
        time.add(statement.elapsed);
    });
    database
}

/// Returns the URL of a database for messages, without its password.
fn name(storage: &Storage) -> String {
    storage.database_url.to_string()
}
