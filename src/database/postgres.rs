//! Opening a PostgreSQL database: its connections, and the lock of its migrations.

use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions, Connection, Executor, Row};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};

use super::opened::{Connections, OpenError};
use super::schema::{self, refuse_newer};

/// How many connections of one process read at a time.
const READERS: u32 = 8;

/// How many connections of one process write at a time. Transactions that meet are tried again, so more of them would
/// not make more changes.
const WRITERS: u32 = 4;

/// How long a request waits for a free connection, and a statement for another transaction's lock.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is checked before it is used, in case PostgreSQL has restarted meanwhile.
const CHECKED_AFTER_IDLE: Duration = Duration::from_secs(1);

/// How long a check of a connection may take. One that leads to a machine which has died would wait for many minutes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a start waits for another process that is migrating the database.
const MIGRATION_TIMEOUT: &str = "SET lock_timeout = '60s'";

/// The advisory lock of a process that migrates the database. The numbers are the letters of `mirage`, and one of our own.
const MIGRATION_LOCK: i64 = 0x6d69_7261_6765_0002;

/// Settings of connections that only read. They commit nothing that has to last, so a commit waits for no disk.
const READER_SETTINGS: &str =
    "SET default_transaction_read_only = on; SET synchronous_commit = off";

/// Settings of connections that write. A client whose machine has died gives up its locks. After a commit that fails
/// because it met another, sqlx rolls back what has ended already, of which PostgreSQL would warn each time.
const WRITER_SETTINGS: &str = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '30s'; \
     SET client_min_messages = 'error'";

/// Opens a server's database, and runs its migrations. Several processes may start at once.
pub(super) async fn open(options: &PgConnectOptions, url: &str) -> Result<Connections, OpenError> {
    let mut migrating = connect(options, url).await?;
    check_encoding(&mut migrating, url).await?;
    lock_migrations(&mut migrating).await.map_err(failed(url))?;
    let writer = DatabaseConnection::from(pool(options, WRITERS, WRITER_SETTINGS));
    let applied = schema::applied_migrations(&writer).await;
    refuse_newer(url, &applied.map_err(failed_query(url))?)?;
    Migrator::up(&writer, None)
        .await
        .map_err(failed_query(url))?;
    schema::refuse_read_only(&writer)
        .await
        .map_err(failed_query(url))?;
    // Closing the connection frees its lock.
    migrating.close().await.map_err(failed(url))?;
    let readers = DatabaseConnection::from(pool(options, READERS, READER_SETTINGS));
    Ok(Connections { readers, writer })
}

/// Connects to a database that exists, to read and write, one statement at a time.
pub(super) async fn connect_for_command(
    options: &PgConnectOptions,
    url: &str,
) -> Result<DatabaseConnection, OpenError> {
    // With a connection made at once, a failure is told in the words of PostgreSQL, not as a time-out of the pool.
    let mut connection = connect(options, url).await?;
    check_encoding(&mut connection, url).await?;
    connection.close().await.map_err(failed(url))?;
    Ok(pool(options, 1, WRITER_SETTINGS).into())
}

/// Returns whether a database has tables, of Mirage or others.
pub(super) async fn has_tables(options: &PgConnectOptions, url: &str) -> Result<bool, OpenError> {
    let mut connection = connect(options, url).await?;
    let tables = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema())";
    let row = connection.fetch_one(tables).await.map_err(failed(url))?;
    connection.close().await.map_err(failed(url))?;
    row.try_get(0).map_err(failed(url))
}

fn pool(options: &PgConnectOptions, size: u32, settings: &'static str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        // By statements, because poolers refuse settings among the parameters of a connection.
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(settings).await?;
                refuse_standby(connection).await
            })
        })
        .before_acquire(|connection, state| {
            Box::pin(async move {
                let is_checked = state.idle_for < CHECKED_AFTER_IDLE;
                Ok(is_checked || check(connection).await.is_ok())
            })
        })
        // sqlx checks a connection that comes back, too, but without a limit: one whose statement was given up because
        // PostgreSQL was silent would never come back, and none would be made in its place.
        .after_release(|connection, _| Box::pin(async { check(connection).await.map(|()| true) }))
        .connect_lazy_with(quiet(options))
}

/// Checks that PostgreSQL answers on this connection.
async fn check(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let checked = tokio::time::timeout(CHECK_TIMEOUT, connection.ping()).await;
    checked.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Fails on a connection to a standby, to which the address may lead while PostgreSQL fails over. Its rows may be old.
async fn refuse_standby(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let row = connection.fetch_one("SELECT pg_is_in_recovery()").await?;
    if row.try_get(0)? {
        return Err(sqlx::Error::Configuration(
            "the server is a standby, not the primary".into(),
        ));
    }
    Ok(())
}

/// Opens one connection, outside any pool.
async fn connect(options: &PgConnectOptions, url: &str) -> Result<PgConnection, OpenError> {
    let options = quiet(options);
    let connecting = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        refuse_standby(&mut connection).await?;
        Ok(connection)
    };
    match tokio::time::timeout(ACQUIRE_TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(failed(url)),
        Err(_) => Err(failed(url)(sqlx::Error::PoolTimedOut)),
    }
}

/// Returns the options for connections whose statements are not logged.
pub(super) fn quiet(options: &PgConnectOptions) -> PgConnectOptions {
    options
        .clone()
        .application_name("mirage")
        // Mirage stores no numbers with fractions, and poolers refuse settings that they do not know.
        .extra_float_digits(None)
        .disable_statement_logging()
}

async fn lock_migrations(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(MIGRATION_TIMEOUT).await?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(connection)
        .await?;
    Ok(())
}

/// Refuses a database in which not every name can be written.
async fn check_encoding(connection: &mut PgConnection, url: &str) -> Result<(), OpenError> {
    let row = connection.fetch_one("SHOW server_encoding").await;
    let encoding: String = row.and_then(|row| row.try_get(0)).map_err(failed(url))?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(OpenError::Encoding {
        url: url.to_owned(),
        encoding,
    })
}

pub(super) fn failed(url: &str) -> impl Fn(sqlx::Error) -> OpenError {
    move |error| OpenError::Database {
        url: url.to_owned(),
        error: DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    }
}

pub(super) fn failed_query(url: &str) -> impl Fn(DbErr) -> OpenError {
    move |error| OpenError::Database {
        url: url.to_owned(),
        error,
    }
}
