//! Who is signed in with which browser.
//!
//! The browser holds a random key, the database its SHA-256, and memory the sessions in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use tokio_util::sync::CancellationToken;

use super::tokens::{Token, TokenDigest};
use super::{Cache, Fault, to_the_end};
use crate::app::AppState;
use crate::domain::{Browser, Timestamp, UserId};
use crate::entities::{session, user};

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
/// How many of a session's polls may wait at a time: browsers open six connections to a host over
/// HTTP/1.1, and the pages of the site need some.
const WAITING_POLLS: usize = 4;

/// A session in use.
#[derive(Debug)]
pub struct LiveSession {
    /// Names it.
    pub digest: TokenDigest,
    /// Who is signed in.
    pub user_id: UserId,
    /// That person's name.
    pub user_name: Arc<str>,
    created_at: Timestamp,
    last_seen: AtomicI64,
    last_seen_in_database: AtomicI64,
    /// Cancelled when the session or the server ends.
    ended: CancellationToken,
    waiting: Arc<AtomicUsize>,
}

impl LiveSession {
    /// Returns when the session or the server ends.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether the session or the server has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Takes one of the session's places to wait in, if one is free.
    #[must_use]
    pub fn waiting_place(&self) -> Option<WaitingPlace> {
        let taken = self.waiting.fetch_add(1, Ordering::SeqCst);
        let place = WaitingPlace(Arc::clone(&self.waiting));
        (taken < WAITING_POLLS).then_some(place)
    }

    /// Ends the session in memory; its row is gone, or goes.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        has_expired(self.created_at, self.last_seen(), now)
    }

    fn last_seen(&self) -> Timestamp {
        Timestamp(self.last_seen.load(Ordering::Relaxed))
    }
}

/// A place to wait in, free again when this is dropped.
#[derive(Debug)]
pub struct WaitingPlace(Arc<AtomicUsize>);

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The sessions in use, held in memory.
pub type LiveSessions = Cache<TokenDigest, LiveSession>;

/// A session whose row is there, in a transaction that is to be committed.
#[must_use = "the sessions that end for it go on in memory until it is settled"]
pub(super) struct Begun {
    key: Token,
    ended: Vec<TokenDigest>,
}

impl Begun {
    /// Gives the key for the browser. Call it after the commit: what has ended in the database ends in
    /// memory.
    pub(super) fn settle(self, app: &AppState) -> Token {
        for digest in self.ended {
            if let Some(live) = app.sessions.forget(digest) {
                live.end();
            }
        }
        self.key
    }
}

/// Begins a session of `user`; where they have as many as one may, the one used longest ago ends. Call it
/// within the transaction that decides that they may sign in, and [`Begun::settle`] after its commit.
pub(super) async fn begin(
    app: &AppState,
    database: &impl ConnectionTrait,
    user: UserId,
    user_agent: &str,
) -> Result<Begun, Fault> {
    let now = app.clock.now();
    let ended = make_room(app, database, user, now).await?;
    let key = Token::random();
    let row = session::ActiveModel {
        key_digest: Set(key.digest().to_hex()),
        user_id: Set(user),
        created_at: Set(now),
        last_seen: Set(now),
        user_agent: Set(user_agent.chars().take(USER_AGENT_LENGTH).collect()),
    };
    session::Entity::insert(row)
        .exec_without_returning(database)
        .await?;
    Ok(Begun { key, ended })
}

/// Deletes as many of the sessions of `user` as it takes for one more, those used longest ago, and gives
/// what names them.
async fn make_room(
    app: &AppState,
    database: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<TokenDigest>, Fault> {
    let mut rows = session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .all(database)
        .await?;
    let excess = (rows.len() + 1).saturating_sub(MOST_SESSIONS);
    if excess == 0 {
        return Ok(Vec::new());
    }
    rows.sort_by_cached_key(|row| {
        let digest = TokenDigest::from_hex(&row.key_digest);
        let last_seen = last_seen(app, digest, row);
        // Those that have expired first: nobody misses them.
        let is_alive = !has_expired(row.created_at, last_seen, now);
        (is_alive, last_seen, row.created_at)
    });
    rows.truncate(excess);
    let keys = rows.iter().map(|row| row.key_digest.as_str());
    session::Entity::delete_many()
        .filter(session::Column::KeyDigest.is_in(keys))
        .exec(database)
        .await?;
    let digests = rows
        .iter()
        .map(|row| TokenDigest::from_hex(&row.key_digest));
    Ok(digests.flatten().collect())
}

/// When a session was last used. Memory knows of uses that the database is not told of yet.
fn last_seen(app: &AppState, digest: Option<TokenDigest>, row: &session::Model) -> Timestamp {
    let live = digest.and_then(|digest| app.sessions.held(digest));
    live.map_or(row.last_seen, |live| live.last_seen())
}

/// The session that `key` belongs to, if it has not ended. Counts as using it.
///
/// # Errors
/// When the database fails.
pub async fn find(app: &Arc<AppState>, key: &Token) -> Result<Option<Arc<LiveSession>>, Fault> {
    let digest = key.digest();
    let Some(live) = app
        .sessions
        .get(digest, async || read(app, digest).await)
        .await?
    else {
        return Ok(None);
    };
    let now = app.clock.now();
    if live.has_expired(now) {
        end(app, digest).await?;
        return Ok(None);
    }
    if live.has_ended() && !app.stopping.is_cancelled() {
        return Ok(None);
    }
    note_use(app, &live, now);
    Ok(Some(live))
}

/// Ends a session: its polls end, and its key is worth nothing.
///
/// # Errors
/// When the database fails.
pub async fn end(app: &Arc<AppState>, digest: TokenDigest) -> Result<(), Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        session::Entity::delete_by_id(digest.to_hex())
            .exec(&app.database)
            .await?;
        if let Some(live) = app.sessions.forget(digest) {
            live.end();
        }
        Ok(())
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
pub async fn list(app: &AppState, user: UserId) -> Result<Vec<OwnSession>, Fault> {
    let now = app.clock.now();
    let rows = session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .order_by_desc(session::Column::CreatedAt)
        .order_by_asc(session::Column::KeyDigest)
        .all(&app.database)
        .await?;
    let listed = |row: session::Model| {
        let digest = TokenDigest::from_hex(&row.key_digest)?;
        let last_seen = last_seen(app, Some(digest), &row);
        let session = OwnSession {
            digest,
            browser: Browser::of(&row.user_agent),
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
pub async fn end_of(app: &Arc<AppState>, user: UserId, digest: TokenDigest) -> Result<(), Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        let ended = session::Entity::delete_many()
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::KeyDigest.eq(digest.to_hex()))
            .exec(&app.database)
            .await?;
        if ended.rows_affected > 0
            && let Some(live) = app.sessions.forget(digest)
        {
            live.end();
        }
        Ok(())
    })
    .await
}

