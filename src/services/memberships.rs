//! Rows of rooms and memberships, within a transaction, as several services need them.

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Set, TryInsertResult,
};

use crate::core::Fault;
use crate::database::count::count_by;
use crate::database::entities::{room, room_member};
use crate::database::feed::Change;
use crate::domain::{Role, RoomId, Timestamp, UserId};

/// Makes `user` a member of `room`. Returns whether the membership is new.
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
        role: Set(Role::Member),
    };
    let inserted = room_member::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(database)
        .await?;
    Ok(matches!(inserted, TryInsertResult::Inserted(1..)))
}

/// Returns a room and the role of `user` there, if they are a member, from the database: the rows in memory
/// may be outdated when a change is made.
pub(super) async fn find(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<Option<(room::Model, Role)>, Fault> {
    let membership = room_member::Entity::find_by_id((room, user));
    let Some(membership) = membership.one(database).await? else {
        return Ok(None);
    };
    let found = room::Entity::find_by_id(room).one(database).await?;
    Ok(found.map(|found| {
        let role = role_in(&found, user, membership.role);
        (found, role)
    }))
}

/// Returns the room from the database, if the role of `user` there is `least` or a greater one.
pub(super) async fn room_with_role(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
    least: Role,
) -> Result<Option<room::Model>, Fault> {
    let found = find(database, room, user).await?;
    Ok(found
        .filter(|(_, role)| *role >= least)
        .map(|(room, _)| room))
}

/// Returns the role of `user` in `room` from the database, if they are a member.
pub(super) async fn role_of(
    database: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<Option<Role>, Fault> {
    Ok(find(database, room, user).await?.map(|(_, role)| role))
}

/// Returns the role of a member whose membership row says `stored`.
pub(super) fn role_in(room: &room::Model, member: UserId, stored: Role) -> Role {
    match stored {
        _ if room.owner_id == member => Role::Owner,
        Role::Moderator => Role::Moderator,
        // Only the room's row makes an owner.
        Role::Member | Role::Owner => Role::Member,
    }
}

/// Sets the owner of a room.
pub(super) async fn set_owner(
    database: &impl ConnectionTrait,
    room: RoomId,
    owner: UserId,
) -> Result<(), Fault> {
    let row = room::ActiveModel {
        id: Set(room),
        owner_id: Set(owner),
        ..Default::default()
    };
    room::Entity::update(row).exec(database).await?;
    Ok(())
}

/// Increments the version of a room and returns it. Call this within each transaction that takes a right away
/// or changes the rules for new messages.
pub(super) async fn next_version(
    database: &impl ConnectionTrait,
    room: RoomId,
) -> Result<i64, Fault> {
    let version = room::Column::Version;
    room::Entity::update_many()
        .col_expr(version, Expr::col(version).add(1))
        .filter(room::Column::Id.eq(room))
        .exec(database)
        .await?;
    let row: Option<i64> = room::Entity::find_by_id(room)
        .select_only()
        .column(version)
        .into_tuple()
        .one(database)
        .await?;
    row.ok_or_else(|| Fault::Bug("a room without a row was given a version".into()))
}

/// Restores the ownership of a room that a member has left, within the same transaction. If the owner is no
/// longer a member, the successor becomes the owner. An empty room is deleted. Returns the change to publish.
///
/// `rooms_max` is the maximum number of rooms that a person can own; `None` is unlimited, as for the operator's
/// commands, which have no such setting.
pub(super) async fn settle_after_leaving(
    database: &impl ConnectionTrait,
    left: &room::Model,
    rooms_max: Option<u64>,
) -> Result<Change, Fault> {
    let room = left.id;
    if find(database, room, left.owner_id).await?.is_none() {
        let Some(successor) = successor(database, room, rooms_max).await? else {
            room::Entity::delete_by_id(room).exec(database).await?;
            return Ok(Change::RoomDeleted(room));
        };
        set_owner(database, room, successor).await?;
    }
    let version = next_version(database, room).await?;
    Ok(Change::MembersChanged { room, version })
}

/// Returns the next owner of a room: the longest-standing moderator, or else the longest-standing member. Passes
/// over those who own `rooms_max` rooms already, unless all members do. Returns `None` for an empty room.
async fn successor(
    database: &impl ConnectionTrait,
    room: RoomId,
    rooms_max: Option<u64>,
) -> Result<Option<UserId>, Fault> {
    let members = room_member::Entity::find()
        .select_only()
        .column(room_member::Column::UserId)
        .filter(room_member::Column::RoomId.eq(room));
    let is_moderator = room_member::Column::Role.eq(Role::Moderator);
    let in_line: Vec<UserId> = members
        .clone()
        .order_by_desc(is_moderator)
        .order_by_asc(room_member::Column::JoinedAt)
        .order_by_asc(room_member::Column::UserId)
        .into_tuple()
        .all(database)
        .await?;
    let first = in_line.first().copied();
    let Some(rooms_max) = rooms_max else {
        return Ok(first);
    };
    let owned_rooms =
        room::Entity::find().filter(room::Column::OwnerId.in_subquery(members.into_query()));
    let owned: HashMap<UserId, u64> =
        count_by(database, owned_rooms, room::Column::OwnerId).await?;
    let below_limit = in_line
        .into_iter()
        .find(|member| owned.get(member).is_none_or(|rooms| *rooms < rooms_max));
    Ok(below_limit.or(first))
}
