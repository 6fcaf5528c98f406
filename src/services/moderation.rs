//! What owners and moderators do about the people of a room.
//!
//! Each change looks at who may make it within the transaction that makes it: of two at once that
//! exclude each other, one wins. Who may moderate whom says [`Role::may_moderate`].

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait, Set,
};

use super::rooms::{self, Room};
use super::{Fault, to_the_end};
use crate::app::AppState;
use crate::database;
use crate::domain::{BanReason, Role, RoomId, UserId};
use crate::entities::{room_ban, room_member, user};

/// What became of a change to a person in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moderated {
    /// It is so now.
    Done,
    /// Who asked may not, or not any more.
    NotAllowed,
    /// The person is not there, or not any more.
    NoSuchPerson,
    /// The person would own more rooms than one may.
    OwnsTooMany,
}

/// Makes a member a moderator, or a moderator a member like the others. Only the owner may.
///
/// # Errors
/// When the database fails.
pub async fn set_role(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    person: UserId,
    role: Role,
) -> Result<Moderated, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if role_of(&transaction, room, actor).await? != Some(Role::Owner) || role == Role::Owner {
            return Ok(Moderated::NotAllowed);
        }
        match role_of(&transaction, room, person).await? {
            None => return Ok(Moderated::NoSuchPerson),
            Some(Role::Owner) => return Ok(Moderated::NotAllowed),
            Some(_) => write_role(&transaction, room, person, role).await?,
        }
        transaction.commit().await?;
        rooms::changed(&app, room);
        Ok(Moderated::Done)
    })
    .await
}

/// Makes a member the owner, and the owner a moderator. Only the owner may.
///
/// # Errors
/// When the database fails.
pub async fn hand_over(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if role_of(&transaction, room, actor).await? != Some(Role::Owner) || person == actor {
            return Ok(Moderated::NotAllowed);
        }
        if role_of(&transaction, room, person).await?.is_none() {
            return Ok(Moderated::NoSuchPerson);
        }
        if rooms::owns_too_many(&app, &transaction, person).await? {
            return Ok(Moderated::OwnsTooMany);
        }
        rooms::set_owner(&transaction, room, person).await?;
        write_role(&transaction, room, actor, Role::Moderator).await?;
        transaction.commit().await?;
        rooms::changed(&app, room);
        Ok(Moderated::Done)
    })
    .await
}

/// Takes a member out of a room; they may come back as they came. What they wrote stays.
///
/// # Errors
/// When the database fails.
pub async fn remove(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let Some(role) = role_of(&transaction, room, person).await? else {
            return Ok(Moderated::NoSuchPerson);
        };
        if !may_moderate(&transaction, room, actor, Some(role)).await? {
            return Ok(Moderated::NotAllowed);
        }
        room_member::Entity::delete_by_id((room, person))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        rooms::changed(&app, room);
        app.presence.forget(room, person);
        Ok(Moderated::Done)
    })
    .await
}

/// Keeps a person out of a room, who may be in it or not. What they wrote stays.
///
/// # Errors
/// When the database fails.
pub async fn ban(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    person: UserId,
    reason: BanReason,
) -> Result<Moderated, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let role = role_of(&transaction, room, person).await?;
        if !may_moderate(&transaction, room, actor, role).await? || person == actor {
            return Ok(Moderated::NotAllowed);
        }
        if name_of(&transaction, person).await?.is_none() {
            return Ok(Moderated::NoSuchPerson);
        }
        room_member::Entity::delete_by_id((room, person))
            .exec(&transaction)
            .await?;
        // The reason given last counts.
        room_ban::Entity::delete_by_id((room, person))
            .exec(&transaction)
            .await?;
        let row = room_ban::ActiveModel {
            room_id: Set(room),
            user_id: Set(person),
            reason: Set(reason.as_str().to_owned()),
            banned_at: Set(app.clock.now()),
        };
        room_ban::Entity::insert(row)
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        rooms::changed(&app, room);
        app.presence.forget(room, person);
        Ok(Moderated::Done)
    })
    .await
}

/// Lets a banned person come back as anybody may.
///
/// # Errors
/// When the database fails.
pub async fn lift_ban(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if !may_moderate(&transaction, room, actor, None).await? {
            return Ok(Moderated::NotAllowed);
        }
        let lifted = room_ban::Entity::delete_by_id((room, person))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(if lifted.rows_affected > 0 {
            Moderated::Done
        } else {
            Moderated::NoSuchPerson
        })
    })
    .await
}

