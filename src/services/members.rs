//! Joining and leaving rooms, and who owns a room when its owner leaves.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, Set, TryInsertResult,
};

use super::{Fault, moderation, rooms, to_the_end};
use crate::app::AppState;
use crate::database;
use crate::domain::{PlainPassword, Role, RoomId, RoomName, Timestamp, UserId};
use crate::entities::{room, room_member};

/// What became of joining a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// They are in it now.
    Now(RoomId),
    /// They were in it before.
    Before(RoomId),
    /// They are banned from this public room.
    Banned {
        /// What the room is called.
        name: String,
        /// Why they are banned.
        reason: String,
    },
    /// The room has as many members as it may. Its name is theirs to know.
    Full {
        /// What the room is called.
        name: String,
    },
    /// They may not, or there is no such room: the same to whoever asks.
    Refused,
}

/// What became of leaving a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// They are out of it now.
    Now,
    /// They were not in it, or there is no such room.
    Before,
}

/// Lets `user` into a public room.
///
/// # Errors
/// When the database fails.
pub async fn join_public(app: &Arc<AppState>, room: RoomId, user: UserId) -> Result<Joined, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let found = room::Entity::find_by_id(room).one(&transaction).await?;
        // Asked whatever was found: the work must not tell a private room from none.
        let is_member = is_member(&transaction, room, user).await?;
        let ban = moderation::ban_reason(&transaction, room, user).await?;
        match (found, ban) {
            // Who is in a private room knows that it is there; a click on an old page is no mistake.
            (Some(_), _) if is_member => Ok(Joined::Before(room)),
            (Some(found), Some(reason)) if !found.is_private => Ok(Joined::Banned {
                name: found.name,
                reason,
            }),
            (Some(found), None) if !found.is_private => join(&app, transaction, found, user).await,
            _ => Ok(Joined::Refused),
        }
    })
    .await
}

/// Lets `user` into the room of this name if the password is right, or if the room is public.
///
/// An unknown name, a name that no room can have (none), a wrong password and being banned from a private
/// room are the same to whoever asks, and take as long.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn join_by_password(
    app: &Arc<AppState>,
    name: Option<RoomName>,
    password: PlainPassword,
    user: UserId,
) -> Result<Joined, Fault> {
    let found = rooms::by_name(app, name.as_ref()).await?;
    // Asked for no room, too, so that it takes as long.
    let id = found.as_ref().map_or(RoomId(0), |room| room.id);
    let ban = moderation::ban_reason(&app.database, id, user).await?;
    let hash = found
        .as_ref()
        .and_then(|room| room.password_hash.as_deref());
    let is_right = app.passwords.verify(password, hash).await?;
    let found = match (found, ban) {
        (Some(found), Some(reason)) if !found.is_private => {
            return Ok(Joined::Banned {
                name: found.name,
                reason,
            });
        }
        (Some(found), None) if is_right || !found.is_private => found,
        _ => return Ok(Joined::Refused),
    };
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        // What was right for the room as it was found may be wrong by now.
        let now = room::Entity::find_by_id(found.id).one(&transaction).await?;
        let is_banned = moderation::ban_reason(&transaction, found.id, user)
            .await?
            .is_some();
        match now.filter(|now| now.password_hash == found.password_hash && !is_banned) {
            Some(now) => join(&app, transaction, now, user).await,
            None => Ok(Joined::Refused),
        }
    })
    .await
}

/// Takes `user` out of a room. When its owner leaves, somebody else owns it; when nobody is left, it
/// goes.
///
/// # Errors
/// When the database fails.
pub async fn leave(app: &Arc<AppState>, room: RoomId, user: UserId) -> Result<Left, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let membership = room_member::Entity::delete_by_id((room, user))
            .exec(&transaction)
            .await?;
        let found = room::Entity::find_by_id(room).one(&transaction).await?;
        let Some(found) = found.filter(|_| membership.rows_affected > 0) else {
            return Ok(Left::Before);
        };
        let is_gone = settle_ownership(&transaction, &found).await?;
        transaction.commit().await?;
        app.presence.forget(room, user);
        if is_gone {
            rooms::gone(&app, room);
        } else {
            rooms::changed(&app, room);
        }
        Ok(Left::Now)
    })
    .await
}

/// Makes `user` a member of `room`. Says whether they were not one before.
pub(super) async fn insert(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let row = room_member::ActiveModel {
        room_id: Set(room),
        user_id: Set(user),
        joined_at: Set(now),
        role: Set(Role::Member.word().to_owned()),
    };
    let inserted = room_member::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(database)
        .await?;
    Ok(matches!(inserted, TryInsertResult::Inserted(1..)))
}

/// Lets `user` into a room, if there is a place, and commits. Call it when they may come in: what else
/// was done within the transaction is done if they do, and undone if they do not.
pub(super) async fn join(
    app: &AppState,
    transaction: DatabaseTransaction,
    room: room::Model,
    user: UserId,
) -> Result<Joined, Fault> {
    let is_new = insert(&transaction, room.id, user, app.clock.now()).await?;
    if !is_new {
        return Ok(Joined::Before(room.id));
    }
    let members = room_member::Entity::find().filter(room_member::Column::RoomId.eq(room.id));
    if members.count(&transaction).await? > app.config.members_per_room {
        return Ok(Joined::Full { name: room.name });
    }
    transaction.commit().await?;
    app.rooms.forget(room.id);
    // What was said before they came is there to read, but not marked as new.
    let now = app.clock.now();
    if let Some(latest) = app.messages.page(room.id, None, now).messages.last() {
        app.read_marks.note(user, room.id, latest.id, now);
    }
    Ok(Joined::Now(room.id))
}

async fn is_member(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<bool, Fault> {
    Ok(room_member::Entity::find_by_id((room, user))
        .one(database)
        .await?
        .is_some())
}

/// Sees to it that a room that somebody left has an owner who is a member: the one there is, else the
/// moderator who has been there longest, else the member who has. An empty room is deleted; then the
/// answer is yes.
pub(super) async fn settle_ownership(
    database: &impl ConnectionTrait,
    left: &room::Model,
) -> Result<bool, Fault> {
    if is_member(database, left.id, left.owner_id).await? {
        return Ok(false);
    }
    let is_moderator = room_member::Column::Role.eq(Role::Moderator.word());
    let successor = room_member::Entity::find()
        .filter(room_member::Column::RoomId.eq(left.id))
        .order_by_desc(is_moderator)
        .order_by_asc(room_member::Column::JoinedAt)
        .order_by_asc(room_member::Column::UserId)
        .one(database)
        .await?;
    match successor {
        Some(successor) => {
            rooms::set_owner(database, left.id, successor.user_id).await?;
            Ok(false)
        }
        None => {
            room::Entity::delete_by_id(left.id).exec(database).await?;
            Ok(true)
        }
    }
}
