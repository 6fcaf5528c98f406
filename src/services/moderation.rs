//! Moderation: what owners and moderators may do to other people in a room.
//!
//! Each change of the database checks the actor's rights within its transaction, so that of two conflicting
//! changes only one succeeds. [`Role::may_moderate`] defines who may moderate whom.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter,
    QueryOrder, QuerySelect, RelationTrait, Set,
};

use super::memberships::{self, role_of, room_with_role};
use super::rooms;
use crate::core::{Core, Fault};
use crate::database::entities::{room, room_ban, room_member, user};
use crate::database::feed::Change;
use crate::database::transaction::Decision::{self, Commit, RollBack};
use crate::domain::{Audience, Reason, Role, RoomId, UserId};
use crate::live::rooms::Room;

/// The outcome of a moderator's action on a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moderated {
    /// The action was carried out.
    Done,
    /// The actor does not have the right, or has lost it.
    NotAllowed,
    /// The action does not apply to this person, or no longer does.
    NoSuchPerson,
    /// The person already owns the maximum number of rooms.
    OwnsTooMany,
    /// The room was made public after the form was shown. The reason was written for fewer people.
    PublicNow,
}

/// Appoints a member as moderator, or makes a moderator an ordinary member. Only the owner may do this.
///
/// # Errors
/// When the database fails.
pub async fn set_role(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    person: UserId,
    role: Role,
) -> Result<Moderated, Fault> {
    core.change(async move |transaction| {
        let owned = room_with_role(transaction, room, actor, Role::Owner).await?;
        if owned.is_none() || role == Role::Owner {
            return Ok(RollBack(Moderated::NotAllowed));
        }
        match role_of(transaction, room, person).await? {
            None => return Ok(RollBack(Moderated::NoSuchPerson)),
            Some(Role::Owner) => return Ok(RollBack(Moderated::NotAllowed)),
            Some(_) => update_role(transaction, room, person, role).await?,
        }
        commit_member_change(transaction, room, person).await
    })
    .await
}

/// Makes a member the owner, and the current owner a moderator. Only the owner may do this.
///
/// # Errors
/// When the database fails.
pub async fn hand_over(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    let rooms_max = core.config.rooms_per_person;
    core.change(async move |transaction| {
        let owned = room_with_role(transaction, room, actor, Role::Owner).await?;
        if owned.is_none() || person == actor {
            return Ok(RollBack(Moderated::NotAllowed));
        }
        if role_of(transaction, room, person).await?.is_none() {
            return Ok(RollBack(Moderated::NoSuchPerson));
        }
        if rooms::count_owned_by(transaction, person).await? >= rooms_max {
            return Ok(RollBack(Moderated::OwnsTooMany));
        }
        memberships::set_owner(transaction, room, person).await?;
        update_role(transaction, room, actor, Role::Moderator).await?;
        commit_member_change(transaction, room, person).await
    })
    .await
}

/// Removes a member from a room. The person may join again, and their messages stay.
///
/// # Errors
/// When the database fails.
pub async fn remove(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    core.change(async move |transaction| {
        let Some(role) = role_of(transaction, room, person).await? else {
            return Ok(RollBack(Moderated::NoSuchPerson));
        };
        let moderated = moderated_room(transaction, room, actor, Some(role)).await?;
        if moderated.is_none() {
            return Ok(RollBack(Moderated::NotAllowed));
        }
        room_member::Entity::delete_by_id((room, person))
            .exec(transaction)
            .await?;
        commit_member_change(transaction, room, person).await
    })
    .await
}

/// Bans a person, who need not be a member, from a room, for a reason that was written for `audience`. The person's
/// messages stay.
///
/// # Errors
/// When the database fails.
pub async fn ban(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    person: UserId,
    reason: Reason,
    audience: Audience,
) -> Result<Moderated, Fault> {
    let now = core.clock.now();
    core.change(async move |transaction| {
        let role = role_of(transaction, room, person).await?;
        let Some(found) = moderated_room(transaction, room, actor, role).await? else {
            return Ok(RollBack(Moderated::NotAllowed));
        };
        // They see the reason when they try to join.
        if audience < Audience::of_room(found.is_private) {
            return Ok(RollBack(Moderated::PublicNow));
        }
        if name_of(transaction, person).await?.is_none() {
            return Ok(RollBack(Moderated::NoSuchPerson));
        }
        room_member::Entity::delete_by_id((room, person))
            .exec(transaction)
            .await?;
        // A new ban replaces the reason of an earlier one.
        room_ban::Entity::delete_by_id((room, person))
            .exec(transaction)
            .await?;
        let row = room_ban::ActiveModel {
            room_id: Set(room),
            user_id: Set(person),
            reason: Set(reason.as_str().to_owned()),
            banned_at: Set(now),
        };
        room_ban::Entity::insert(row)
            .exec_without_returning(transaction)
            .await?;
        commit_member_change(transaction, room, person).await
    })
    .await
}

