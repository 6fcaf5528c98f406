//! The change feed: a table to which each transaction writes its changes.
//!
//! A server applies the changes of other processes, such as an operator's command, to its state in memory. With
//! SQLite, it polls the table. PostgreSQL does not number rows in the order of commits, so that a poll could miss some;
//! there, the transaction also notifies the other processes, which does happen in that order.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryFilter,
    QueryOrder, Set, Statement,
};

use super::entities::change;
use super::opened::Connections;
use crate::domain::{Lifespan, RoomId, Timestamp, UserId};
use crate::security::secret::random_bytes;
use crate::security::tokens::TokenDigest;

/// How long rows are kept. No process falls behind that far.
const RETENTION: Duration = Duration::from_secs(3600);

/// The channel of PostgreSQL on which changes are told.
pub(super) const CHANNEL: &str = "mirage_changes";

/// How many changes are written by one statement: SQLite takes 32,766 values, and a change has seven.
const ROWS_PER_STATEMENT: usize = 1000;

/// How many changes one notification tells of. PostgreSQL refuses a text of 8000 bytes, and a change has 160 at most.
const CHANGES_PER_NOTIFICATION: usize = 40;

// The kinds that are named more than once.
const MESSAGES_CLEARED: &str = "messages-cleared";
const MESSAGES_SHORTENED: &str = "messages-shortened";
const ROOM_DELETED: &str = "room-deleted";
const ACCOUNT_DELETED: &str = "account-deleted";

/// A change in the database that processes must apply to their state in memory. Applying a change twice does
/// no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A room was created.
    RoomCreated(RoomId),
    /// A person joined a room. Nobody lost a right.
    MemberJoined(RoomId),
    /// The members of a room, or their roles, changed.
    MembersChanged {
        /// The room.
        room: RoomId,
        /// The room's version after the change.
        version: i64,
    },
    /// The room itself changed: its name or other settings, or who may join.
    RoomChanged {
        /// The room.
        room: RoomId,
        /// The room's version after the change.
        version: i64,
    },
    /// The messages that were posted before a room's version are to be deleted.
    MessagesCleared {
        /// The room.
        room: RoomId,
        /// The room's version after the change.
        version: i64,
    },
    /// The messages that were posted before a room's version are to live no longer than this.
    MessagesShortened {
        /// The room.
        room: RoomId,
        /// The room's version after the change.
        version: i64,
        /// The new lifespan.
        lifespan: Lifespan,
    },
    /// A room was deleted.
    RoomDeleted(RoomId),
    /// A session ended.
    SessionEnded {
        /// The digest of the session's key.
        session: TokenDigest,
        /// The person who was signed in, or `None` if there was no such session any more.
        user: Option<UserId>,
    },
    /// A person's settings or memberships changed.
    AccountChanged(UserId),
    /// A person's account was deleted.
    AccountDeleted(UserId),
    /// A kind of change that this version of Mirage does not know: any row held in memory may be out of date.
    Unknown,
}

/// Stands for nobody in a row. No account has this id.
const NOBODY: UserId = UserId(0);

impl Change {
    /// Returns whether this change deletes or shortens all messages of a room that are older than it, and no others.
    #[must_use]
    pub fn is_about_older_messages(self) -> bool {
        matches!(
            self,
            Self::MessagesCleared { .. } | Self::MessagesShortened { .. }
        )
    }

    fn from_row(row: &change::Model) -> Self {
        let digest = row.key_digest.as_deref().and_then(TokenDigest::from_hex);
        Self::from_columns(&Columns {
            kind: &row.kind,
            subject_id: row.subject_id,
            version: row.version,
            digest,
            lifespan: row.lifespan,
        })
    }

