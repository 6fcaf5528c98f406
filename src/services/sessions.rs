//! Who is signed in with which browser.
//!
//! The browser holds a random key, the database its SHA-256, and memory the sessions in use.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Select, Set,
};

use crate::core::{Core, Fault};
use crate::database::entities::{session, user};
use crate::database::feed::Change;
use crate::database::transaction::Decision::Commit;
use crate::domain::{Browser, Timestamp, UserId};
use crate::live::sessions::LiveSession;
use crate::security::tokens::{Token, TokenDigest};

/// A session that was not used for so long has ended.
pub const IDLE_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// A session that was begun so long ago has ended.
pub const LONGEST_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// How far behind the database may be about when a session was last used.
const LAST_SEEN_LAG: Duration = Duration::from_secs(3600);
/// How many sessions a person may have.
const MOST_SESSIONS: usize = 20;
/// How much is kept of what a browser calls itself, in characters.
const USER_AGENT_LENGTH: usize = 300;
/// A session that is to begin, with a key that nobody has yet.
pub(super) struct PendingSession {
    key: Token,
    user_agent: String,
    now: Timestamp,
}

impl PendingSession {
    /// Makes the key of a session in a browser that calls itself `user_agent`.
    pub(super) fn new(core: &Core, user_agent: String) -> Self {
        Self {
            key: Token::random(),
            user_agent,
            now: core.clock.now(),
        }
    }

    /// Begins the session of `user`, within the transaction that decides that they may sign in. A person who has
    /// as many sessions as one may have loses the one that was used longest ago. Returns the key for the
    /// browser, and the sessions that end by this.
    pub(super) async fn activate(
        &self,
        core: &Core,
        transaction: &DatabaseTransaction,
        user: UserId,
    ) -> Result<(Token, Vec<Change>), Fault> {
        let ended = make_room(core, transaction, user, self.now).await?;
        let row = session::ActiveModel {
            key_digest: Set(self.key.digest().to_hex()),
            user_id: Set(user),
            created_at: Set(self.now),
            last_seen: Set(self.now),
            user_agent: Set(self.user_agent.chars().take(USER_AGENT_LENGTH).collect()),
        };
        session::Entity::insert(row)
            .exec_without_returning(transaction)
            .await?;
        let ended = ended.into_iter().map(Change::SessionEnded).collect();
        Ok((self.key.clone(), ended))
    }
}

/// Deletes as many of the sessions of `user` as it takes for one more, those used longest ago, and gives
/// what names them.
async fn make_room(
    core: &Core,
    transaction: &DatabaseTransaction,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<TokenDigest>, Fault> {
    let mut rows = session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .all(transaction)
        .await?;
    let excess = (rows.len() + 1).saturating_sub(MOST_SESSIONS);
    if excess == 0 {
        return Ok(Vec::new());
    }
    rows.sort_by_cached_key(|row| {
        let digest = TokenDigest::from_hex(&row.key_digest);
        let last_seen = last_seen(core, digest, row);
        // Those that have expired first: nobody misses them.
        let is_alive = !has_expired(row.created_at, last_seen, now);
        (is_alive, last_seen, row.created_at)
    });
    rows.truncate(excess);
    let keys = rows.iter().map(|row| row.key_digest.as_str());
    session::Entity::delete_many()
        .filter(session::Column::KeyDigest.is_in(keys))
        .exec(transaction)
        .await?;
    let digests = rows
        .iter()
        .map(|row| TokenDigest::from_hex(&row.key_digest));
    Ok(digests.flatten().collect())
}

/// When a session was last used. Memory knows of uses that the database is not told of yet.
fn last_seen(core: &Core, digest: Option<TokenDigest>, row: &session::Model) -> Timestamp {
    let live = digest.and_then(|digest| core.sessions.held(digest));
    live.map_or(row.last_seen, |live| live.last_seen())
}

/// The session that `key` belongs to, if it has not ended. Counts as using it.
///
/// # Errors
/// When the database fails.
pub async fn find(core: &Arc<Core>, key: &Token) -> Result<Option<Arc<LiveSession>>, Fault> {
    let digest = key.digest();
    let Some(live) = core
        .sessions
        .get(digest, async || read(core, digest).await)
        .await?
    else {
        return Ok(None);
    };
    let now = core.clock.now();
    if has_expired(live.created_at, live.last_seen(), now) {
        end(core, digest).await?;
        return Ok(None);
    }
    if live.has_ended() {
        return Ok(None);
    }
    mark_used(core, &live, now);
    Ok(Some(live))
}

/// Ends a session: its polls end, and its key is worth nothing.
///
/// # Errors
/// When the database fails.
pub async fn end(core: &Arc<Core>, digest: TokenDigest) -> Result<(), Fault> {
    core.change(async move |transaction| {
        session::Entity::delete_by_id(digest.to_hex())
            .exec(transaction)
            .await?;
        Ok(Commit((), vec![Change::SessionEnded(digest)]))
    })
    .await
}

/// Where a person is signed in.
#[derive(Debug)]
pub struct OwnSession {
    /// Names it.
    pub digest: TokenDigest,
    /// With which browser.
    pub browser: Browser,
    /// Since when.
    pub created_at: Timestamp,
    /// When the browser was last heard of, or up to an hour before.
    pub last_seen: Timestamp,
}

/// Where `user` is signed in, the latest first.
///
/// # Errors
/// When the database fails.
pub async fn list(core: &Core, user: UserId) -> Result<Vec<OwnSession>, Fault> {
    let now = core.clock.now();
    let rows = session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .order_by_desc(session::Column::CreatedAt)
        .order_by_asc(session::Column::KeyDigest)
        .all(&core.database)
        .await?;
    let listed = |row: session::Model| {
        let digest = TokenDigest::from_hex(&row.key_digest)?;
        let last_seen = last_seen(core, Some(digest), &row);
        let session = OwnSession {
            digest,
            browser: Browser::from_user_agent(&row.user_agent),
            created_at: row.created_at,
            last_seen,
        };
        (!has_expired(session.created_at, session.last_seen, now)).then_some(session)
    };
    Ok(rows.into_iter().filter_map(listed).collect())
}

/// Ends a session of `user`. One that is somebody else's, or is none, stays as it is, and nobody is
/// told which.
///
/// # Errors
/// When the database fails.
pub async fn end_of(core: &Arc<Core>, user: UserId, digest: TokenDigest) -> Result<(), Fault> {
    core.change(async move |transaction| {
        let ended = session::Entity::delete_many()
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::KeyDigest.eq(digest.to_hex()))
            .exec(transaction)
            .await?;
        let changes = (ended.rows_affected > 0).then_some(Change::SessionEnded(digest));
        Ok(Commit((), changes.into_iter().collect()))
    })
    .await
}

