//! Sessions in use, as held in memory. Services read them from the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use crate::domain::{Timestamp, UserId};
use crate::security::tokens::TokenDigest;

/// How many polls of a session may wait at a time: browsers open six connections to a host over HTTP/1.1,
/// and the pages of the site need some.
const WAITING_POLLS: usize = 4;

/// The sessions in use.
pub type LiveSessions = Cache<TokenDigest, LiveSession>;

/// A session in use.
#[derive(Debug)]
pub struct LiveSession {
    /// The digest of the session's key.
    pub digest: TokenDigest,
    /// The person who is signed in.
    pub user_id: UserId,
    /// That person's name.
    pub user_name: Arc<str>,
    /// When the session began.
    pub created_at: Timestamp,
    last_seen: AtomicI64,
    last_seen_in_database: AtomicI64,
    has_ended: AtomicBool,
    /// Cancelled when the session or the server ends.
    cancelled: CancellationToken,
    waiting: Arc<AtomicUsize>,
}

impl LiveSession {
    /// Makes a session that was last used at `last_seen`, according to the database. `cancelled` is its own
    /// child of the token that is cancelled when the server stops.
    #[must_use]
    pub fn new(
        digest: TokenDigest,
        (user_id, user_name): (UserId, String),
        created_at: Timestamp,
        last_seen: Timestamp,
        cancelled: CancellationToken,
    ) -> Self {
        Self {
            digest,
            user_id,
            user_name: user_name.into(),
            created_at,
            last_seen: AtomicI64::new(last_seen.0),
            last_seen_in_database: AtomicI64::new(last_seen.0),
            has_ended: AtomicBool::new(false),
            cancelled,
            waiting: Arc::default(),
        }
    }

    /// Ends the session in memory; its row is gone.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.cancelled.cancel();
    }

    /// Returns when the session ends or the server stops.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Returns whether the session has ended. A server that stops ends no session.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    /// Returns the flag behind [`LiveSession::has_ended`], for the message log to look at.
    #[must_use]
    pub fn end_flag(&self) -> &AtomicBool {
        &self.has_ended
    }

    /// Returns when the session was last used.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        Timestamp(self.last_seen.load(Ordering::Relaxed))
    }

    /// Marks the session as used at `now`. Returns whether the database is to be told, which knows of the
    /// use at `due` or before.
    pub fn mark_used(&self, now: Timestamp, due: Timestamp) -> bool {
        self.last_seen.fetch_max(now.0, Ordering::Relaxed);
        let written = self.last_seen_in_database.load(Ordering::Relaxed);
        written <= due.0
            && self
                .last_seen_in_database
                .compare_exchange(written, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes one of the session's places for a waiting poll, if one is free.
    #[must_use]
    pub fn waiting_place(&self) -> Option<WaitingPlace> {
        let taken = self.waiting.fetch_add(1, Ordering::SeqCst);
        let place = WaitingPlace(Arc::clone(&self.waiting));
        (taken < WAITING_POLLS).then_some(place)
    }
}

/// A session's place for a waiting poll. Dropping it gives the place back.
#[derive(Debug)]
pub struct WaitingPlace(Arc<AtomicUsize>);

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