/// Lifts a ban, so that the person may join again under the usual rules.
///
/// # Errors
/// When the database fails.
pub async fn lift_ban(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    core.change(async move |transaction| {
        let moderated = moderated_room(transaction, room, actor, None).await?;
        if moderated.is_none() {
            return Ok(RollBack(Moderated::NotAllowed));
        }
        let lifted = room_ban::Entity::delete_by_id((room, person))
            .exec(transaction)
            .await?;
        Ok(if lifted.rows_affected > 0 {
            Commit(Moderated::Done, Vec::new())
        } else {
            RollBack(Moderated::NoSuchPerson)
        })
    })
    .await
}

/// Deletes all live messages of a person, who need not be a member.
///
/// # Errors
/// When the database fails.
pub async fn delete_messages(
    core: &Core,
    room: RoomId,
    actor: UserId,
    person: UserId,
) -> Result<Moderated, Fault> {
    let role = role_of(&core.database, room, person).await?;
    let moderated = moderated_room(&core.database, room, actor, role).await?;
    if moderated.is_none() {
        return Ok(Moderated::NotAllowed);
    }
    let now = core.clock.site_time();
    core.messages.delete_by(person, room, now).await?;
    Ok(Moderated::Done)
}

/// A person who is banned from a room.
#[derive(Debug)]
pub struct Banned {
    /// The person's id.
    pub user_id: UserId,
    /// The person's name.
    pub name: String,
    /// The reason for the ban.
    pub reason: String,
}

/// Returns the people who are banned from a room, most recent ban first.
///
/// # Errors
/// When the database fails.
pub async fn banned(core: &Core, room: RoomId) -> Result<Vec<Banned>, Fault> {
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
        .all(&core.database)
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

/// A person who is a member of a room, is banned from it, or is the author of live messages there.
#[derive(Debug)]
pub struct Person {
    /// The person's id.
    pub user_id: UserId,
    /// The person's name.
    pub name: String,
    /// The person's role, if they are a member.
    pub role: Option<Role>,
    /// The reason for the ban, if the person is banned.
    pub ban: Option<String>,
}

/// Returns the person with this id, if the member `reader` may know them.
///
/// Members know the members of the room and the authors of live messages there. Moderators also know who is banned,
/// and the authors of reported messages.
///
/// # Errors
/// When the database fails.
pub async fn person(
    core: &Core,
    room: &Room,
    reader: UserId,
    person: UserId,
) -> Result<Option<Person>, Fault> {
    let Some(name) = name_of(&core.database, person).await? else {
        return Ok(None);
    };
    let role = room.role_of(person);
    let now = core.clock.site_time();
    let authors = core.messages.authors(room.id, now).await?;
    let mut is_known = role.is_some() || authors.iter().any(|(author, _)| *author == person);
    let mut ban = None;
    if room.role_of(reader) >= Some(Role::Moderator) {
        ban = ban_reason(&core.database, room.id, person).await?;
        let reports = core.messages.reports(room.id, now).await?;
        is_known |= ban.is_some() || reports.iter().any(|report| report.message.author == person);
    }
    Ok(is_known.then_some(Person {
        user_id: person,
        name,
        role,
        ban,
    }))
}

/// Returns the ids and names of the authors of live messages who are neither members nor banned.
///
/// # Errors
/// When Redis does not answer.
pub async fn authors_outside(
    core: &Core,
    room: &Room,
    banned: &[Banned],
) -> Result<Vec<(UserId, Arc<str>)>, Fault> {
    let now = core.clock.site_time();
    let mut authors = core.messages.authors(room.id, now).await?;
    authors.retain(|(author, _)| {
        room.role_of(*author).is_none() && banned.iter().all(|banned| banned.user_id != *author)
    });
    Ok(authors)
}

/// Returns the reason why `user` is banned from `room`, if they are.
pub(super) async fn ban_reason(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<Option<String>, Fault> {
    let ban = room_ban::Entity::find_by_id((room, user));
    Ok(ban.one(database).await?.map(|ban| ban.reason))
}

/// Returns the room from the database, if `actor` may moderate a person whose role there is `other`. Nobody may moderate
/// themselves.
async fn moderated_room(
    database: &impl ConnectionTrait,
    room: RoomId,
    actor: UserId,
    other: Option<Role>,
) -> Result<Option<room::Model>, Fault> {
    let found = memberships::find(database, room, actor).await?;
    let moderated = found.filter(|(_, role)| role.may_moderate(other));
    Ok(moderated.map(|(room, _)| room))
}

/// Commits a change of the membership or the role of `person`, with the room's next version.
async fn commit_member_change(
    transaction: &DatabaseTransaction,
    room: RoomId,
    person: UserId,
) -> Result<Decision<Moderated>, Fault> {
    let version = memberships::next_version(transaction, room).await?;
    let changes = vec![
        Change::MembersChanged { room, version },
        Change::AccountChanged(person),
    ];
    Ok(Commit(Moderated::Done, changes))
}

async fn update_role(
    database: &impl ConnectionTrait,
    room: RoomId,
    member: UserId,
    role: Role,
) -> Result<(), Fault> {
    let row = room_member::ActiveModel {
        room_id: Set(room),
        user_id: Set(member),
        role: Set(role),
        ..Default::default()
    };
    room_member::Entity::update(row).exec(database).await?;
    Ok(())
}

async fn name_of(database: &impl ConnectionTrait, person: UserId) -> Result<Option<String>, Fault> {
    let found = user::Entity::find_by_id(person).one(database).await?;
    Ok(found.map(|user| user.name))
}
