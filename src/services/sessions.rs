//! Sessions: which browsers are signed in, and as whom.
//!
//! The browser holds a random key, the database its SHA-256 digest, and memory the sessions in use.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set,
};

use crate::core::{Core, Fault};
use crate::database::entities::{session, user};
use crate::database::feed::Change;
use crate::database::transaction::Decision::Commit;
use crate::domain::{Browser, ClientAddress, Timestamp, UserId};
use crate::live::sessions::LiveSession;
use crate::security::tokens::{Token, TokenDigest};

/// A session expires when it has not been used for this long.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 86_400);
/// A session expires this long after it began, however often it is used.
const ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(365 * 86_400);
/// How far the stored time of a session's last use may be behind.
const LAST_SEEN_LAG: Duration = Duration::from_secs(3600);
/// The maximum number of sessions per person.
const MAX_SESSIONS: usize = 20;
/// The maximum length of a stored `User-Agent` header, in characters.
const MAX_USER_AGENT_CHARS: usize = 300;

/// A browser in which somebody signs in.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address, as rate limits count it.
    pub address: ClientAddress,
    /// Its `User-Agent` header.
    pub user_agent: String,
    /// The key of the session that it had before. That session ends, as nobody could end it otherwise.
    pub previous_key: Option<Token>,
}

/// A session that has not begun yet, with a new key.
pub(super) struct PendingSession {
    core: Arc<Core>,
    key: Token,
    client: Client,
    now: Timestamp,
}

impl PendingSession {
    /// Makes the key of a session for `client`.
    pub(super) fn new(core: &Arc<Core>, client: Client) -> Self {
        Self {
            core: Arc::clone(core),
            key: Token::random(),
            client,
            now: core.clock.now(),
        }
    }

    /// Begins the session for `user`, within the transaction that decides that they may sign in. Evicts the
    /// person's least recently used sessions if there are too many. Returns the key for the browser, and the
    /// sessions that end; or `None`, and does nothing, if the account is suspended.
    pub(super) async fn activate(
        &self,
        transaction: &DatabaseTransaction,
        user: UserId,
    ) -> Result<Option<(Token, Vec<Change>)>, Fault> {
        let row = user::Entity::find_by_id(user).one(transaction).await?;
        if row.is_none_or(|row| row.suspended_at.is_some()) {
            return Ok(None);
        }
        let mut ended = Vec::new();
        if let Some(previous) = &self.client.previous_key {
            // Before the eviction, so that this session does not take the place of another.
            ended.push(delete_previous(transaction, previous).await?);
        }
        ended.extend(evict_oldest(&self.core, transaction, user, self.now).await?);
        let row = session::ActiveModel {
            key_digest: Set(self.key.digest().to_hex()),
            user_id: Set(user),
            created_at: Set(self.now),
            last_seen: Set(self.now),
            user_agent: Set(self.stored_user_agent()),
        };
        session::Entity::insert(row)
            .exec_without_returning(transaction)
            .await?;
        Ok(Some((self.key.clone(), ended)))
    }

    /// Takes part in the session with `key` instead of beginning one, if that is a session of `user` which this
    /// browser began and which has not ended. Returns the sessions that end: the one that the browser had before,
    /// if that is another.
    pub(super) async fn rejoin(
        &self,
        transaction: &DatabaseTransaction,
        user: UserId,
        key: &Token,
    ) -> Result<Option<Vec<Change>>, Fault> {
        let begun = session::Entity::find_by_id(key.digest().to_hex())
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::UserAgent.eq(self.stored_user_agent()))
            .one(transaction)
            .await?;
        let is_alive = begun.is_some_and(|row| {
            let last_seen = last_seen(&self.core, Some(key.digest()), &row);
            !has_expired(row.created_at, last_seen, self.now)
        });
        if !is_alive {
            return Ok(None);
        }
        let previous = self.client.previous_key.as_ref();
        match previous.filter(|previous| *previous != key) {
            None => Ok(Some(Vec::new())),
            Some(previous) => Ok(Some(vec![delete_previous(transaction, previous).await?])),
        }
    }

    fn stored_user_agent(&self) -> String {
        let user_agent = self.client.user_agent.chars();
        user_agent.take(MAX_USER_AGENT_CHARS).collect()
    }
}

/// Deletes the session that a browser had before, in the transaction that signs the browser in: what is committed is
/// answered as done. Returns the session that ends.
async fn delete_previous(
    transaction: &DatabaseTransaction,
    previous: &Token,
) -> Result<Change, Fault> {
    delete_one(transaction, previous.digest()).await
}

