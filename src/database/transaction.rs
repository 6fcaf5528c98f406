//! Write transactions.

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

use super::feed::{self, Change, Origin};
use crate::domain::Timestamp;

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
/// Returns the errors of `work`, and fails when the database is unavailable, or busy for longer than its
/// timeout; nothing has changed then.
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

/// Begins a write transaction.
///
/// The transaction takes SQLite's write lock at once. A transaction that first reads and later writes fails
/// with `SQLITE_BUSY`, whatever the timeout, if another connection wrote in between.
///
/// # Errors
/// When the database is unavailable, or busy for longer than its timeout.
pub(super) async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    database.begin_with_options(options).await
}