/// Ends all sessions of `user` but the one to keep.
///
/// # Errors
/// When the database fails.
pub async fn end_others(core: &Arc<Core>, user: UserId, keep: TokenDigest) -> Result<(), Fault> {
    core.change(async move |transaction| {
        let others = session::Entity::find()
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::KeyDigest.ne(keep.to_hex()));
        Ok(Commit((), delete(transaction, others).await?))
    })
    .await
}

/// Deletes all sessions of `user`. Returns the sessions that end by this.
pub(super) async fn delete_all(
    transaction: &DatabaseTransaction,
    user: UserId,
) -> Result<Vec<Change>, Fault> {
    let all = session::Entity::find().filter(session::Column::UserId.eq(user));
    delete(transaction, all).await
}

async fn delete(
    transaction: &DatabaseTransaction,
    sessions: Select<session::Entity>,
) -> Result<Vec<Change>, Fault> {
    let rows = sessions.all(transaction).await?;
    let keys = rows.iter().map(|row| row.key_digest.as_str());
    session::Entity::delete_many()
        .filter(session::Column::KeyDigest.is_in(keys))
        .exec(transaction)
        .await?;
    let digests = rows
        .iter()
        .filter_map(|row| TokenDigest::from_hex(&row.key_digest));
    Ok(digests.map(Change::SessionEnded).collect())
}

/// Deletes the sessions that have expired, of browsers that never came back.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(core: &Core) -> Result<(), Fault> {
    let now = core.clock.now();
    let expired = Condition::any()
        .add(session::Column::LastSeen.lte(now.minus(IDLE_LIFE).minus(LAST_SEEN_LAG)))
        .add(session::Column::CreatedAt.lte(now.minus(LONGEST_LIFE)));
    session::Entity::delete_many()
        .filter(expired)
        .exec(&core.database)
        .await?;
    Ok(())
}

fn has_expired(created_at: Timestamp, last_seen: Timestamp, now: Timestamp) -> bool {
    last_seen.plus(IDLE_LIFE) <= now || created_at.plus(LONGEST_LIFE) <= now
}

async fn read(core: &Core, digest: TokenDigest) -> Result<Option<LiveSession>, Fault> {
    let row = session::Entity::find_by_id(digest.to_hex())
        .find_also_related(user::Entity)
        .one(&core.database)
        .await?;
    let Some((session, Some(user))) = row else {
        return Ok(None);
    };
    Ok(Some(LiveSession::new(
        digest,
        (user.id, user.name),
        session.created_at,
        session.last_seen,
        core.stopping.child_token(),
    )))
}

/// Marks a session as used, in memory now, and in the database in the background once in a while.
fn mark_used(core: &Arc<Core>, live: &LiveSession, now: Timestamp) {
    if live.mark_used(now, now.minus(LAST_SEEN_LAG)) {
        let (core, digest) = (Arc::clone(core), live.digest);
        tokio::spawn(async move {
            let update = session::Entity::update_many()
                .col_expr(session::Column::LastSeen, Expr::value(now.0))
                .filter(session::Column::KeyDigest.eq(digest.to_hex()));
            if let Err(error) = update.exec(&core.database).await {
                // The next use after the lag tries again.
                tracing::warn!(%error, "could not save when a session was last used");
            }
        });
    }
}