/// Ends all sessions of `user` but the one to keep.
///
/// # Errors
/// When the database fails.
pub async fn end_others(app: &Arc<AppState>, user: UserId, keep: TokenDigest) -> Result<(), Fault> {
    let app = Arc::clone(app);
    to_the_end(async move {
        session::Entity::delete_many()
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::KeyDigest.ne(keep.to_hex()))
            .exec(&app.database)
            .await?;
        let is_other = |live: &LiveSession| live.user_id == user && live.digest != keep;
        for session in app.sessions.forget_where(is_other) {
            session.end();
        }
        Ok(())
    })
    .await
}

/// Deletes the rows of all sessions of `user`. Call it within a transaction, and [`end_in_memory`]
/// after its commit.
pub(super) async fn delete_all(database: &impl ConnectionTrait, user: UserId) -> Result<(), Fault> {
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(user))
        .exec(database)
        .await?;
    Ok(())
}

/// Ends all sessions of `user` that are in use; their rows are gone.
pub(super) fn end_in_memory(app: &AppState, user: UserId) {
    for session in app.sessions.forget_where(|live| live.user_id == user) {
        session.end();
    }
}

/// Deletes the sessions that have expired, of browsers that never came back.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(app: &AppState) -> Result<(), Fault> {
    let now = app.clock.now();
    let expired = Condition::any()
        .add(session::Column::LastSeen.lte(now.minus(IDLE_LIFE).minus(LAST_SEEN_LAG)))
        .add(session::Column::CreatedAt.lte(now.minus(LONGEST_LIFE)));
    session::Entity::delete_many()
        .filter(expired)
        .exec(&app.database)
        .await?;
    Ok(())
}

fn has_expired(created_at: Timestamp, last_seen: Timestamp, now: Timestamp) -> bool {
    last_seen.plus(IDLE_LIFE) <= now || created_at.plus(LONGEST_LIFE) <= now
}

async fn read(app: &AppState, digest: TokenDigest) -> Result<Option<LiveSession>, Fault> {
    let row = session::Entity::find_by_id(digest.to_hex())
        .find_also_related(user::Entity)
        .one(&app.database)
        .await?;
    let Some((session, Some(user))) = row else {
        return Ok(None);
    };
    Ok(Some(LiveSession {
        digest,
        user_id: user.id,
        user_name: user.name.into(),
        created_at: session.created_at,
        last_seen: AtomicI64::new(session.last_seen.0),
        last_seen_in_database: AtomicI64::new(session.last_seen.0),
        ended: app.stopping.child_token(),
        waiting: Arc::default(),
    }))
}

/// Notes in memory that a session was used now, and in the background, once in a while, in the database.
fn note_use(app: &Arc<AppState>, live: &LiveSession, now: Timestamp) {
    live.last_seen.fetch_max(now.0, Ordering::Relaxed);
    let written = live.last_seen_in_database.load(Ordering::Relaxed);
    let is_due = Timestamp(written).plus(LAST_SEEN_LAG) <= now;
    let swap = |new| {
        live.last_seen_in_database
            .compare_exchange(written, new, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    };
    if is_due && swap(now.0) {
        let (app, digest) = (Arc::clone(app), live.digest);
        tokio::spawn(async move {
            let update = session::Entity::update_many()
                .col_expr(session::Column::LastSeen, Expr::value(now.0))
                .filter(session::Column::KeyDigest.eq(digest.to_hex()));
            if let Err(error) = update.exec(&app.database).await {
                // The next use after the lag tries again.
                tracing::warn!(error = %error, "failed to update when a session was last used");
            }
        });
    }
}