/// Deletes all live messages of a person, who may be in the room or not.
///
/// # Errors
/// When the database fails.
pub async fn delete_messages(
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    let role = role_of(&app.database, room, person).await?;
    if !may_moderate(&app.database, room, actor, role).await? {
        return Ok(Moderated::NotAllowed);
    }
    app.messages.delete_by(person, room, app.clock.now());
    Ok(Moderated::Done)
}

/// Somebody who is banned from a room.
#[derive(Debug)]
pub struct Banned {
    /// Who it is.
    pub user_id: UserId,
    /// What they are called.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Who is banned from a room, those banned last first.
///
/// # Errors
/// When the database fails.
pub async fn banned(app: &AppState, room: RoomId) -> Result<Vec<Banned>, Fault> {
    let rows: Vec<(UserId, String, String)> = room_ban::Entity::find()
        .select_only()
        .column(room_ban::Column::UserId)
        .column(user::Column::Name)
        .column(room_ban::Column::Reason)
        .join(JoinType::InnerJoin, room_ban::Relation::User.def())
        .filter(room_ban::Column::RoomId.eq(room))
        .order_by_desc(room_ban::Column::BannedAt)
        .order_by_desc(room_ban::Column::UserId)
        .into_tuple()
        .all(&app.database)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(user_id, name, reason)| Banned {
            user_id,
            name,
            reason,
        })
        .collect())
}

/// Somebody who is in a room, is banned from it, or wrote what is still there.
#[derive(Debug)]
pub struct Person {
    /// Who it is.
    pub user_id: UserId,
    /// What they are called.
    pub name: String,
    /// What they may do there, if they are in it.
    pub role: Option<Role>,
    /// Why they are banned, if they are.
    pub ban: Option<String>,
}

/// The person of this number, if they have to do with the room: others are nobody's business there.
///
/// # Errors
/// When the database fails.
pub async fn person(app: &AppState, room: &Room, person: UserId) -> Result<Option<Person>, Fault> {
    let Some(name) = name_of(&app.database, person).await? else {
        return Ok(None);
    };
    let role = room.role_of(person);
    let ban = ban_reason(&app.database, room.id, person).await?;
    let authors = app.messages.authors(room.id, app.clock.now());
    let is_known =
        role.is_some() || ban.is_some() || authors.iter().any(|(author, _)| *author == person);
    Ok(is_known.then_some(Person {
        user_id: person,
        name,
        role,
        ban,
    }))
}

/// Who wrote what is still in a room, and is neither in it nor banned: by number and name.
#[must_use]
pub fn authors_outside(app: &AppState, room: &Room, banned: &[Banned]) -> Vec<(UserId, Arc<str>)> {
    let mut authors = app.messages.authors(room.id, app.clock.now());
    authors.retain(|(author, _)| {
        room.role_of(*author).is_none() && banned.iter().all(|banned| banned.user_id != *author)
    });
    authors
}

/// Why `user` is banned from `room`, if they are.
pub(super) async fn ban_reason(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<Option<String>, Fault> {
    let ban = room_ban::Entity::find_by_id((room, user));
    Ok(ban.one(database).await?.map(|ban| ban.reason))
}

async fn may_moderate(
    database: &impl ConnectionTrait,
    room: RoomId,
    actor: UserId,
    other: Option<Role>,
) -> Result<bool, Fault> {
    let role = role_of(database, room, actor).await?;
    Ok(role.is_some_and(|role| role.may_moderate(other)))
}

async fn role_of(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<Option<Role>, Fault> {
    let standing = rooms::standing(database, room, user).await?;
    Ok(standing.map(|(_, role)| role))
}

async fn write_role(
    database: &impl ConnectionTrait,
    room: RoomId,
    member: UserId,
    role: Role,
) -> Result<(), Fault> {
    let row = room_member::ActiveModel {
        room_id: Set(room),
        user_id: Set(member),
        role: Set(role.word().to_owned()),
        ..Default::default()
    };
    room_member::Entity::update(row).exec(database).await?;
    Ok(())
}

async fn name_of(database: &impl ConnectionTrait, person: UserId) -> Result<Option<String>, Fault> {
    let found = user::Entity::find_by_id(person).one(database).await?;
    Ok(found.map(|user| user.name))
}