/// Deletes a session, if it exists. Returns the session that ends.
async fn delete_one(
    transaction: &DatabaseTransaction,
    session: TokenDigest,
) -> Result<Change, Fault> {
    let row = session::Entity::find_by_id(session.to_hex());
    let row = row.one(transaction).await?;
    session::Entity::delete_by_id(session.to_hex())
        .exec(transaction)
        .await?;
    let user = row.map(|row| row.user_id);
    Ok(Change::SessionEnded { session, user })
}

/// Deletes the least recently used sessions of `user`, so that one more fits within the maximum. Returns the
/// sessions that end.
async fn evict_oldest(
    core: &Core,
    transaction: &DatabaseTransaction,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<Change>, Fault> {
    let mut rows = session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .all(transaction)
        .await?;
    let excess = (rows.len() + 1).saturating_sub(MAX_SESSIONS);
    if excess == 0 {
        return Ok(Vec::new());
    }
    rows.sort_by_cached_key(|row| {
        let digest = TokenDigest::from_hex(&row.key_digest);
        let last_seen = last_seen(core, digest, row);
        // Expired sessions go first.
        let is_alive = !has_expired(row.created_at, last_seen, now);
        (is_alive, last_seen, row.created_at)
    });
    rows.truncate(excess);
    delete(transaction, &rows).await
}

/// Returns when a session was last used. Memory can be ahead of the database, but is not looked at where several processes
/// serve the site: each has its own, and the answer would depend on which is asked.
fn last_seen(core: &Core, digest: Option<TokenDigest>, row: &session::Model) -> Timestamp {
    if core.redis.is_some() {
        return row.last_seen;
    }
    let live = digest.and_then(|digest| core.sessions.peek(digest));
    live.map_or(row.last_seen, |live| live.last_seen())
}

/// Returns the session that `key` belongs to, if the session is held in memory and has not ended, and marks it as
/// used.
#[must_use]
pub fn find_in_use(core: &Arc<Core>, key: &Token) -> Option<Arc<LiveSession>> {
    let live = core.sessions.held(key.digest())?;
    let now = core.clock.now();
    if live.has_ended() || has_expired(live.created_at, live.last_seen(), now) {
        return None;
    }
    mark_used(core, &live, now);
    Some(live)
}

/// Returns whether this process would be told of the end of this session.
pub fn is_held(core: &Core, session: &LiveSession) -> bool {
    let held = core.sessions.peek(session.digest);
    held.is_some_and(|held| std::ptr::eq(Arc::as_ptr(&held), session))
}

/// Returns the session that `key` belongs to, if the session has not ended, and marks it as used.
///
/// # Errors
/// When the database fails.
pub async fn find(core: &Arc<Core>, key: &Token) -> Result<Option<Arc<LiveSession>>, Fault> {
    core.check_link()?;
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
        note_use_elsewhere(core, &live).await?;
        if has_expired(live.created_at, live.last_seen(), now) {
            end(core, digest).await?;
            return Ok(None);
        }
    }
    if live.has_ended() {
        return Ok(None);
    }
    mark_used(core, &live, now);
    Ok(Some(live))
}

/// Notes in memory the last use that the database knows of: the session may have been used at another process.
async fn note_use_elsewhere(core: &Core, live: &LiveSession) -> Result<(), Fault> {
    let row = session::Entity::find_by_id(live.digest.to_hex());
    if let Some(row) = row.one(&core.database).await? {
        live.note_stored_use(row.last_seen);
    }
    Ok(())
}

/// Ends a session. Its waiting polls end, and its key stops working.
///
/// # Errors
/// When the database fails.
pub async fn end(core: &Arc<Core>, digest: TokenDigest) -> Result<(), Fault> {
    core.change(async move |transaction| {
        let ended = delete_one(transaction, digest).await?;
        Ok(Commit((), vec![ended]))
    })
    .await
}

/// One of a person's sessions, as shown to that person.
#[derive(Debug)]
pub struct OwnSession {
    /// The digest of the session's key.
    pub digest: TokenDigest,
    /// The browser.
    pub browser: Browser,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When the session was last used. This can be up to an hour behind.
    pub last_seen: Timestamp,
}

