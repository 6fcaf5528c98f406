//! Sessions in use, held in memory. Services read them from the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use crate::domain::{Timestamp, UserId};
use crate::security::tokens::TokenDigest;

/// The maximum number of waiting polls of one session. Browsers open six connections to a host over HTTP/1.1,
/// and pages need some of them.
const MAX_WAITING_POLLS: usize = 4;

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
    /// Whether that person may moderate the site, when the session was read. For links only: pages for operators ask
    /// the database.
    pub is_operator: bool,
    /// When the session began.
    pub created_at: Timestamp,
    last_seen: AtomicI64,
    last_seen_in_database: AtomicI64,
    has_ended: AtomicBool,
    /// Cancelled when the session or the server ends, or when the session is held no longer.
    cancelled: CancellationToken,
    waiting_polls: Arc<AtomicUsize>,
}

impl LiveSession {
    /// Makes a session that was last used at `last_seen`, according to the database. `cancelled` is a child
    /// of the token that is cancelled when the server stops; each session has its own.
    #[must_use]
    pub fn new(
        digest: TokenDigest,
        (user_id, user_name, is_operator): (UserId, String, bool),
        created_at: Timestamp,
        last_seen: Timestamp,
        cancelled: CancellationToken,
    ) -> Self {
        Self {
            digest,
            user_id,
            user_name: user_name.into(),
            is_operator,
            created_at,
            last_seen: AtomicI64::new(last_seen.0),
            last_seen_in_database: AtomicI64::new(last_seen.0),
            has_ended: AtomicBool::new(false),
            cancelled,
            waiting_polls: Arc::default(),
        }
    }

    /// Ends the session in memory, after its row was deleted.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.cancelled.cancel();
    }

    /// Wakes the polls that wait with this session, which is not held any more: nobody would tell it that it has ended.
    pub fn wake(&self) {
        self.cancelled.cancel();
    }

    /// Waits until the session ends, is not held any more, or the server stops.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Returns whether the session has ended. A stopping server does not end sessions.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    /// Returns the flag behind [`LiveSession::has_ended`], which the message log checks.
    #[must_use]
    pub fn end_flag(&self) -> &AtomicBool {
        &self.has_ended
    }

    /// Returns when the session was last used.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        Timestamp(self.last_seen.load(Ordering::Relaxed))
    }

    /// Marks the session as used at `now`. Returns whether the database must be updated: its last known use
    /// is at `due` or earlier.
    pub fn mark_used(&self, now: Timestamp, due: Timestamp) -> bool {
        self.last_seen.fetch_max(now.0, Ordering::Relaxed);
        let written = self.last_seen_in_database.load(Ordering::Relaxed);
        written <= due.0
            && self
                .last_seen_in_database
                .compare_exchange(written, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Notes that the database has a use of the session at `last_seen`, by this process or another.
    pub fn note_stored_use(&self, last_seen: Timestamp) {
        for known in [&self.last_seen, &self.last_seen_in_database] {
            known.fetch_max(last_seen.0, Ordering::Relaxed);
        }
    }

    /// Takes a permit for a waiting poll, if the session has one left.
    #[must_use]
    pub fn poll_permit(&self) -> Option<PollPermit> {
        let taken = self.waiting_polls.fetch_add(1, Ordering::SeqCst);
        let permit = PollPermit(Arc::clone(&self.waiting_polls));
        (taken < MAX_WAITING_POLLS).then_some(permit)
    }
}

/// A permit for a waiting poll of a session. Dropping it releases the permit.
#[derive(Debug)]
pub struct PollPermit(Arc<AtomicUsize>);

impl Drop for PollPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