    fn from_columns(columns: &Columns<'_>) -> Self {
        let room = RoomId(columns.subject_id);
        let user = UserId(columns.subject_id);
        match (columns.kind, columns.version, columns.digest) {
            ("room-created", ..) => Self::RoomCreated(room),
            ("member-joined", ..) => Self::MemberJoined(room),
            ("members-changed", Some(version), _) => Self::MembersChanged { room, version },
            ("room-changed", Some(version), _) => Self::RoomChanged { room, version },
            (MESSAGES_CLEARED, Some(version), _) => Self::MessagesCleared { room, version },
            (MESSAGES_SHORTENED, Some(version), _) => {
                let millis = columns.lifespan.and_then(|millis| millis.try_into().ok());
                millis.map_or(Self::Unknown, |millis| Self::MessagesShortened {
                    room,
                    version,
                    lifespan: Lifespan(Duration::from_millis(millis)),
                })
            }
            (ROOM_DELETED, ..) => Self::RoomDeleted(room),
            ("session-ended", _, Some(session)) => Self::SessionEnded {
                session,
                user: (user != NOBODY).then_some(user),
            },
            ("account-changed", ..) => Self::AccountChanged(user),
            (ACCOUNT_DELETED, ..) => Self::AccountDeleted(user),
            _ => Self::Unknown,
        }
    }

    /// Returns the columns of the change's row.
    fn columns(self) -> Columns<'static> {
        let of = |kind, subject_id| Columns {
            kind,
            subject_id,
            version: None,
            digest: None,
            lifespan: None,
        };
        let versioned = |kind, room: RoomId, version| Columns {
            version: Some(version),
            ..of(kind, room.0)
        };
        match self {
            Self::RoomCreated(room) => of("room-created", room.0),
            Self::MemberJoined(room) => of("member-joined", room.0),
            Self::MembersChanged { room, version } => versioned("members-changed", room, version),
            Self::RoomChanged { room, version } => versioned("room-changed", room, version),
            Self::MessagesCleared { room, version } => versioned(MESSAGES_CLEARED, room, version),
            Self::MessagesShortened {
                room,
                version,
                lifespan,
            } => Columns {
                lifespan: Some(lifespan.millis()),
                ..versioned(MESSAGES_SHORTENED, room, version)
            },
            Self::RoomDeleted(room) => of(ROOM_DELETED, room.0),
            Self::SessionEnded { session, user } => Columns {
                digest: Some(session),
                ..of("session-ended", user.unwrap_or(NOBODY).0)
            },
            Self::AccountChanged(user) => of("account-changed", user.0),
            Self::AccountDeleted(user) => of(ACCOUNT_DELETED, user.0),
            Self::Unknown => of("unknown", 0),
        }
    }

    /// Returns the change as a line of a notification.
    fn to_line(self) -> String {
        fn word<T: ToString>(value: Option<T>) -> String {
            value.map_or_else(|| "-".to_owned(), |value| value.to_string())
        }

        let columns = self.columns();
        let (kind, subject_id) = (columns.kind, columns.subject_id);
        let (version, lifespan) = (word(columns.version), word(columns.lifespan));
        let digest = word(columns.digest.map(TokenDigest::to_hex));
        format!("{kind} {subject_id} {version} {digest} {lifespan}")
    }

    fn from_line(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default();
        let (kind, subject_id) = (word(), word().parse());
        let (version, digest) = (word().parse().ok(), TokenDigest::from_hex(word()));
        let lifespan = word().parse().ok();
        match subject_id {
            Ok(subject_id) => Self::from_columns(&Columns {
                kind,
                subject_id,
                version,
                digest,
                lifespan,
            }),
            Err(_) => Self::Unknown,
        }
    }

    fn to_row(self) -> change::ActiveModel {
        let columns = self.columns();
        change::ActiveModel {
            kind: Set(columns.kind.to_owned()),
            subject_id: Set(columns.subject_id),
            version: Set(columns.version),
            key_digest: Set(columns.digest.map(TokenDigest::to_hex)),
            lifespan: Set(columns.lifespan),
            ..Default::default()
        }
    }
}

/// What a row of the feed says of a change.
struct Columns<'a> {
    kind: &'a str,
    subject_id: i64,
    version: Option<i64>,
    digest: Option<TokenDigest>,
    /// In milliseconds.
    lifespan: Option<i64>,
}

/// The id of a process in the change feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(i64);

impl Origin {
    /// Makes a random id for this process.
    #[must_use]
    pub fn random() -> Self {
        Self(i64::from_be_bytes(random_bytes()))
    }

