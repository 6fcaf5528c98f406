//! What an owner sets about a room.
//!
//! As with [`super::moderation`], each change looks at who may make it within the transaction that makes
//! it. It then acts at once on what is held in memory, and open pages are told.

use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use super::{Fault, invites, is_duplicate, rooms, to_the_end};
use crate::app::AppState;
use crate::database;
use crate::domain::{
    Description, Language, Lifespan, Posting, Role, RoomId, RoomName, RoomPassword, SlowMode,
    UserId,
};
use crate::entities::{room, room_member};

/// What a room is like, but for who may join it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is called.
    pub name: RoomName,
    /// What it is about.
    pub description: Description,
    /// How long its messages live; none is as long as the server allows.
    pub lifespan: Option<Lifespan>,
    /// How long a person waits between two messages.
    pub slow_mode: SlowMode,
    /// The language most is said in, if there is one.
    pub language: Option<Language>,
    /// Who may write.
    pub posting: Posting,
}

/// What became of a change of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is so now.
    Done,
    /// Who asked may not, or not any more.
    NotAllowed,
    /// Another room has the name, or one that looks like it.
    NameTaken,
    /// There are as many public rooms as there may be.
    TooManyPublic,
}

/// What becomes of the others when a room gets another password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They stay members.
    Stay,
    /// They are taken out, and may come back by the new password. Invite links end.
    Go,
}

/// Changes what a room is like. A shorter lifespan acts on the messages that are there.
///
/// # Errors
/// When the database or the rendering of messages fails.
pub async fn save(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    settings: Settings,
) -> Result<Changed, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if !is_owner(&transaction, room, actor).await? {
            return Ok(Changed::NotAllowed);
        }
        let keys = settings.name.keys();
        let row = room::ActiveModel {
            id: Set(room),
            name: Set(settings.name.as_str().to_owned()),
            folded_name: Set(keys.folded),
            folded_skeleton: Set(keys.folded_skeleton),
            typed_skeleton: Set(keys.typed_skeleton),
            description: Set(settings.description.as_str().to_owned()),
            message_lifespan: Set(settings.lifespan.map(Lifespan::millis)),
            slow_mode: Set(settings.slow_mode.millis()),
            language: Set(settings.language.map_or("", Language::tag).to_owned()),
            posting: Set(settings.posting.word().to_owned()),
            ..Default::default()
        };
        match room::Entity::update(row).exec(&transaction).await {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => return Ok(Changed::NameTaken),
            Err(error) => return Err(error.into()),
        }
        transaction.commit().await?;
        tell(&app, room);
        if let Some(lifespan) = settings.lifespan {
            app.messages.shorten(room, lifespan, app.clock.now())?;
        }
        Ok(Changed::Done)
    })
    .await
}

/// Opens a private room to everybody. What was said in it was said in private, so it goes, and nobody
/// needs a password or an invite any more.
///
/// # Errors
/// When the database fails.
pub async fn make_public(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
) -> Result<Changed, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let Some((found, Role::Owner)) = rooms::standing(&transaction, room, actor).await? else {
            return Ok(Changed::NotAllowed);
        };
        if !found.is_private {
            return Ok(Changed::Done);
        }
        if rooms::are_too_many_public(&app, &transaction).await? {
            return Ok(Changed::TooManyPublic);
        }
        // Whoever comes in by this must not find what goes by it.
        let change = Box::pin(async {
            write_access(&transaction, room, None).await?;
            invites::delete_all(&transaction, room).await?;
            transaction.commit().await?;
            app.messages.clear(room, app.clock.now());
            Ok::<_, Fault>(())
        });
        app.rooms.while_nobody_reads(room, change).await?;
        tell(&app, room);
        Ok(Changed::Done)
    })
    .await
}

/// Gives a room a password: a public one is private then, and keeps its members and messages. The old
/// password of a private one lets nobody in any more.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn set_password(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    password: RoomPassword,
    others: Others,
) -> Result<Changed, Fault> {
    let app = Arc::clone(app);
    let hash = app.passwords.hash(password.plain().clone()).await?;
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if !is_owner(&transaction, room, actor).await? {
            return Ok(Changed::NotAllowed);
        }
        write_access(&transaction, room, Some(hash)).await?;
        if others == Others::Go {
            room_member::Entity::delete_many()
                .filter(room_member::Column::RoomId.eq(room))
                .filter(room_member::Column::UserId.ne(actor))
                .exec(&transaction)
                .await?;
            invites::delete_all(&transaction, room).await?;
        }
        transaction.commit().await?;
        if others == Others::Go {
            app.presence.forget_others(room, actor);
        }
        tell(&app, room);
        Ok(Changed::Done)
    })
    .await
}

/// Deletes all messages of a room.
///
/// # Errors
/// When the database fails.
pub async fn clear(app: &Arc<AppState>, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    if !is_owner(&app.database, room, actor).await? {
        return Ok(Changed::NotAllowed);
    }
    app.messages.clear(room, app.clock.now());
    Ok(Changed::Done)
}

/// Deletes a room, with its messages and memberships.
///
/// # Errors
/// When the database fails.
pub async fn delete(app: &Arc<AppState>, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if !is_owner(&transaction, room, actor).await? {
            return Ok(Changed::NotAllowed);
        }
        room::Entity::delete_by_id(room).exec(&transaction).await?;
        transaction.commit().await?;
        rooms::gone(&app, room);
        Ok(Changed::Done)
    })
    .await
}

/// Makes a committed change known, to open pages too.
fn tell(app: &AppState, room: RoomId) {
    app.rooms.forget(room);
    app.public_rooms.forget(());
    app.messages.note_change(room);
}

async fn is_owner(
    database: &impl ConnectionTrait,
    room: RoomId,
    actor: UserId,
) -> Result<bool, Fault> {
    let standing = rooms::standing(database, room, actor).await?;
    Ok(matches!(standing, Some((_, Role::Owner))))
}

/// Writes down who may join: who knows the password of this hash, or, without one, everybody.
async fn write_access(
    database: &impl ConnectionTrait,
    room: RoomId,
    password_hash: Option<String>,
) -> Result<(), Fault> {
    let row = room::ActiveModel {
        id: Set(room),
        is_private: Set(password_hash.is_some()),
        password_hash: Set(password_hash),
        ..Default::default()
    };
    room::Entity::update(row).exec(database).await?;
    Ok(())
}
