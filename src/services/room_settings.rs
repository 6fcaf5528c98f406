//! The settings of a room, which only its owner may change.
//!
//! As in [`super::moderation`], each change of the database checks the actor's rights within its transaction.
//! Changes take effect at once, and open pages are notified.

use std::sync::Arc;

use sea_orm::ActiveValue::NotSet;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::memberships::room_with_role;
use super::{invites, memberships, name_keys, rooms};
use crate::core::{Core, Fault, run_to_completion};
use crate::database::entities::{room, room_member};
use crate::database::errors::is_duplicate;
use crate::database::feed::Change;
use crate::database::transaction::Decision::{self, Commit, RollBack};
use crate::domain::{
    Audience, Description, Language, Lifespan, Posting, Requester, Role, RoomId, RoomName,
    RoomPassword, SlowMode, UserId,
};
use crate::live::messages::EVERY_VERSION;

/// The settings of a room, except its kind and its password.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The room's name.
    pub name: RoomName,
    /// The description.
    pub description: Description,
    /// How long messages live; `None` is the server's maximum.
    pub lifespan: Option<Lifespan>,
    /// How long a person waits between two messages.
    pub slow_mode: SlowMode,
    /// The main language, if there is one.
    pub language: Option<Language>,
    /// Who may post.
    pub posting: Posting,
}

/// The outcome of changing a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The change was made.
    Done,
    /// The room already was as requested.
    Unchanged,
    /// The actor is not the owner, or no longer is.
    NotAllowed,
    /// Another room has this name, or one that looks like it.
    NameTaken,
    /// The site has the maximum number of public rooms.
    TooManyPublic,
    /// The room was made public after the form was shown. Its description was written for fewer people.
    PublicNow,
}

/// What happens to the other members when a room's password changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// The other members stay.
    Stay,
    /// The other members are removed, and may join again with the new password. Invite links are deleted.
    Remove,
}