/// Returns the sessions of the person of `current` that have not expired, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(core: &Core, current: &LiveSession) -> Result<Vec<OwnSession>, Fault> {
    let now = core.clock.now();
    let rows = session::Entity::find()
        .filter(session::Column::UserId.eq(current.user_id))
        .order_by_desc(session::Column::CreatedAt)
        .order_by_asc(session::Column::KeyDigest)
        .all(&core.database)
        .await?;
    let listed = |row: session::Model| {
        let digest = TokenDigest::from_hex(&row.key_digest)?;
        let last_seen = if digest == current.digest {
            current.last_seen()
        } else {
            last_seen(core, Some(digest), &row)
        };
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

/// Ends a session of `user`. Does nothing if the session does not exist or belongs to somebody else; the
/// caller cannot tell which.
///
/// # Errors
/// When the database fails.
pub async fn end_own(core: &Arc<Core>, user: UserId, digest: TokenDigest) -> Result<(), Fault> {
    core.change(async move |transaction| {
        let ended = session::Entity::delete_many()
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::KeyDigest.eq(digest.to_hex()))
            .exec(transaction)
            .await?;
        let changes = (ended.rows_affected > 0).then_some(Change::SessionEnded {
            session: digest,
            user: Some(user),
        });
        Ok(Commit((), changes.into_iter().collect()))
    })
    .await
}

/// Ends all sessions of `user` except `keep`.
///
/// # Errors
/// When the database fails.
pub async fn end_others(core: &Arc<Core>, user: UserId, keep: TokenDigest) -> Result<(), Fault> {
    core.change(async move |transaction| {
        let others = session::Entity::find()
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::KeyDigest.ne(keep.to_hex()))
            .all(transaction)
            .await?;
        Ok(Commit((), delete(transaction, &others).await?))
    })
    .await
}

/// Deletes all sessions of `user`. Returns the sessions that end.
pub(super) async fn delete_all(
    transaction: &DatabaseTransaction,
    user: UserId,
) -> Result<Vec<Change>, Fault> {
    let all = session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .all(transaction)
        .await?;
    delete(transaction, &all).await
}

async fn delete(
    transaction: &DatabaseTransaction,
    rows: &[session::Model],
) -> Result<Vec<Change>, Fault> {
    let keys = rows.iter().map(|row| row.key_digest.as_str());
    session::Entity::delete_many()
        .filter(session::Column::KeyDigest.is_in(keys))
        .exec(transaction)
        .await?;
    let ended = rows.iter().filter_map(|row| {
        Some(Change::SessionEnded {
            session: TokenDigest::from_hex(&row.key_digest)?,
            user: Some(row.user_id),
        })
    });
    Ok(ended.collect())
}

/// Deletes the expired sessions of browsers that never came back.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(core: &Core) -> Result<(), Fault> {
    let now = core.clock.now();
    session::Entity::delete_many()
        .filter(is_valid(now.minus(LAST_SEEN_LAG)).not())
        .exec(&core.writer)
        .await?;
    Ok(())
}

/// Selects the sessions that have not expired, as far as their rows tell.
pub(super) fn is_valid(now: Timestamp) -> Condition {
    Condition::all()
        .add(session::Column::LastSeen.gt(now.minus(IDLE_TIMEOUT)))
        .add(session::Column::CreatedAt.gt(now.minus(ABSOLUTE_TIMEOUT)))
}

fn has_expired(created_at: Timestamp, last_seen: Timestamp, now: Timestamp) -> bool {
    last_seen.plus(IDLE_TIMEOUT) <= now || created_at.plus(ABSOLUTE_TIMEOUT) <= now
}

/// Returns whether a session has not ended according to the database. For when changes of other processes are not
/// heard of.
pub(super) async fn exists(core: &Core, digest: TokenDigest) -> Result<bool, Fault> {
    let row = session::Entity::find_by_id(digest.to_hex());
    Ok(row.one(&core.database).await?.is_some())
}

async fn read(core: &Core, digest: TokenDigest) -> Result<Option<LiveSession>, Fault> {
    let row = session::Entity::find_by_id(digest.to_hex())
        .find_also_related(user::Entity)
        .one(&core.database)
        .await?;
    let Some((session, Some(user))) = row else {
        return Ok(None);
    };
    // A suspension ends all sessions in its transaction, so there is none to find. Should one be left, it gives no right.
    if user.suspended_at.is_some() {
        return Ok(None);
    }
    Ok(Some(LiveSession::new(
        digest,
        (user.id, user.name, user.is_operator),
        session.created_at,
        session.last_seen,
        core.stopping.child_token(),
    )))
}

/// Marks a session as used: in memory at once, and in the database in the background, at most once per
/// [`LAST_SEEN_LAG`].
fn mark_used(core: &Arc<Core>, live: &LiveSession, now: Timestamp) {
    if live.mark_used(now, now.minus(LAST_SEEN_LAG)) {
        let (core, digest) = (Arc::clone(core), live.digest);
        tokio::spawn(async move {
            let update = session::Entity::update_many()
                .col_expr(session::Column::LastSeen, Expr::value(now.0))
                .filter(session::Column::KeyDigest.eq(digest.to_hex()));
            if let Err(error) = update.exec(&core.writer).await {
                // The next use after the lag tries again.
                tracing::warn!(%error, "failed to update when a session was last used");
            }
        });
    }
}
