//! Invite links, by which people join a private room.
//!
//! A link contains a random token; the database stores the token's SHA-256 digest. A link lets people in until it
//! expires or the last use is spent. Its row is kept until it expires, so that the link still leads the room's members,
//! whom it may have let in, to the room.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    Set,
};

use super::members::{self, Joined};
use super::memberships::{role_of, room_with_role};
use super::{moderation, rooms};
use crate::core::{Core, Fault};
use crate::database::entities::{invite, room};
use crate::database::transaction::Decision::{Commit, RollBack};
use crate::domain::{InviteId, InviteLifetime, InviteUses, Role, RoomId, Timestamp, UserId};
use crate::live::done_forms::{Made, Turn};
use crate::live::rooms::Room;
use crate::security::tokens::{Token, TokenDigest};

/// The maximum number of valid links per room.
pub const MAX_LINKS: u64 = 50;

/// The outcome of creating a link.
#[derive(Debug)]
pub enum Created {
    /// The link was created. Its token cannot be shown again.
    Link(InviteId, Token),
    /// The room is public, so it needs no links.
    Public,
    /// The room has the maximum number of valid links.
    TooMany,
    /// The actor does not have the right, or has lost it.
    NotAllowed,
}

/// The outcome of revoking a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The link does not work any more, if it ever did.
    Done,
    /// The actor does not have the right, or has lost it.
    NotAllowed,
}

/// A valid link, as shown to those who may revoke it.
#[derive(Debug)]
pub struct Invite {
    /// The link's id, which does not give access to the room.
    pub id: InviteId,
    /// When the link expires.
    pub expires_at: Timestamp,
    /// How many more people may join with the link; `None` is unlimited.
    pub uses_left: Option<i64>,
}

/// The information shown to a person who opens a link.
#[derive(Debug)]
pub struct Invitation {
    /// The room that the link leads to.
    pub room: Arc<Room>,
    /// Whether the person is a member already.
    pub is_member: bool,
}

/// Creates a link into a private room. The owner and the moderators may do this. A form that created the link in an
/// earlier `turn` and says the same creates no other while the link has not been revoked.
///
/// # Errors
/// When the database fails.
pub async fn create(
    core: &Arc<Core>,
    turn: &Arc<Turn>,
    room: RoomId,
    actor: UserId,
    (life, uses): (InviteLifetime, InviteUses),
) -> Result<Created, Fault> {
    let now = core.clock.now();
    let token = Token::random();
    let earlier = match turn.made() {
        Some(Made::Invite { id, token, choice }) if choice == (life, uses) => Some((id, token)),
        _ => None,
    };
    let made = move |created: &Created| match created {
        Created::Link(id, token) => Some(Made::Invite {
            id: *id,
            token: token.clone(),
            choice: (life, uses),
        }),
        Created::Public | Created::TooMany | Created::NotAllowed => None,
    };
    core.change_by_form(turn, made, async move |transaction| {
        let moderated = room_with_role(transaction, room, actor, Role::Moderator).await?;
        let Some(found) = moderated else {
            return Ok(RollBack(Created::NotAllowed));
        };
        if !found.is_private {
            return Ok(RollBack(Created::Public));
        }
        if let Some((id, token)) = &earlier {
            let link = invite::Entity::find_by_id(*id).filter(invite::Column::RoomId.eq(room));
            if link.one(transaction).await?.is_some() {
                return Ok(RollBack(Created::Link(*id, token.clone())));
            }
        }
        let valid = invite::Entity::find()
            .filter(invite::Column::RoomId.eq(room))
            .filter(is_valid(now));
        if valid.count(transaction).await? >= MAX_LINKS {
            return Ok(RollBack(Created::TooMany));
        }
        let row = invite::ActiveModel {
            token_digest: Set(token.digest().to_hex()),
            room_id: Set(room),
            created_at: Set(now),
            expires_at: Set(now.plus(life.duration())),
            uses_left: Set(uses.limit()),
            ..Default::default()
        };
        let inserted = invite::Entity::insert(row).exec(transaction).await?;
        let created = Created::Link(inserted.last_insert_id, token.clone());
        Ok(Commit(created, Vec::new()))
    })
    .await
}

/// Returns the valid links into a room, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(core: &Core, room: RoomId) -> Result<Vec<Invite>, Fault> {
    let rows = invite::Entity::find()
        .filter(invite::Column::RoomId.eq(room))
        .filter(is_valid(core.clock.now()))
        .order_by_desc(invite::Column::Id)
        .all(&core.database)
        .await?;
    let invite = |row: invite::Model| Invite {
        id: row.id,
        expires_at: row.expires_at,
        uses_left: row.uses_left,
    };
    Ok(rows.into_iter().map(invite).collect())
}

