//! Transactions that write.

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

use super::feed::{self, Change, Origin};
use crate::domain::Timestamp;

/// What becomes of a transaction, as its closure has decided.
pub enum Decision<T> {
    /// It is committed. The outcome, and what has changed by it.
    Commit(T, Vec<Change>),
    /// It is rolled back, and nothing has changed. The outcome.
    RollBack(T),
}

/// Runs `work` in one write transaction. What it has changed is written to the change feed in the same
/// transaction. Returns the outcome, and the changes that are committed now.
///
/// `work` touches nothing but the transaction, as it may run again.
///
/// # Errors
/// The errors of `work`, and when the database is away, or busy for longer than its timeout; then nothing
/// has changed.
pub async fn change<T, E: From<DbErr>>(
    database: &DatabaseConnection,
    origin: Origin,
    now: Timestamp,
    work: impl AsyncFn(&DatabaseTransaction) -> Result<Decision<T>, E>,
) -> Result<(T, Vec<Change>), E> {
    let transaction = begin(database).await?;
    match work(&transaction).await? {
        Decision::Commit(outcome, changes) => {
            feed::write(&transaction, &changes, origin, now).await?;
            transaction.commit().await?;
            Ok((outcome, changes))
        }
        // Dropping the transaction rolls it back.
        Decision::RollBack(outcome) => Ok((outcome, Vec::new())),
    }
}

/// Begins a transaction that writes.
///
/// It takes SQLite's write lock at once: a transaction that first reads and then writes is refused
/// with `SQLITE_BUSY`, whatever the timeout, when another wrote in between.
///
/// # Errors
/// When the database is away, or busy for longer than its timeout.
pub(super) async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    database.begin_with_options(options).await
}
