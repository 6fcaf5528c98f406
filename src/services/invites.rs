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
use super::rooms::{self, Room};
use super::tokens::{Token, TokenDigest};
use super::{Fault, moderation, to_the_end};
use crate::app::AppState;
use crate::database;
use crate::domain::{InviteId, InviteLife, InviteUses, Role, RoomId, Timestamp, UserId};
use crate::entities::{invite, room};

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
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    life: InviteLife,
    uses: InviteUses,
) -> Result<Created, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let Some(found) = moderated(&transaction, room, actor).await? else {
            return Ok(Created::NotAllowed);
        };
        if !found.is_private {
            return Ok(Created::Public);
        }
        let now = app.clock.now();
        let working = invite::Entity::find()
            .filter(invite::Column::RoomId.eq(room))
            .filter(works(now));
        if working.count(&transaction).await? >= MOST_LINKS {
            return Ok(Created::TooMany);
        }
        let token = Token::random();
        let row = invite::ActiveModel {
            token_digest: Set(token.digest().to_hex()),
            room_id: Set(room),
            created_at: Set(now),
            expires_at: Set(now.plus(life.span())),
            uses_left: Set(uses.count()),
            ..Default::default()
        };
        let inserted = invite::Entity::insert(row).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(Created::Link(inserted.last_insert_id, token))
    })
    .await
}

/// The links into a room that work, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(app: &AppState, room: RoomId) -> Result<Vec<Invite>, Fault> {
    let rows = invite::Entity::find()
        .filter(invite::Column::RoomId.eq(room))
        .filter(works(app.clock.now()))
        .order_by_desc(invite::Column::Id)
        .all(&app.database)
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
    app: &Arc<AppState>,
    room: RoomId,
    actor: UserId,
    invite: InviteId,
) -> Result<Revoked, Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        if moderated(&transaction, room, actor).await?.is_none() {
            return Ok(Revoked::NotAllowed);
        }
        invite::Entity::delete_by_id(invite)
            .filter(invite::Column::RoomId.eq(room))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(Revoked::Done)
    })
    .await
}

/// Where a link leads, for `user` or somebody who is signed out. None: nowhere, or they are banned there.
///
/// # Errors
/// When the database fails.
pub async fn look(
    app: &AppState,
    token: &Token,
    user: Option<UserId>,
) -> Result<Option<Invitation>, Fault> {
    let now = app.clock.now();
    let Some(invite) = by_digest(&app.database, token.digest(), now).await? else {
        return Ok(None);
    };
    let room = rooms::find(app, invite.room_id).await?;
    let Some(room) = room.filter(|room| room.is_private) else {
        return Ok(None);
    };
    if let Some(user) = user {
        let ban = moderation::ban_reason(&app.database, room.id, user).await?;
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
pub async fn accept(app: &Arc<AppState>, token: &Token, user: UserId) -> Result<Joined, Fault> {
    let (app, digest) = (Arc::clone(app), token.digest());
    to_the_end(async move {
        let transaction = database::write(&app.database).await?;
        let Some(invite) = by_digest(&transaction, digest, app.clock.now()).await? else {
            return Ok(Joined::Refused);
        };
        let room = room::Entity::find_by_id(invite.room_id)
            .one(&transaction)
            .await?;
        let ban = moderation::ban_reason(&transaction, invite.room_id, user).await?;
        let Some(room) = room.filter(|room| room.is_private && ban.is_none()) else {
            return Ok(Joined::Refused);
        };
        spend(&transaction, &invite).await?;
        members::join(&app, transaction, room, user).await
    })
    .await
}

/// Deletes the links that have expired.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(app: &AppState) -> Result<(), Fault> {
    invite::Entity::delete_many()
        .filter(invite::Column::ExpiresAt.lte(app.clock.now()))
        .exec(&app.database)
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
    let standing = rooms::standing(database, room, actor).await?;
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
