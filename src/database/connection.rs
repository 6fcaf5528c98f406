//! Opening the database, SQLite or PostgreSQL, and the checks before it is used.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::PgConnection;

use super::feed::Origin;
use super::listener::{Subscriber, Subscription};
pub use super::opened::{Connections, OpenError};
use super::{postgres, schema, sqlite};
use crate::config::{DatabaseUrl, Storage};
use crate::metrics::TimeSum;

/// The lock that keeps other servers from using the same database, until it is dropped or the process ends.
#[derive(Debug)]
pub struct ServerLock {
    _file: Option<File>,
    /// PostgreSQL frees a session's locks when its connection ends.
    _connection: Option<PgConnection>,
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
/// changes nothing.
///
/// # Errors
/// When PostgreSQL cannot be reached, or its notifications do not arrive.
pub async fn subscribe(
    storage: &Storage,
    origin: Origin,
) -> Result<Option<(Subscriber, Subscription)>, OpenError> {
    let DatabaseUrl::Postgres(options) = &storage.database_url else {
        return Ok(None);
    };
    let subscriber = Subscriber::new(postgres::quiet(options), origin);
    let subscription = subscriber.subscribe_and_check(&name(storage)).await?;
    Ok(Some((subscriber, subscription)))
}

/// Makes sure that no other server uses the database.
///
/// # Errors
/// When another server is using the database, or the database cannot be locked.
pub async fn lock(storage: &Storage) -> Result<ServerLock, OpenError> {
    let (mut file, mut connection) = (None, None);
    match &storage.database_url {
        DatabaseUrl::Sqlite(url) => file = sqlite::lock(url)?,
        DatabaseUrl::Postgres(options) => {
            connection = Some(postgres::lock(options, &name(storage)).await?);
        }
    }
    Ok(ServerLock {
        _file: file,
        _connection: connection,
    })
}

/// Opens the database that a server has created, for an operator's command. Leaves the schema as it is: a server of
/// another version may be running.
///
/// # Errors
/// When the database cannot be opened, was not created yet, or was migrated by another version of Mirage.
pub async fn open_existing(storage: &Storage) -> Result<DatabaseConnection, OpenError> {
    let url = name(storage);
    let applied = applied_migrations_of_existing(storage).await?;
    schema::refuse_newer(&url, &applied)?;
    schema::refuse_older(&url, &applied)?;
    match &storage.database_url {
        DatabaseUrl::Sqlite(url) => sqlite::connect_existing(url).await,
        DatabaseUrl::Postgres(options) => postgres::connect_for_command(options, &url).await,
    }
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
    let is_ours = !postgres::applied_migrations(options, &name)
        .await?
        .is_empty();
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
    applied_migrations_of_existing(storage).await?;
    match &storage.database_url {
        DatabaseUrl::Sqlite(url) => sqlite::connect_read_only(url).await,
        DatabaseUrl::Postgres(options) => {
            postgres::connect_for_command(options, &name(storage)).await
        }
    }
}

/// Returns the migrations applied to a database that a server has created.
async fn applied_migrations_of_existing(storage: &Storage) -> Result<Vec<String>, OpenError> {
    let applied = match &storage.database_url {
        DatabaseUrl::Sqlite(url) => sqlite::applied_migrations_of_existing(url).await?,
        DatabaseUrl::Postgres(options) => {
            postgres::applied_migrations(options, &name(storage)).await?
        }
    };
    if applied.is_empty() {
        return Err(OpenError::Missing { url: name(storage) });
    }
    Ok(applied)
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