    /// Returns the id in hexadecimal.
    pub(super) fn to_hex(self) -> String {
        format!("{:016x}", self.0)
    }
}

/// The id of a transaction in the change feed's notifications, by which a process knows changes that it was told of in
/// another way, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionId(u64);

impl TransactionId {
    /// Makes a random id.
    #[must_use]
    pub fn random() -> Self {
        Self(u64::from_be_bytes(random_bytes()))
    }
}

/// The changes of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The transaction.
    pub id: TransactionId,
    /// Some or all of its changes.
    pub list: Vec<Change>,
}

impl Changes {
    /// Returns the text that tells other processes of these changes.
    #[must_use]
    pub fn to_text(&self, origin: Origin) -> String {
        text_of(origin, self.id, &self.list)
    }
}

/// Returns the text that tells of these changes: a line with the origin and the transaction, and a line for each change.
fn text_of(origin: Origin, id: TransactionId, changes: &[Change]) -> String {
    let mut text = format!("{} {:016x}", origin.to_hex(), id.0);
    for change in changes {
        text.push('\n');
        text.push_str(&change.to_line());
    }
    text
}

/// Writes `changes` to the feed, within the transaction that makes them.
pub(super) async fn write(
    transaction: &impl ConnectionTrait,
    Changes { id, list: changes }: &Changes,
    origin: Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    if changes.is_empty() {
        return Ok(());
    }
    for some in changes.chunks(ROWS_PER_STATEMENT) {
        let rows = some.iter().map(|change| change::ActiveModel {
            origin: Set(origin.0),
            made_at: Set(now),
            ..change.to_row()
        });
        change::Entity::insert_many(rows)
            .exec_without_returning(transaction)
            .await?;
    }
    if transaction.get_database_backend() == DbBackend::Postgres {
        for some in changes.chunks(CHANGES_PER_NOTIFICATION) {
            notify(transaction, text_of(origin, *id, some)).await?;
        }
    }
    Ok(())
}

/// Tells the other processes of changes, once they are committed.
async fn notify(transaction: &impl ConnectionTrait, text: String) -> Result<(), DbErr> {
    let statement = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "SELECT pg_notify($1, $2)",
        [CHANNEL.into(), text.into()],
    );
    transaction.execute_raw(statement).await?;
    Ok(())
}

/// Returns the changes that a text of [`Changes::to_text`] tells of, or `None` if they are those of the process `own`.
#[must_use]
pub fn read_text(text: &str, own: Origin) -> Option<Changes> {
    let mut lines = text.lines();
    let (origin, id) = lines.next()?.split_once(' ').unwrap_or_default();
    if origin == own.to_hex() {
        return None;
    }
    let id = u64::from_str_radix(id, 16).map(TransactionId);
    Some(Changes {
        // Another version of Mirage may tell no id.
        id: id.unwrap_or_else(|_| TransactionId::random()),
        list: lines.map(Change::from_line).collect(),
    })
}

/// Returns the changes of all processes since a time by the wall clock, in the order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn since(database: &DatabaseConnection, time: Timestamp) -> Result<Vec<Change>, DbErr> {
    read(database, change::Column::MadeAt.gte(time)).await
}

/// The kinds of changes by which messages or reports go.
const DELETIONS: [&str; 4] = [
    MESSAGES_CLEARED,
    MESSAGES_SHORTENED,
    ROOM_DELETED,
    ACCOUNT_DELETED,
];

/// Returns all changes of other processes in the feed by which messages or reports go, in the order of their ids. The feed
/// has the changes of the last hour in which a process ran.
///
/// # Errors
/// When the database fails.
pub async fn deletions(database: &DatabaseConnection, own: Origin) -> Result<Vec<Change>, DbErr> {
    let of_others = change::Column::Origin.ne(own.0);
    read(
        database,
        change::Column::Kind.is_in(DELETIONS).and(of_others),
    )
    .await
}

/// Returns the changes for which `condition` is true, in the order of their ids.
async fn read(database: &DatabaseConnection, condition: Expr) -> Result<Vec<Change>, DbErr> {
    let rows = change::Entity::find()
        .filter(condition)
        .order_by_asc(change::Column::Id)
        .all(database)
        .await?;
    Ok(rows.iter().map(Change::from_row).collect())
}