/// Saves the settings of a room, whose description was written for `audience`. A shorter lifespan also applies to existing
/// messages.
///
/// # Errors
/// When the database fails.
pub async fn save(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    settings: Settings,
    audience: Audience,
) -> Result<Changed, Fault> {
    core.change(async move |transaction| {
        let owned = room_with_role(transaction, room, actor, Role::Owner).await?;
        let Some(found) = owned else {
            return Ok(RollBack(Changed::NotAllowed));
        };
        if audience < Audience::of_room(found.is_private) {
            return Ok(RollBack(Changed::PublicNow));
        }
        let is_renamed = found.name != settings.name.as_str();
        let keys = settings.name.keys();
        if is_renamed && name_keys::is_room_set_aside(transaction, &keys, Some(room)).await? {
            return Ok(RollBack(Changed::NameTaken));
        }
        // A name set aside keeps its keys while it stays the same.
        let key = |key| if is_renamed { Set(key) } else { NotSet };
        let row = room::ActiveModel {
            id: Set(room),
            name: Set(settings.name.as_str().to_owned()),
            folded_name: key(keys.folded),
            folded_skeleton: key(keys.folded_skeleton),
            typed_skeleton: key(keys.typed_skeleton),
            description: Set(settings.description.as_str().to_owned()),
            message_lifespan: Set(settings.lifespan.map(Lifespan::millis)),
            slow_mode: Set(settings.slow_mode.millis()),
            language: Set(settings.language.map_or("", Language::tag).to_owned()),
            posting: Set(settings.posting),
            ..Default::default()
        };
        match room::Entity::update(row).exec(transaction).await {
            Ok(_) => {
                let shortened = |version| {
                    settings.lifespan.map(|lifespan| Change::MessagesShortened {
                        room,
                        version,
                        lifespan,
                    })
                };
                commit_room_change(transaction, room, shortened).await
            }
            Err(error) if is_duplicate(&error) => Ok(RollBack(Changed::NameTaken)),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Makes a private room public. Deletes its messages, because they were written in private, and its invite
/// links and password, because nobody needs them any more.
///
/// # Errors
/// When the database fails.
pub async fn make_public(core: &Arc<Core>, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    let core = Arc::clone(core);
    let public_max = core.config.public_rooms;
    run_to_completion(async move {
        // Exclusive, so that people who can join because of this change do not see the messages that it
        // deletes.
        let update = async {
            let logs = Arc::clone(&core);
            let changed = core.change(async move |transaction| {
                let owned = room_with_role(transaction, room, actor, Role::Owner).await?;
                let Some(found) = owned else {
                    return Ok(RollBack(Changed::NotAllowed));
                };
                if !found.is_private {
                    return Ok(RollBack(Changed::Unchanged));
                }
                if rooms::is_public_limit_reached(transaction, public_max).await? {
                    return Ok(RollBack(Changed::TooManyPublic));
                }
                set_access(transaction, room, None).await?;
                invites::delete_all(transaction, room).await?;
                // Before the room is public: if they cannot be deleted, it stays private, and people who come by another
                // process find none.
                let now = logs.clock.site_time();
                logs.messages.clear(room, EVERY_VERSION, now).await?;
                // Those that are sent meanwhile.
                let cleared = |version| Some(Change::MessagesCleared { room, version });
                commit_room_change(transaction, room, cleared).await
            });
            changed.await
        };
        core.rooms.update_exclusive(room, update).await
    })
    .await
}

/// Sets the password of a room. A public room becomes private by this, and keeps its members and messages.
/// The old password of a private room stops working.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn set_password(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    password: RoomPassword,
    others: Others,
) -> Result<Changed, Fault> {
    let requester = Requester::Person(actor);
    let hash = core.passwords.hash(requester, password.plain().clone());
    let hash = hash.await?;
    core.change(async move |transaction| {
        let owned = room_with_role(transaction, room, actor, Role::Owner).await?;
        if owned.is_none() {
            return Ok(RollBack(Changed::NotAllowed));
        }
        set_access(transaction, room, Some(hash.clone())).await?;
        if others == Others::Remove {
            room_member::Entity::delete_many()
                .filter(room_member::Column::RoomId.eq(room))
                .filter(room_member::Column::UserId.ne(actor))
                .exec(transaction)
                .await?;
            invites::delete_all(transaction, room).await?;
        }
        commit_room_change(transaction, room, |_| None).await
    })
    .await
}

/// Deletes all messages of a room.
///
/// # Errors
/// When the database fails.
pub async fn clear(core: &Core, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    let owned = room_with_role(&core.database, room, actor, Role::Owner).await?;
    if owned.is_none() {
        return Ok(Changed::NotAllowed);
    }
    let now = core.clock.site_time();
    core.messages.clear(room, EVERY_VERSION, now).await?;
    Ok(Changed::Done)
}

/// Deletes a room, with its messages and memberships.
///
/// # Errors
/// When the database fails.
pub async fn delete(core: &Arc<Core>, room: RoomId, actor: UserId) -> Result<Changed, Fault> {
    core.change(async move |transaction| {
        let owned = room_with_role(transaction, room, actor, Role::Owner).await?;
        if owned.is_none() {
            return Ok(RollBack(Changed::NotAllowed));
        }
        room::Entity::delete_by_id(room).exec(transaction).await?;
        Ok(Commit(Changed::Done, vec![Change::RoomDeleted(room)]))
    })
    .await
}

/// Commits a change of a room, with the room's next version, and with what `of_messages` returns for that version: it is
/// made before anybody hears that the room has changed.
async fn commit_room_change(
    transaction: &DatabaseTransaction,
    room: RoomId,
    of_messages: impl FnOnce(i64) -> Option<Change>,
) -> Result<Decision<Changed>, Fault> {
    let version = memberships::next_version(transaction, room).await?;
    let mut changes = Vec::from_iter(of_messages(version));
    changes.push(Change::RoomChanged { room, version });
    Ok(Commit(Changed::Done, changes))
}

/// Makes a room private, with the hash of its password, or public, without a hash.
async fn set_access(
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
