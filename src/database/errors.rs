//! What an error of the database means: which are worth another try.

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::sqlx::{self, sqlite::SqliteError};
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// Returns whether a statement failed because of a unique constraint.
#[must_use]
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Returns whether a retry of the whole request is likely to succeed: the database is busy, full, locked or
/// unavailable, or the state in memory is behind it.
#[must_use]
pub fn is_transient(error: &DbErr) -> bool {
    // An account that an operator deletes keeps its live session for up to two seconds, until the server
    // polls the change feed.
    if matches!(
        error.sql_err(),
        Some(SqlErr::ForeignKeyConstraintViolation(_))
    ) {
        return true;
    }
    match (error, sqlx_error(error)) {
        (DbErr::ConnectionAcquire(_) | DbErr::Conn(_), _) => true,
        (_, Some(sqlx::Error::Database(error))) => is_transient_state(error.as_ref()),
        // The connection ended, or could not be made.
        (
            _,
            Some(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ),
        ) => true,
        _ => false,
    }
}

/// Returns whether a transaction met another one, and succeeds if it is run again. Only PostgreSQL's do: on SQLite,
/// writers wait for each other.
#[must_use]
pub fn is_conflict(error: &DbErr) -> bool {
    // serialization_failure, deadlock_detected (https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html)
    postgres_code(error).is_some_and(|code| matches!(code.as_str(), "40001" | "40P01"))
}

fn is_transient_state(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else {
        return false;
    };
    if error.try_downcast_ref::<SqliteError>().is_some() {
        let primary = code.parse::<i32>().ok().map(|code| code & 0xff);
        // BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN (https://sqlite.org/rescode.html)
        return matches!(primary, Some(5 | 6 | 8 | 10 | 13 | 14));
    }
    // Connection exceptions, insufficient resources, operator intervention, system errors, transaction rollback;
    // a role that may not connect now, a server that only reads, a lock that was not to be had, a transaction that was
    // ended for its idling (https://www.postgresql.org/docs/current/errcodes-appendix.html)
    let is_transient_class = ["08", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.starts_with(class));
    is_transient_class || matches!(code.as_ref(), "25006" | "25P03" | "55P03")
}

fn postgres_code(error: &DbErr) -> Option<String> {
    let error = sqlx_error(error)?.as_database_error()?;
    let error: &PgDatabaseError = error.try_downcast_ref()?;
    Some(error.code().to_owned())
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error.as_ref()),
        _ => None,
    }
}

/// An error that may come from the database.
pub trait FromDatabase: From<DbErr> {
    /// Returns the database's error, if it is one.
    fn database_error(&self) -> Option<&DbErr>;
}

impl FromDatabase for DbErr {
    fn database_error(&self) -> Option<&DbErr> {
        Some(self)
    }
}
