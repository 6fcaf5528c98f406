//! Changes that a server holds something of in memory: made known where they are made, or, by the
//! command line, through a table that a running server reads.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    Set,
};

use super::{Fault, rooms, sessions};
use crate::app::AppState;
use crate::domain::{RoomId, Timestamp, UserId};
use crate::entities::change;

/// How long a change stays written down: no server takes so long to notice one.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// Something that has changed in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A room is another than it was, or other people are in it.
    Room(RoomId),
    /// A room is gone.
    RoomGone(RoomId),
    /// A person's account is gone.
    PersonGone(UserId),
}

impl Change {
    /// The change that is written so in the table.
    fn read(row: &change::Model) -> Option<Self> {
        let subject = row.subject_id;
        match row.kind.as_str() {
            "room" => Some(Self::Room(RoomId(subject))),
            "room-gone" => Some(Self::RoomGone(RoomId(subject))),
            "person-gone" => Some(Self::PersonGone(UserId(subject))),
            _ => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Room(_) => "room",
            Self::RoomGone(_) => "room-gone",
            Self::PersonGone(_) => "person-gone",
        }
    }

    fn subject(self) -> i64 {
        match self {
            Self::Room(room) | Self::RoomGone(room) => room.0,
            Self::PersonGone(person) => person.0,
        }
    }
}

/// Makes committed changes known to what is held in memory.
pub(super) fn apply(app: &AppState, changes: &[Change]) {
    for change in changes {
        match *change {
            Change::Room(room) => rooms::changed(app, room),
            Change::RoomGone(room) => rooms::gone(app, room),
            Change::PersonGone(person) => {
                sessions::end_in_memory(app, person);
                app.settings.forget(person);
                app.held_messages.forget(person);
                app.presence.forget_everywhere(person);
                // The last: nothing more of theirs can come in.
                app.messages.delete_everywhere_by(person, app.clock.now());
            }
        }
    }
}

/// Writes changes down for a server that may be running. Call it within the transaction that makes them.
pub(super) async fn announce(
    database: &impl ConnectionTrait,
    changes: &[Change],
    now: Timestamp,
) -> Result<(), Fault> {
    for change in changes {
        let row = change::ActiveModel {
            kind: Set(change.kind().to_owned()),
            subject_id: Set(change.subject()),
            made_at: Set(now),
            ..Default::default()
        };
        change::Entity::insert(row).exec(database).await?;
    }
    Ok(())
}

/// How far a server has read what was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noticed(i64);

impl Noticed {
    /// All that is written down so far: for a server that holds nothing in memory yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_so_far(database: &DatabaseConnection) -> Result<Self, DbErr> {
        let latest = change::Entity::find().order_by_desc(change::Column::Id);
        Ok(Self(latest.one(database).await?.map_or(0, |row| row.id)))
    }

    /// Makes known what was written down since.
    ///
    /// Ids grow in the order of the commits, as one writes at a time: none is passed over.
    ///
    /// # Errors
    /// When the database fails; then nothing is passed over either.
    pub async fn go_on(&mut self, app: &AppState) -> Result<(), Fault> {
        let new = change::Entity::find()
            .filter(change::Column::Id.gt(self.0))
            .order_by_asc(change::Column::Id);
        for row in new.all(&app.uncounted).await? {
            match Change::read(&row) {
                Some(change) => apply(app, &[change]),
                None => {
                    tracing::warn!(kind = row.kind, "unknown kind of change in the change feed")
                }
            }
            self.0 = row.id;
        }
        Ok(())
    }

    /// Deletes what was noticed and is old.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_old(self, app: &AppState) -> Result<(), Fault> {
        change::Entity::delete_many()
            .filter(change::Column::Id.lte(self.0))
            .filter(change::Column::MadeAt.lte(app.clock.now().minus(KEPT_FOR)))
            .exec(&app.uncounted)
            .await?;
        Ok(())
    }
}
