//! The owner's settings of a room.
//!
//! As in [`super::moderation`], each change checks who may make it within its transaction. It acts at once, and
//! open pages are told.

use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::{invites, memberships, rooms};
use crate::core::{Core, Fault, is_duplicate, run_to_completion};
use crate::database::entities::{room, room_member};
use crate::database::feed::Change;
use crate::database::transaction::Decision::{self, Commit, RollBack};
use crate::domain::{
    Description, Language, Lifespan, Posting, Role, RoomId, RoomName, RoomPassword, SlowMode,
    UserId,
};

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
    /// It is done.
    Done,
    /// It was so before.
    Already,
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

/// Saves the settings of a room. A shorter lifespan acts on the messages that are there.
///
/// # Errors
/// When the database fails.
pub async fn save(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    settings: Settings,
) -> Result<Changed, Fault> {
    let core = Arc::clone(core);
    run_to_completion(async move {
        let lifespan = settings.lifespan;
        let changed = core.change(async move |transaction| {
            if !is_owner(transaction, room, actor).await? {
                return Ok(RollBack(Changed::NotAllowed));
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
                posting: Set(settings.posting),
                ..Default::default()
            };
            match room::Entity::update(row).exec(transaction).await {
                Ok(_) => room_changed(transaction, room).await,
                Err(error) if is_duplicate(&error) => Ok(RollBack(Changed::NameTaken)),
                Err(error) => Err(error.into()),
            }
        });
        let changed = changed.await?;
        if let (Changed::Done, Some(lifespan)) = (changed, lifespan) {
            let now = core.clock.site_time();
            core.messages.shorten(room, lifespan, now).await;
        }
        Ok(changed)
    })
    .await
}

/// Makes a private room public. Its messages are deleted, as they were written in private, and nobody needs a
/// password or an invite any more.
///
/// # Errors
/// When the database fails.
pub async fn make_public(core: &Arc<Core>, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    let core = Arc::clone(core);
    let public_max = core.config.public_rooms;
    run_to_completion(async move {
        // Whoever comes in by this must not find what goes by it.
        let update = async {
            let changed = core.change(async move |transaction| {
                let found = memberships::find(transaction, room, actor).await?;
                let Some((found, Role::Owner)) = found else {
                    return Ok(RollBack(Changed::NotAllowed));
                };
                if !found.is_private {
                    return Ok(RollBack(Changed::Already));
                }
                if rooms::are_too_many_public(transaction, public_max).await? {
                    return Ok(RollBack(Changed::TooManyPublic));
                }
                write_access(transaction, room, None).await?;
                invites::delete_all(transaction, room).await?;
                room_changed(transaction, room).await
            });
            let changed = changed.await?;
            if changed == Changed::Done {
                core.messages.clear(room, core.clock.site_time()).await;
            }
            Ok(changed)
        };
        core.rooms.update_exclusive(room, update).await
    })
    .await
}

/// Gives a room another password: a public room is private then, and keeps its members and messages. The old
/// password of a private room stops working.
///
/// # Errors
/// When the database or the hashing fails.
pub async fn set_password(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    password: RoomPassword,
    others: Others,
) -> Result<Changed, Fault> {
    let hash = core.passwords.hash(password.plain().clone()).await?;
    let changed = core.change(async move |transaction| {
        if !is_owner(transaction, room, actor).await? {
            return Ok(RollBack(Changed::NotAllowed));
        }
        write_access(transaction, room, Some(hash.clone())).await?;
        if others == Others::Go {
            room_member::Entity::delete_many()
                .filter(room_member::Column::RoomId.eq(room))
                .filter(room_member::Column::UserId.ne(actor))
                .exec(transaction)
                .await?;
            invites::delete_all(transaction, room).await?;
        }
        room_changed(transaction, room).await
    });
    let changed = changed.await?;
    if changed == Changed::Done && others == Others::Go {
        core.presence.forget_others(room, actor);
    }
    Ok(changed)
}

/// Deletes all messages of a room.
///
/// # Errors
/// When the database fails.
pub async fn clear(core: &Core, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    if !is_owner(&core.database, room, actor).await? {
        return Ok(Changed::NotAllowed);
    }
    core.messages.clear(room, core.clock.site_time()).await;
    Ok(Changed::Done)
}

/// Deletes a room, with its messages and memberships.
///
/// # Errors
/// When the database fails.
pub async fn delete(core: &Arc<Core>, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    core.change(async move |transaction| {
        if !is_owner(transaction, room, actor).await? {
            return Ok(RollBack(Changed::NotAllowed));
        }
        room::Entity::delete_by_id(room).exec(transaction).await?;
        Ok(Commit(Changed::Done, vec![Change::RoomDeleted(room)]))
    })
    .await
}

/// Commits a change of a room.
async fn room_changed(
    transaction: &DatabaseTransaction,
    room: RoomId,
) -> Result<Decision<Changed>, Fault> {
    let version = memberships::next_version(transaction, room).await?;
    let changes = vec![Change::RoomChanged { room, version }];
    Ok(Commit(Changed::Done, changes))
}

async fn is_owner(
    database: &impl ConnectionTrait,
    room: RoomId,
    actor: UserId,
) -> Result<bool, Fault> {
    let role = memberships::role_of(database, room, actor).await?;
    Ok(role == Some(Role::Owner))
}

/// Sets who may join: whoever knows the password of this hash, or, without one, everybody.
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
