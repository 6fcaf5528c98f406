//! The change feed: every change is written down in the transaction that makes it, and other processes that
//! serve the same database, or a server beside an operator's command, read it and apply it.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    Set,
};

use super::connection::Connections;
use super::entities::change;
use crate::domain::{RoomId, Timestamp, UserId};
use crate::security::secret::random_bytes;
use crate::security::tokens::TokenDigest;

/// How long a row is kept: no process is so far behind.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// Something that has changed in the database, as far as processes hold it in memory. Applying one twice does
/// no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A room was created.
    RoomCreated(RoomId),
    /// Somebody joined a room. Nobody lost a right.
    MemberJoined(RoomId),
    /// The members of a room, or their roles, are others now.
    MembersChanged {
        /// The room.
        room: RoomId,
        /// Its version afterwards.
        version: i64,
    },
    /// The room itself is another now: its name or other settings, or who may join it.
    RoomChanged {
        /// The room.
        room: RoomId,
        /// Its version afterwards.
        version: i64,
    },
    /// A room was deleted.
    RoomDeleted(RoomId),
    /// A session ended.
    SessionEnded(TokenDigest),
    /// A person has chosen other settings for themselves.
    AccountChanged(UserId),
    /// A person's account was deleted.
    AccountDeleted(UserId),
    /// Something that this version of Mirage does not know: nothing held in memory can be trusted.
    Unknown,
}

impl Change {
    fn read(row: &change::Model) -> Self {
        let room = RoomId(row.subject_id);
        let user = UserId(row.subject_id);
        let digest = row.key_digest.as_deref().and_then(TokenDigest::from_hex);
        match (row.kind.as_str(), row.version, digest) {
            ("room-created", ..) => Self::RoomCreated(room),
            ("member-joined", ..) => Self::MemberJoined(room),
            ("members-changed", Some(version), _) => Self::MembersChanged { room, version },
            ("room-changed", Some(version), _) => Self::RoomChanged { room, version },
            ("room-deleted", ..) => Self::RoomDeleted(room),
            ("session-ended", _, Some(digest)) => Self::SessionEnded(digest),
            ("account-changed", ..) => Self::AccountChanged(user),
            ("account-deleted", ..) => Self::AccountDeleted(user),
            _ => Self::Unknown,
        }
    }

    fn row(self) -> change::ActiveModel {
        let (kind, subject_id, version, digest) = match self {
            Self::RoomCreated(room) => ("room-created", room.0, None, None),
            Self::MemberJoined(room) => ("member-joined", room.0, None, None),
            Self::MembersChanged { room, version } => {
                ("members-changed", room.0, Some(version), None)
            }
            Self::RoomChanged { room, version } => ("room-changed", room.0, Some(version), None),
            Self::RoomDeleted(room) => ("room-deleted", room.0, None, None),
            Self::SessionEnded(digest) => ("session-ended", 0, None, Some(digest)),
            Self::AccountChanged(user) => ("account-changed", user.0, None, None),
            Self::AccountDeleted(user) => ("account-deleted", user.0, None, None),
            Self::Unknown => ("unknown", 0, None, None),
        };
        change::ActiveModel {
            kind: Set(kind.to_owned()),
            subject_id: Set(subject_id),
            version: Set(version),
            key_digest: Set(digest.map(TokenDigest::to_hex)),
            ..Default::default()
        }
    }
}

/// Names a process in the change feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(i64);

impl Origin {
    /// Makes up a name for this process.
    #[must_use]
    pub fn random() -> Self {
        Self(i64::from_be_bytes(random_bytes()))
    }
}

/// Writes changes into the feed, within the transaction that makes them.
pub(super) async fn write(
    transaction: &impl ConnectionTrait,
    changes: &[Change],
    origin: Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    if changes.is_empty() {
        return Ok(());
    }
    let rows = changes.iter().map(|change| change::ActiveModel {
        origin: Set(origin.0),
        made_at: Set(now),
        ..change.row()
    });
    change::Entity::insert_many(rows)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// Reads what other processes write into the feed.
pub struct ChangeFeed {
    readers: DatabaseConnection,
    writer: DatabaseConnection,
    /// Rows of this process are passed over: it has applied them.
    own: Origin,
    /// The latest row that was read.
    cursor: i64,
}

impl ChangeFeed {
    /// Follows the feed from now on, for the process `own`, which holds nothing in memory yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow(connections: &Connections, own: Origin) -> Result<Self, DbErr> {
        let latest = change::Entity::find().order_by_desc(change::Column::Id);
        let cursor = latest.one(&connections.readers).await?;
        let cursor = cursor.map_or(0, |row| row.id);
        Ok(Self {
            readers: connections.readers.clone(),
            writer: connections.writer.clone(),
            own,
            cursor,
        })
    }

    /// Returns the changes of other processes since the last poll.
    ///
    /// Ids grow in the order of the commits, as SQLite has one writer at a time: no row is missed.
    ///
    /// # Errors
    /// When the database fails; then the next poll returns what this one would have.
    pub async fn poll(&mut self) -> Result<Vec<Change>, DbErr> {
        let new = change::Entity::find()
            .filter(change::Column::Id.gt(self.cursor))
            .order_by_asc(change::Column::Id);
        let rows = new.all(&self.readers).await?;
        if let Some(last) = rows.last() {
            self.cursor = last.id;
        }
        let others = rows.iter().filter(|row| row.origin != self.own.0);
        Ok(others.map(Change::read).collect())
    }

    /// Deletes old rows that this process has read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_old(&self, now: Timestamp) -> Result<(), DbErr> {
        change::Entity::delete_many()
            .filter(change::Column::Id.lte(self.cursor))
            .filter(change::Column::MadeAt.lte(now.minus(KEPT_FOR)))
            .exec(&self.writer)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::TryIntoModel;

    use super::*;
    use crate::security::tokens::Token;

    #[test]
    fn a_change_is_read_as_it_was_written() {
        let (room, version) = (RoomId(7), 3);
        for change in [
            Change::RoomCreated(room),
            Change::MemberJoined(room),
            Change::MembersChanged { room, version },
            Change::RoomChanged { room, version },
            Change::RoomDeleted(room),
            Change::SessionEnded(Token::random().digest()),
            Change::AccountChanged(UserId(7)),
            Change::AccountDeleted(UserId(7)),
            Change::Unknown,
        ] {
            let row = change::ActiveModel {
                id: Set(1),
                origin: Set(1),
                made_at: Set(Timestamp(0)),
                ..change.row()
            };

            assert_eq!(Change::read(&row.try_into_model().unwrap()), change);
        }
    }
}
