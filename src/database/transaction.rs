//! Write transactions.

use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio_util::sync::CancellationToken;

use super::errors::{FromDatabase, is_conflict};
use super::feed::{self, Change, Changes, Origin, TransactionId};
use super::link::no_answer;
use crate::domain::Timestamp;
use crate::security::secret::random_bytes;

/// How often a transaction that meets others is run. Each time, one of them is committed, so that many of them at once
/// need about as many rounds.
pub const MAX_ATTEMPTS: u32 = 24;

/// The longest pause before a transaction is run again.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Whether the closure of a transaction commits it.
pub enum Decision<T> {
    /// Commit the transaction. Holds the outcome and the changes to publish.
    Commit(T, Vec<Change>),
    /// Roll the transaction back, so that nothing changes. Holds the outcome.
    RollBack(T),
}

/// Runs `work` in one write transaction, and writes its changes to the change feed in the same transaction.
/// Returns the outcome and the committed changes.
///
/// `work` may run more than once, so it must touch nothing but the transaction.
///
/// # Errors
/// Returns the errors of `work`, and fails when the database is unavailable, busy for longer than its timeout, or
/// changed by others again and again; nothing has changed then.
pub async fn change<T, E: FromDatabase>(
    database: &DatabaseConnection,
    origin: Origin,
    now: Timestamp,
    work: impl AsyncFn(&DatabaseTransaction) -> Result<Decision<T>, E>,
) -> Result<(T, Changes), E> {
    change_unless(&CancellationToken::new(), database, origin, now, work).await
}

/// As [`change`], but once `given_up` is cancelled, a commit that was not sent yet never is.
///
/// # Errors
/// As [`change`], and when it was given up.
pub async fn change_unless<T, E: FromDatabase>(
    given_up: &CancellationToken,
    database: &DatabaseConnection,
    origin: Origin,
    now: Timestamp,
    work: impl AsyncFn(&DatabaseTransaction) -> Result<Decision<T>, E>,
) -> Result<(T, Changes), E> {
    let mut attempt = 1;
    loop {
        match change_once(given_up, database, origin, now, &work).await {
            Err(error)
                if attempt < MAX_ATTEMPTS && error.database_error().is_some_and(is_conflict) =>
            {
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn change_once<T, E: FromDatabase>(
    given_up: &CancellationToken,
    database: &DatabaseConnection,
    origin: Origin,
    now: Timestamp,
    work: &impl AsyncFn(&DatabaseTransaction) -> Result<Decision<T>, E>,
) -> Result<(T, Changes), E> {
    let id = TransactionId::random();
    let prepared = async {
        let transaction = begin_in_a_task(database).await?;
        match work(&transaction).await? {
            Decision::Commit(outcome, list) => {
                let changes = Changes { id, list };
                feed::write(&transaction, &changes, origin, now).await?;
                Ok::<_, E>((outcome, changes, Some(transaction)))
            }
            // Dropping the transaction rolls it back.
            Decision::RollBack(outcome) => {
                let list = Vec::new();
                Ok((outcome, Changes { id, list }, None))
            }
        }
    };
    let (outcome, changes, transaction) = tokio::select! {
        // Looked at first, so that nothing is committed after it.
        biased;
        () = given_up.cancelled() => return Err(no_answer().into()),
        prepared = prepared => prepared?,
    };
    if let Some(transaction) = transaction {
        transaction.commit().await?;
    }
    Ok((outcome, changes))
}

/// Begins a write transaction in a task of its own, which ends it if nobody waits for it any more. sqlx does not roll back
/// a transaction that it drops before `BEGIN` is answered: the connection would return to the pool within it.
async fn begin_in_a_task(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let database = database.clone();
    let beginning = tokio::spawn(async move { begin(&database).await });
    let begun = beginning.await;
    begun.unwrap_or_else(|error| Err(DbErr::Custom(error.to_string())))
}

/// Returns a random pause, longer from attempt to attempt: two transactions that meet would meet again.
fn pause(attempt: u32) -> Duration {
    let longest = Duration::from_millis(4).saturating_mul(1 << attempt.min(6));
    let share = f64::from(u32::from_be_bytes(random_bytes())) / f64::from(u32::MAX);
    longest.min(MAX_PAUSE).mul_f64(share)
}

/// Begins a write transaction.
///
/// On SQLite, the transaction takes the write lock at once. A transaction that first reads and later writes fails
/// with `SQLITE_BUSY`, whatever the timeout, if another connection wrote in between. On PostgreSQL, the transaction is
/// serializable: what it has read still holds when it commits, or it fails ([`is_conflict`]).
///
/// # Errors
/// When the database is unavailable, or busy for longer than its timeout.
pub(super) async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = if database.get_database_backend() == DbBackend::Sqlite {
        TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        }
    } else {
        TransactionOptions {
            isolation_level: Some(IsolationLevel::Serializable),
            ..TransactionOptions::default()
        }
    };
    database.begin_with_options(options).await
}