/// Revokes a link into a room. The owner and the moderators may do this.
///
/// # Errors
/// When the database fails.
pub async fn revoke(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    invite: InviteId,
) -> Result<Revoked, Fault> {
    core.change(async move |transaction| {
        let moderated = room_with_role(transaction, room, actor, Role::Moderator).await?;
        if moderated.is_none() {
            return Ok(RollBack(Revoked::NotAllowed));
        }
        invite::Entity::delete_by_id(invite)
            .filter(invite::Column::RoomId.eq(room))
            .exec(transaction)
            .await?;
        Ok(Commit(Revoked::Done, Vec::new()))
    })
    .await
}

/// Returns the room that a link leads to, for `user` or a signed-out person. `None` if the link is not valid,
/// or `user` is banned from the room. For members, a link is valid until it expires.
///
/// # Errors
/// When the database fails.
pub async fn preview(
    core: &Core,
    token: &Token,
    user: Option<UserId>,
) -> Result<Option<Invitation>, Fault> {
    let now = core.clock.now();
    let Some(invite) = find_by_digest(&core.database, token.digest(), now).await? else {
        return Ok(None);
    };
    let is_used_up = invite.uses_left == Some(0);
    let room = rooms::find(core, invite.room_id).await?;
    let Some(room) = room.filter(|room| room.is_private) else {
        return Ok(None);
    };
    if let Some(user) = user {
        let ban = moderation::ban_reason(&core.database, room.id, user).await?;
        if ban.is_some() {
            return Ok(None);
        }
    }
    let is_member = user.is_some_and(|user| room.role_of(user).is_some());
    Ok((is_member || !is_used_up).then_some(Invitation { room, is_member }))
}

/// Makes `user` a member of the room that a link leads to, and spends one use of the link. No use is spent if
/// the person is a member already or the room is full.
///
/// A form that made them a member in an earlier `turn` leads to the same outcome while they are one.
///
/// # Errors
/// When the database fails.
pub async fn accept(
    core: &Arc<Core>,
    turn: &Arc<Turn>,
    token: &Token,
    user: UserId,
) -> Result<Joined, Fault> {
    let digest = token.digest();
    let members_max = core.config.members_per_room;
    let now = core.clock.now();
    let earlier = turn.made();
    let made = |joined: &Joined| match joined {
        Joined::Now(room) => Some(Made::Membership(*room)),
        _ => None,
    };
    let joined = core.change_by_form(turn, made, async move |transaction| {
        let Some(invite) = find_by_digest(transaction, digest, now).await? else {
            return Ok(RollBack(Joined::Refused));
        };
        let room = room::Entity::find_by_id(invite.room_id)
            .one(transaction)
            .await?;
        let ban = moderation::ban_reason(transaction, invite.room_id, user).await?;
        let Some(room) = room.filter(|room| room.is_private && ban.is_none()) else {
            return Ok(RollBack(Joined::Refused));
        };
        if invite.uses_left == Some(0) && role_of(transaction, room.id, user).await?.is_none() {
            return Ok(RollBack(Joined::Refused));
        }
        spend(transaction, &invite).await?;
        members::join(transaction, room, user, members_max, now).await
    });
    let joined = members::mark_read(core, user, joined.await?).await;
    Ok(match joined {
        Joined::AlreadyMember(room) if earlier == Some(Made::Membership(room)) => Joined::Now(room),
        joined => joined,
    })
}

/// Deletes the expired links.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(core: &Core) -> Result<(), Fault> {
    invite::Entity::delete_many()
        .filter(invite::Column::ExpiresAt.lte(core.clock.now()))
        .exec(&core.writer)
        .await?;
    Ok(())
}

/// Deletes all links into a room. Call this within the transaction that makes the room public or removes its
/// other members.
pub(super) async fn delete_all(database: &impl ConnectionTrait, room: RoomId) -> Result<(), Fault> {
    invite::Entity::delete_many()
        .filter(invite::Column::RoomId.eq(room))
        .exec(database)
        .await?;
    Ok(())
}

/// Returns the link whose token has this digest, if the link has not expired. All its uses may be spent.
async fn find_by_digest(
    database: &impl ConnectionTrait,
    digest: TokenDigest,
    now: Timestamp,
) -> Result<Option<invite::Model>, Fault> {
    let found = invite::Entity::find()
        .filter(invite::Column::TokenDigest.eq(digest.to_hex()))
        .filter(invite::Column::ExpiresAt.gt(now));
    Ok(found.one(database).await?)
}

fn is_valid(now: Timestamp) -> Condition {
    let has_uses = Condition::any()
        .add(invite::Column::UsesLeft.is_null())
        .add(invite::Column::UsesLeft.gt(0));
    Condition::all()
        .add(invite::Column::ExpiresAt.gt(now))
        .add(has_uses)
}

async fn spend(database: &impl ConnectionTrait, invite: &invite::Model) -> Result<(), Fault> {
    if let Some(left) = invite.uses_left {
        let row = invite::ActiveModel {
            id: Set(invite.id),
            uses_left: Set(Some(left - 1)),
            ..Default::default()
        };
        invite::Entity::update(row).exec(database).await?;
    }
    Ok(())
}
