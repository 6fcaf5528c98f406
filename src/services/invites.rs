//! Invites: links that let people into a private room.
//!
//! A link has a random token, the database its SHA-256. A row that is there works until it expires; when
//! its last use is spent, it goes.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    Set,
};

use super::members::{self, Joined};
use super::{memberships, moderation, rooms};
use crate::core::{Core, Fault};
use crate::database::entities::{invite, room};
use crate::database::transaction::Decision::{Commit, RollBack};
use crate::domain::{InviteId, InviteLifetime, InviteUses, Role, RoomId, Timestamp, UserId};
use crate::live::rooms::Room;
use crate::security::tokens::{Token, TokenDigest};

/// How many links into a room may work at a time.
pub const MOST_LINKS: u64 = 50;

/// What became of a wish for a link.
#[derive(Debug)]
pub enum Created {
    /// It works. Nobody can be told its token a second time.
    Link(InviteId, Token),
    /// The room is public, and needs none.
    Public,
    /// As many work as may.
    TooMany,
    /// Who asked may not, or not any more.
    NotAllowed,
}

/// What became of taking a link back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It does not work, or did not before.
    Done,
    /// Who asked may not, or not any more.
    NotAllowed,
}

/// A link that works, for who may take it back.
#[derive(Debug)]
pub struct Invite {
    /// Names it; opens nothing.
    pub id: InviteId,
    /// From this moment on it does not work.
    pub expires_at: Timestamp,
    /// How many may still join by it; none is as many as like.
    pub uses_left: Option<i64>,
}

/// What whoever opens a link is told.
#[derive(Debug)]
pub struct Invitation {
    /// Where it leads.
    pub room: Arc<Room>,
    /// Whether they are in the room already.
    pub is_member: bool,
}

/// Makes a link into a private room. The owner and the moderators may.
///
/// # Errors
/// When the database fails.
pub async fn create(
    core: &Arc<Core>,
    room: RoomId,
    actor: UserId,
    life: InviteLifetime,
    uses: InviteUses,
) -> Result<Created, Fault> {
    let now = core.clock.now();
    let token = Token::random();
    core.change(async move |transaction| {
        let Some(found) = moderated(transaction, room, actor).await? else {
            return Ok(RollBack(Created::NotAllowed));
        };
        if !found.is_private {
            return Ok(RollBack(Created::Public));
        }
        let working = invite::Entity::find()
            .filter(invite::Column::RoomId.eq(room))
            .filter(works(now));
        if working.count(transaction).await? >= MOST_LINKS {
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

/// The links into a room that work, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(core: &Core, room: RoomId) -> Result<Vec<Invite>, Fault> {
    let rows = invite::Entity::find()
        .filter(invite::Column::RoomId.eq(room))
        .filter(works(core.clock.now()))
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

/// Takes a link into a room back. The owner and the moderators may.
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
        if moderated(transaction, room, actor).await?.is_none() {
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

/// Where a link leads, for `user` or somebody who is signed out. None: nowhere, or they are banned there.
///
/// # Errors
/// When the database fails.
pub async fn look(
    core: &Core,
    token: &Token,
    user: Option<UserId>,
) -> Result<Option<Invitation>, Fault> {
    let now = core.clock.now();
    let Some(invite) = by_digest(&core.database, token.digest(), now).await? else {
        return Ok(None);
    };
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
    Ok(Some(Invitation { room, is_member }))
}

/// Lets `user` into the room that a link leads to, and spends a use of the link. Who is in the room
/// spends none, nor does who finds it full.
///
/// # Errors
/// When the database fails.
pub async fn accept(core: &Arc<Core>, token: &Token, user: UserId) -> Result<Joined, Fault> {
    let digest = token.digest();
    let members_max = core.config.members_per_room;
    let now = core.clock.now();
    let joined = core.change(async move |transaction| {
        let Some(invite) = by_digest(transaction, digest, now).await? else {
            return Ok(RollBack(Joined::Refused));
        };
        let room = room::Entity::find_by_id(invite.room_id)
            .one(transaction)
            .await?;
        let ban = moderation::ban_reason(transaction, invite.room_id, user).await?;
        let Some(room) = room.filter(|room| room.is_private && ban.is_none()) else {
            return Ok(RollBack(Joined::Refused));
        };
        spend(transaction, &invite).await?;
        members::join(transaction, room, user, members_max, now).await
    });
    Ok(members::mark_read(core, user, joined.await?).await)
}

/// Deletes the links that have expired.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(core: &Core) -> Result<(), Fault> {
    invite::Entity::delete_many()
        .filter(invite::Column::ExpiresAt.lte(core.clock.now()))
        .exec(&core.database)
        .await?;
    Ok(())
}

/// Deletes all links into a room. Call it within the transaction that makes it public or changes its
/// password.
pub(super) async fn delete_all(database: &impl ConnectionTrait, room: RoomId) -> Result<(), Fault> {
    invite::Entity::delete_many()
        .filter(invite::Column::RoomId.eq(room))
        .exec(database)
        .await?;
    Ok(())
}

/// The room, if `actor` is its owner or one of its moderators.
async fn moderated(
    database: &impl ConnectionTrait,
    room: RoomId,
    actor: UserId,
) -> Result<Option<room::Model>, Fault> {
    let standing = memberships::find(database, room, actor).await?;
    Ok(standing
        .filter(|(_, role)| *role >= Role::Moderator)
        .map(|(room, _)| room))
}

/// The link with the token of this digest, if it works.
async fn by_digest(
    database: &impl ConnectionTrait,
    digest: TokenDigest,
    now: Timestamp,
) -> Result<Option<invite::Model>, Fault> {
    let found = invite::Entity::find()
        .filter(invite::Column::TokenDigest.eq(digest.to_hex()))
        .filter(works(now));
    Ok(found.one(database).await?)
}

fn works(now: Timestamp) -> Condition {
    let has_uses = Condition::any()
        .add(invite::Column::UsesLeft.is_null())
        .add(invite::Column::UsesLeft.gt(0));
    Condition::all()
        .add(invite::Column::ExpiresAt.gt(now))
        .add(has_uses)
}

async fn spend(database: &impl ConnectionTrait, invite: &invite::Model) -> Result<(), Fault> {
    match invite.uses_left {
        None => {}
        Some(..=1) => {
            invite::Entity::delete_by_id(invite.id)
                .exec(database)
                .await?;
        }
        Some(left) => {
            let row = invite::ActiveModel {
                id: Set(invite.id),
                uses_left: Set(Some(left - 1)),
                ..Default::default()
            };
            invite::Entity::update(row).exec(database).await?;
        }
    }
    Ok(())
}
