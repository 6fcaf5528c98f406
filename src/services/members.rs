//! Joining and leaving rooms.

use std::sync::Arc;

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, Set};

use super::{memberships, moderation, rooms};
use crate::core::{Core, Fault};
use crate::database::entities::{room, room_member};
use crate::database::feed::Change;
use crate::database::transaction::Decision::{self, Commit, RollBack};
use crate::domain::{PlainPassword, Requester, RoomId, RoomName, Timestamp, UserId};
use crate::live::messages::Ignored;

/// The outcome of joining a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// The person has become a member.
    Now(RoomId),
    /// The person was already a member.
    AlreadyMember(RoomId),
    /// The person is banned from this public room.
    Banned {
        /// The room's name.
        name: String,
        /// The reason for the ban.
        reason: String,
    },
    /// The room has the maximum number of members. The person may know its name.
    Full {
        /// The room's name.
        name: String,
    },
    /// The person may not join, or the room does not exist. The two cases look the same.
    Refused,
}

/// The outcome of leaving a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The person has left the room.
    Now,
    /// The person was not a member, or the room does not exist.
    NotAMember,
}

/// Makes `user` a member of a public room.
///
/// # Errors
/// When the database fails.
pub async fn join_public(core: &Arc<Core>, room: RoomId, user: UserId) -> Result<Joined, Fault> {
    let members_max = core.config.members_per_room;
    let now = core.clock.now();
    let joined = core.change(async move |transaction| {
        let found = room::Entity::find_by_id(room).one(transaction).await?;
        // These queries run whatever was found, so that the work does not tell a private room from one that
        // does not exist.
        let membership = room_member::Entity::find_by_id((room, user));
        let is_member = membership.one(transaction).await?.is_some();
        let ban = moderation::ban_reason(transaction, room, user).await?;
        match (found, ban) {
            // A member of a private room may know that it exists, so a Join button on an outdated page is
            // answered like any other.
            (Some(_), _) if is_member => Ok(RollBack(Joined::AlreadyMember(room))),
            (Some(found), Some(reason)) if !found.is_private => Ok(RollBack(Joined::Banned {
                name: found.name,
                reason,
            })),
            (Some(found), None) if !found.is_private => {
                join(transaction, found, user, members_max, now).await
            }
            _ => Ok(RollBack(Joined::Refused)),
        }
    });
    Ok(mark_read(core, user, joined.await?).await)
}

/// Makes `user` a member of the room with this name, if the password is right or the room is public.
///
/// An unknown name, an invalid name (`None`), a wrong password and a ban from a private room look the same
/// and take equally long.
///
/// # Errors
/// When the database or the password hashing fails.
pub async fn join_by_password(
    core: &Arc<Core>,
    name: Option<RoomName>,
    password: PlainPassword,
    user: UserId,
) -> Result<Joined, Fault> {
    loop {
        let attempt = try_password(core, name.as_ref(), password.clone(), user);
        if let Some(joined) = attempt.await? {
            return Ok(mark_read(core, user, joined).await);
        }
        // The stored hash has changed since it was verified. It may be a renewed hash of the same password, if
        // two people joined at once, so try again.
    }
}

