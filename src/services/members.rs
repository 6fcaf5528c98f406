//! Joining and leaving rooms, and who owns a room when its owner leaves.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set,
    TryInsertResult,
};

use super::{Fault, rooms, to_the_end};
use crate::app::AppState;
use crate::database;
use crate::domain::{PlainPassword, RoomId, RoomName, Timestamp, UserId};
use crate::entities::{room, room_member};

/// What became of joining a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// They are in it now.
    Now(RoomId),
    /// They were in it before.
    Before(RoomId),
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
        match found {
            // Who is in a private room knows that it is there; a click on an old page is no mistake.
            Some(_) if is_member => Ok(Joined::Before(room)),
            Some(found) if !found.is_private => join(&app, transaction, room, user).await,
            _ => Ok(Joined::Refused),
        }
    })
    .await
}

/// Lets `user` into the room of this name if the password is right, or if the room is public.
///
/// An unknown name, a name that no room can have (none) and a wrong password are the same to whoever
/// asks, and take as long.
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
    let hash = found
        .as_ref()
        .and_then(|room| room.password_hash.as_deref());
    let is_right = app.passwords.verify(password, hash).await?;
    let Some(found) = found.filter(|room| is_right || !room.is_private) else {
        return Ok(Joined::Refused);
    };
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        // The password was right for the room as it was found: it may have changed meanwhile.
        let is_same = room::Entity::find_by_id(found.id)
            .one(&transaction)
            .await?
            .is_some_and(|now| now.password_hash == found.password_hash);
        if is_same {
            join(&app, transaction, found.id, user).await
        } else {
            Ok(Joined::Refused)
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
        app.rooms.forget(room);
        app.presence.forget(room, user);
        if is_gone {
            app.messages.forget(room);
        } else {
            app.messages.wake(room);
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
    };
    let inserted = room_member::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(database)
        .await?;
    Ok(matches!(inserted, TryInsertResult::Inserted(1..)))
}

async fn join(
    app: &AppState,
    transaction: DatabaseTransaction,
    room: RoomId,
    user: UserId,
) -> Result<Joined, Fault> {
    let is_new = insert(&transaction, room, user, app.clock.now()).await?;
    transaction.commit().await?;
    if !is_new {
        return Ok(Joined::Before(room));
    }
    app.rooms.forget(room);
    // What was said before they came is there to read, but not marked as new.
    let now = app.clock.now();
    if let Some(latest) = app.messages.page(room, None, now).messages.last() {
        app.read_marks.note(user, room, latest.id, now);
    }
    Ok(Joined::Now(room))
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
/// member who has been there longest. An empty room is deleted; then the answer is yes.
async fn settle_ownership(
    transaction: &DatabaseTransaction,
    left: &room::Model,
) -> Result<bool, Fault> {
    if is_member(transaction, left.id, left.owner_id).await? {
        return Ok(false);
    }
    let successor = room_member::Entity::find()
        .filter(room_member::Column::RoomId.eq(left.id))
        .order_by_asc(room_member::Column::JoinedAt)
        .order_by_asc(room_member::Column::UserId)
        .one(transaction)
        .await?;
    match successor {
        Some(successor) => {
            let row = room::ActiveModel {
                id: Set(left.id),
                owner_id: Set(successor.user_id),
                ..Default::default()
            };
            room::Entity::update(row).exec(transaction).await?;
            Ok(false)
        }
        None => {
            room::Entity::delete_by_id(left.id)
                .exec(transaction)
                .await?;
            Ok(true)
        }
    }
}
