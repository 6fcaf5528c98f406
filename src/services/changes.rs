//! Changes that a server holds something of in memory: made known where they are made, or, by the
//! command line, through a table that a running server reads.

use sea_orm::{ConnectionTrait, EntityTrait, Set};

use super::{Fault, rooms, sessions};
use crate::app::AppState;
use crate::domain::{RoomId, Timestamp, UserId};
use crate::entities::change;

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