/// Makes `user` a member of the room, as [`join_by_password`] does. Returns `None` if the password of the room has
/// changed while it was verified.
async fn try_password(
    core: &Arc<Core>,
    name: Option<&RoomName>,
    password: PlainPassword,
    user: UserId,
) -> Result<Option<Joined>, Fault> {
    let found = rooms::by_name(core, name).await?;
    // This query also runs without a room, so that it takes as long.
    let id = found.as_ref().map_or(RoomId(0), |room| room.id);
    let ban = moderation::ban_reason(&core.database, id, user).await?;
    // For a banned person, the right password must not take fewer hashes than a wrong one.
    let hash = found
        .as_ref()
        .filter(|_| ban.is_none())
        .and_then(|room| room.password_hash.as_deref());
    let requester = Requester::Person(user);
    let verified = core
        .passwords
        .verify(requester, password.clone(), hash)
        .await?;
    let renewed = match hash {
        Some(hash) => {
            core.passwords
                .renew(requester, password, hash, verified)
                .await?
        }
        None => None,
    };
    let found = match (found, ban) {
        (Some(found), Some(reason)) if !found.is_private => {
            let name = found.name;
            return Ok(Some(Joined::Banned { name, reason }));
        }
        (Some(found), None) if verified.is_right() || !found.is_private => found,
        _ => return Ok(Some(Joined::Refused)),
    };
    let members_max = core.config.members_per_room;
    let now = core.clock.now();
    core.change(async move |transaction| {
        // The room's password may have changed since it was verified.
        let current = room::Entity::find_by_id(found.id).one(transaction).await?;
        let ban = moderation::ban_reason(transaction, found.id, user).await?;
        let Some(current) = current.filter(|_| ban.is_none()) else {
            return Ok(RollBack(Some(Joined::Refused)));
        };
        if current.password_hash != found.password_hash {
            return Ok(RollBack(None));
        }
        if let Some(renewed) = &renewed {
            let row = room::ActiveModel {
                id: Set(current.id),
                password_hash: Set(Some(renewed.clone())),
                ..Default::default()
            };
            room::Entity::update(row).exec(transaction).await?;
        }
        let joined = join(transaction, current, user, members_max, now).await?;
        Ok(match joined {
            Commit(joined, changes) => Commit(Some(joined), changes),
            RollBack(joined) => RollBack(Some(joined)),
        })
    })
    .await
}

/// Ends the membership of `user`. If the owner leaves, another member becomes the owner; an empty room is
/// deleted.
///
/// # Errors
/// When the database fails.
pub async fn leave(core: &Arc<Core>, room: RoomId, user: UserId) -> Result<Left, Fault> {
    let rooms_max = Some(core.config.rooms_per_person);
    core.change(async move |transaction| {
        let membership = room_member::Entity::delete_by_id((room, user))
            .exec(transaction)
            .await?;
        let found = room::Entity::find_by_id(room).one(transaction).await?;
        let Some(found) = found.filter(|_| membership.rows_affected > 0) else {
            return Ok(RollBack(Left::NotAMember));
        };
        let change = memberships::settle_after_leaving(transaction, &found, rooms_max).await?;
        Ok(Commit(
            Left::Now,
            vec![change, Change::AccountChanged(user)],
        ))
    })
    .await
}

/// Makes `user` a member of `room`, if the room is not full, within a transaction that has decided that they
/// may join. If they do not become a member, everything else in the transaction is rolled back.
pub(super) async fn join(
    transaction: &DatabaseTransaction,
    room: room::Model,
    user: UserId,
    members_max: u64,
    now: Timestamp,
) -> Result<Decision<Joined>, Fault> {
    let is_new = memberships::insert(transaction, room.id, user, now).await?;
    if !is_new {
        return Ok(RollBack(Joined::AlreadyMember(room.id)));
    }
    let members = room_member::Entity::find().filter(room_member::Column::RoomId.eq(room.id));
    if members.count(transaction).await? > members_max {
        return Ok(RollBack(Joined::Full { name: room.name }));
    }
    let changes = vec![Change::MemberJoined(room.id), Change::AccountChanged(user)];
    Ok(Commit(Joined::Now(room.id), changes))
}

/// Marks the messages that a new member finds in the room as read: they are there to be read, but do not
/// count as new.
pub(super) async fn mark_read(core: &Core, user: UserId, joined: Joined) -> Joined {
    if let Joined::Now(room) = joined {
        let now = core.clock.site_time();
        let page = core.messages.page(room, None, &Ignored::NOBODY, now).await;
        // Without Redis, the messages are told as new, which does no harm.
        let latest = page.ok().and_then(|page| page.messages.last().cloned());
        if let Some(latest) = latest {
            let told = core.read_marks.mark_read(user, room, latest.id, now);
            core.outbox.written(told).await;
        }
    }
    joined
}