/// Deletes the rows that are older than the retention time.
///
/// # Errors
/// When the database fails.
pub async fn delete_old(database: &DatabaseConnection, now: Timestamp) -> Result<(), DbErr> {
    change::Entity::delete_many()
        .filter(change::Column::MadeAt.lte(now.minus(RETENTION)))
        .exec(database)
        .await?;
    Ok(())
}

/// Reads the changes of other processes from the feed.
pub struct ChangeFeed {
    connections: Connections,
    /// Rows of this process are passed over: it has applied them.
    own: Origin,
    /// The id of the latest row that was read.
    cursor: i64,
}

impl ChangeFeed {
    /// Starts at the current end of the feed, for the process `own`, which holds nothing in memory yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow(connections: Connections, own: Origin) -> Result<Self, DbErr> {
        let latest = change::Entity::find().order_by_desc(change::Column::Id);
        let cursor = latest.one(&connections.readers).await?;
        let cursor = cursor.map_or(0, |row| row.id);
        Ok(Self {
            connections,
            own,
            cursor,
        })
    }

    /// Returns the changes of other processes since the last poll.
    ///
    /// Ids increase in commit order because SQLite has one writer at a time, so no row is missed.
    ///
    /// # Errors
    /// When the database fails. The next poll returns the same changes then.
    pub async fn poll(&mut self) -> Result<Vec<Change>, DbErr> {
        let new = change::Entity::find()
            .filter(change::Column::Id.gt(self.cursor))
            .order_by_asc(change::Column::Id);
        let rows = new.all(&self.connections.readers).await?;
        if let Some(last) = rows.last() {
            self.cursor = last.id;
        }
        let others = rows.iter().filter(|row| row.origin != self.own.0);
        Ok(others.map(Change::from_row).collect())
    }

    /// Deletes rows that are older than the retention time and that this process has read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_old(&self, now: Timestamp) -> Result<(), DbErr> {
        change::Entity::delete_many()
            .filter(change::Column::Id.lte(self.cursor))
            .filter(change::Column::MadeAt.lte(now.minus(RETENTION)))
            .exec(&self.connections.writer)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::TryIntoModel;

    use super::*;
    use crate::security::tokens::Token;

    fn session_ended(user: Option<UserId>) -> Change {
        Change::SessionEnded {
            session: Token::random().digest(),
            user,
        }
    }

    #[test]
    fn a_change_survives_a_round_trip_through_its_row_and_its_notification() {
        let (room, version) = (RoomId(7), 3);
        for change in [
            Change::RoomCreated(room),
            Change::MemberJoined(room),
            Change::MembersChanged { room, version },
            Change::RoomChanged { room, version },
            Change::MessagesCleared { room, version },
            Change::MessagesShortened {
                room,
                version,
                lifespan: Lifespan(Duration::from_secs(60)),
            },
            Change::RoomDeleted(room),
            session_ended(Some(UserId(7))),
            session_ended(None),
            Change::AccountChanged(UserId(7)),
            Change::AccountDeleted(UserId(7)),
            Change::Unknown,
        ] {
            let row = change::ActiveModel {
                id: Set(1),
                origin: Set(1),
                made_at: Set(Timestamp(0)),
                ..change.to_row()
            };

            assert_eq!(Change::from_row(&row.try_into_model().unwrap()), change);
            assert_eq!(Change::from_line(&change.to_line()), change);
        }
    }

    #[test]
    fn a_process_reads_the_changes_of_others_from_their_text() {
        let (one, other) = (Origin::random(), Origin::random());
        for list in [
            vec![Change::RoomCreated(RoomId(7))],
            vec![Change::RoomDeleted(RoomId(7)), session_ended(None)],
        ] {
            let id = TransactionId::random();
            let changes = Changes { id, list };
            let text = changes.to_text(one);

            assert_eq!(read_text(&text, one), None);
            assert_eq!(read_text(&text, other), Some(changes));
        }
    }
}
