//! The lock of the servers that use a PostgreSQL database.
//!
//! It is an advisory lock on the connection that hears notifications. That connection is watched, so a server knows within
//! the link's timeout that the lock may be lost, and takes it again with the next connection.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor, Row};

/// The lock's number: the letters of `mirage`, and one of our own.
const SERVER_LOCK: i64 = 0x6d69_7261_6765_0001;

/// The shortest time to wait for the lock. PostgreSQL takes 0 for no limit.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// How long a lock outlives a machine that has died: without these settings, two hours.
const DEATH_SETTINGS: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
                              SET tcp_keepalives_count = 4; SET tcp_user_timeout = '30s'";

/// Whether a server can use its database beside other servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// No: messages are in this process's memory, where other servers could not see them.
    Alone,
    /// Yes, beside others that hold what is live in the same Redis.
    Together,
}

impl Sharing {
    fn lock_function(self) -> &'static str {
        match self {
            Self::Alone => "pg_advisory_lock",
            Self::Together => "pg_advisory_lock_shared",
        }
    }

    /// Returns what an operator can do whose server is refused.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Alone => {
                "set --redis-url, the same for all servers, or run one server: without it, each would have messages of its own"
            }
            Self::Together => {
                "that one has no --redis-url, so it has messages of its own. Stop it, and set --redis-url, the same for all servers"
            }
        }
    }
}

/// Takes the lock. Waits as long as `patience` for other servers to free it. Returns whether it was taken, and the
/// process of PostgreSQL that holds it then.
pub(super) async fn take(
    listener: &mut PgListener,
    sharing: Sharing,
    patience: Duration,
) -> Result<Option<i32>, sqlx::Error> {
    let patience = patience.max(SHORTEST_WAIT).as_millis();
    let function = sharing.lock_function();
    let settings = format!("{DEATH_SETTINGS}; SET lock_timeout = '{patience}ms'");
    (&mut *listener).execute(AssertSqlSafe(settings)).await?;
    let lock = format!("SELECT pg_backend_pid() FROM {function}({SERVER_LOCK})");
    match (&mut *listener).fetch_one(AssertSqlSafe(lock)).await {
        Ok(row) => Ok(Some(row.try_get(0)?)),
        Err(error) if is_lock_not_available(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends the connection on which this server held the lock, if PostgreSQL has not noticed that the connection is gone.
/// Returns whether there was one.
pub(super) async fn end_holder(
    listener: &mut PgListener,
    process: i32,
) -> Result<bool, sqlx::Error> {
    // By the lock as well, because the process's number may be another one's by now.
    let (high, low) = (SERVER_LOCK >> 32, SERVER_LOCK & 0xffff_ffff);
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 \
         AND classid = {high} AND objid = {low} AND pid = {process} \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let ended = listener.fetch_optional(AssertSqlSafe(end)).await?;
    Ok(ended.is_some())
}

/// Frees the lock.
pub(super) async fn free(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    listener.execute("SELECT pg_advisory_unlock_all()").await?;
    Ok(())
}

fn is_lock_not_available(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("55P03")
}
