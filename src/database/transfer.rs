//! Moving a database: copying all rows of an SQLite database to a new PostgreSQL database.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    PaginatorTrait, Statement, TransactionTrait,
};

use super::entities::{
    ignored_person, invite, name_keys, password_reset, room, room_ban, room_member, session,
    signup_link, site, user,
};

/// How many rows one statement inserts. PostgreSQL takes 65,535 values in a statement.
const ROWS_AT_ONCE: usize = 1000;

/// The tables whose ids are numbered by the database.
const NUMBERED: [&str; 3] = ["users", "rooms", "invites"];

/// The tables that are not copied: the feed is for servers that run now, and the migrations are those of the program.
pub const NOT_COPIED: [&str; 2] = ["changes", "seaql_migrations"];

/// The number of rows copied from a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The name of the table.
    pub table: &'static str,
    /// The number of its rows.
    pub rows: u64,
}

/// The reason why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The new database has rows already.
    #[error("it is not empty: the table {0} has rows")]
    NotEmpty(&'static str),
    /// Not all rows arrived.
    #[error("{arrived} of {sent} rows of the table {table} have arrived")]
    Incomplete {
        /// The name of the table.
        table: &'static str,
        /// The number of rows in the old database.
        sent: u64,
        /// The number of rows in the new database.
        arrived: u64,
    },
    /// One of the databases failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Copies all rows from an SQLite database to a PostgreSQL database with Mirage's tables, in one transaction. New rows
/// get ids that no row ever had.
///
/// # Errors
/// When the new database has rows, or one of them fails. Nothing is copied then.
pub async fn copy_all(
    from: &DatabaseConnection,
    to: &DatabaseConnection,
) -> Result<Vec<Copied>, TransferError> {
    let from = from.begin().await?;
    let to = to.begin().await?;
    // Tables before those that refer to them.
    let copied = vec![
        copy::<user::Entity>(&from, &to, "users").await?,
        copy::<room::Entity>(&from, &to, "rooms").await?,
        copy::<room_member::Entity>(&from, &to, "room_members").await?,
        copy::<room_ban::Entity>(&from, &to, "room_bans").await?,
        copy::<session::Entity>(&from, &to, "sessions").await?,
        copy::<invite::Entity>(&from, &to, "invites").await?,
        copy::<password_reset::Entity>(&from, &to, "password_resets").await?,
        copy::<signup_link::Entity>(&from, &to, "signup_links").await?,
        copy::<ignored_person::Entity>(&from, &to, "ignored_people").await?,
        copy::<name_keys::Entity>(&from, &to, "name_keys").await?,
        copy::<site::Entity>(&from, &to, "site").await?,
    ];
    for table in NUMBERED {
        continue_numbers(&from, &to, table).await?;
    }
    from.rollback().await?;
    to.commit().await?;
    Ok(copied)
}

async fn copy<E>(
    from: &DatabaseTransaction,
    to: &DatabaseTransaction,
    table: &'static str,
) -> Result<Copied, TransferError>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Send + Sync,
    E::ActiveModel: Send,
{
    if E::find().count(to).await? > 0 {
        return Err(TransferError::NotEmpty(table));
    }
    let sent = E::find().count(from).await?;
    let mut rows = E::find().all(from).await?.into_iter();
    loop {
        let some: Vec<_> = rows.by_ref().take(ROWS_AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        let some = some.into_iter().map(IntoActiveModel::into_active_model);
        E::insert_many(some).exec_without_returning(to).await?;
    }
    let arrived = E::find().count(to).await?;
    if arrived != sent {
        return Err(TransferError::Incomplete {
            table,
            sent,
            arrived,
        });
    }
    Ok(Copied { table, rows: sent })
}

/// Lets the new database number its rows from where the old one stopped, deleted rows included.
async fn continue_numbers(
    from: &DatabaseTransaction,
    to: &DatabaseTransaction,
    table: &str,
) -> Result<(), DbErr> {
    let latest = "SELECT seq FROM sqlite_sequence WHERE name = ?";
    let latest =
        Statement::from_sql_and_values(from.get_database_backend(), latest, [table.into()]);
    let Some(row) = from.query_one_raw(latest).await? else {
        return Ok(());
    };
    let latest: i64 = row.try_get("", "seq")?;
    if latest > 0 {
        let set = format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), {latest})");
        to.execute_unprepared(&set).await?;
    }
    Ok(())
}
