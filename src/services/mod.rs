//! The rules: who may do what, and what belongs together in one transaction.
//!
//! Services know the tables, the message buffer and what is held in memory of both; they know
//! nothing of HTTP. What a person may run into is an outcome, an enum that the page matches; what
//! `?` carries is a [`Fault`].

pub mod accounts;
mod cache;
pub mod changes;
pub mod held_messages;
pub mod invites;
pub mod members;
pub mod messages;
pub mod moderation;
pub mod nonces;
pub mod one_time_links;
pub mod operators;
pub mod passwords;
pub mod presence;
pub mod read_marks;
pub mod room_settings;
pub mod rooms;
pub mod sessions;
pub mod tokens;

use sea_orm::{DbErr, RuntimeErr, SqlErr};

pub use cache::Cache;

/// Something that failed without anybody's doing.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database refused, or was not there.
    #[error("database error")]
    Database(#[from] DbErr),
    /// A password could not be hashed, or a stored hash could not be read.
    #[error("password hashing failed: {0}")]
    Password(argon2::password_hash::Error),
    /// Too many passwords wait to be hashed or compared.
    #[error("too many passwords are waiting to be hashed")]
    Crowded,
    /// A message could not be rendered.
    #[error("message rendering failed")]
    Rendering(#[from] askama::Error),
    /// The program is wrong.
    #[error("internal error")]
    Bug(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A task was ended before its time.
    #[error("background task did not finish")]
    Task(#[from] tokio::task::JoinError),
}

impl Fault {
    /// Whether it is likely to pass: the database is busy, full, locked or away, what is held in memory
    /// is behind it, or there is a crowd.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let error = match self {
            Self::Database(error) => error,
            Self::Crowded => return true,
            _ => return false,
        };
        // Somebody who is being deleted by the command line is signed out within two seconds.
        if matches!(
            error.sql_err(),
            Some(SqlErr::ForeignKeyConstraintViolation(_))
        ) {
            return true;
        }
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => {
                let code = error.as_database_error().and_then(|e| e.code());
                let primary = code
                    .and_then(|code| code.parse::<i32>().ok())
                    .map(|code| code & 0xff);
                // BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN (https://sqlite.org/rescode.html)
                matches!(primary, Some(5 | 6 | 8 | 10 | 13 | 14))
            }
            _ => false,
        }
    }
}

/// Whether a statement failed because something that must be unique is there already.
fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Runs a change to its end, also when who asked for it hangs up in the middle.
///
/// What is held in memory is corrected after a commit; a change dropped between the two would leave
/// somebody in a room they have left.
///
/// It begins at once: what waits for it has no place for all that it takes.
fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> impl Future<Output = Result<T, Fault>> {
    let task = tokio::spawn(change);
    async { task.await? }
}
