//! Whether the database tells this process of the changes of other processes.
//!
//! SQLite's one process polls the change feed. With PostgreSQL, a process listens to notifications, and knows by those
//! that it sends to itself whether it hears them. Each of them proves that everything was heard until it was sent. Whoever
//! asks for the state of the link compares that time with the present: on a busy machine, the task that follows the feed
//! may notice a cut late.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};
use tokio::sync::watch;

use crate::clock::{CoarseStopwatch, millis};

/// What is known of the link to PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkState {
    /// Changes of other processes arrive.
    Up,
    /// PostgreSQL answers, but its notifications do not arrive: rows held in memory may be out of date.
    Deaf,
    /// PostgreSQL does not answer.
    Silent,
}

/// The link to the database. Shared by all workers.
#[derive(Debug)]
pub struct DatabaseLink(Option<Server>);

/// What is known of the link to PostgreSQL, and since when.
#[derive(Debug)]
struct Server {
    timeout_ms: u64,
    stopwatch: CoarseStopwatch,
    /// When the latest heartbeat was sent that PostgreSQL has answered, in milliseconds by the stopwatch.
    answered: AtomicU64,
    /// When the latest heartbeat was sent that came back as a notification.
    heard: AtomicU64,
    /// What the task that follows the change feed has noticed.
    noticed: watch::Sender<LinkState>,
    /// Whether that is [`LinkState::Up`]: those who ask all the time take no lock.
    is_noticed_up: AtomicBool,
}

/// When a heartbeat was sent, in milliseconds by the link's stopwatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentAt(pub u64);

impl Server {
    /// Returns what the heartbeats prove.
    fn proved(&self) -> LinkState {
        let now = self.stopwatch.elapsed_ms();
        if self.is_old(&self.answered, now) {
            LinkState::Silent
        } else if self.is_old(&self.heard, now) {
            LinkState::Deaf
        } else {
            LinkState::Up
        }
    }

    fn is_old(&self, sent_at: &AtomicU64, now: u64) -> bool {
        let latest = now + CoarseStopwatch::LAG_MS;
        latest.saturating_sub(sent_at.load(Ordering::SeqCst)) >= self.timeout_ms
    }

    fn noticed(&self) -> LinkState {
        if self.is_noticed_up.load(Ordering::SeqCst) {
            LinkState::Up
        } else {
            *self.noticed.borrow()
        }
    }
}

impl DatabaseLink {
    /// Returns the link of an SQLite database, which needs none.
    #[must_use]
    pub fn to_a_file() -> Self {
        Self(None)
    }

    /// Returns the link of a PostgreSQL database that has been heard. It is up as long as heartbeats prove it that were sent
    /// less than `timeout` ago.
    #[must_use]
    pub fn to_a_server(timeout: Duration) -> Self {
        Self(Some(Server {
            timeout_ms: millis(timeout),
            stopwatch: CoarseStopwatch::start(),
            answered: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            noticed: watch::Sender::new(LinkState::Up),
            is_noticed_up: AtomicBool::new(true),
        }))
    }

    /// Returns the state of the link now.
    #[must_use]
    pub fn state(&self) -> LinkState {
        let state = |server: &Server| server.noticed().max(server.proved());
        self.0.as_ref().map_or(LinkState::Up, state)
    }

    /// Returns whether rows held in memory can be trusted.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state() == LinkState::Up
    }

    /// Waits until it is noticed that rows held in memory cannot be trusted.
    pub async fn lost(&self) {
        self.wait_for(|state| state != LinkState::Up).await;
    }

    /// Waits until it is noticed that PostgreSQL does not answer.
    pub async fn silent(&self) {
        self.wait_for(|state| state == LinkState::Silent).await;
    }

    async fn wait_for(&self, matches: impl Fn(LinkState) -> bool) {
        let Some(server) = &self.0 else {
            return pending().await;
        };
        let mut noticed = server.noticed.subscribe();
        // The sender lives as long as this link.
        drop(noticed.wait_for(|state| matches(*state)).await);
    }
}

/// What the task does that follows the change feed.
impl DatabaseLink {
    /// Returns the time to send with a heartbeat.
    #[must_use]
    pub fn time(&self) -> SentAt {
        let elapsed = |server: &Server| server.stopwatch.elapsed_ms();
        SentAt(self.0.as_ref().map_or(0, elapsed))
    }

    /// Notes that PostgreSQL has answered a heartbeat.
    pub fn note_answered(&self, sent_at: SentAt) {
        if let Some(server) = &self.0 {
            server.answered.fetch_max(sent_at.0, Ordering::SeqCst);
        }
    }

    /// Notes that a heartbeat came back as a notification. What was told before it must have been applied.
    pub fn note_heard(&self, sent_at: SentAt) {
        if let Some(server) = &self.0 {
            server.heard.fetch_max(sent_at.0, Ordering::SeqCst);
        }
    }

    /// Returns whether no heartbeat has come back for the link's timeout.
    #[must_use]
    pub fn is_unheard(&self) -> bool {
        let is_old = |server: &Server| server.is_old(&server.heard, server.stopwatch.elapsed_ms());
        self.0.as_ref().is_some_and(is_old)
    }

    /// Returns what the heartbeats prove, whatever was noticed before.
    #[must_use]
    pub fn proved(&self) -> LinkState {
        self.0.as_ref().map_or(LinkState::Up, Server::proved)
    }

    /// Returns what was noticed last.
    #[must_use]
    pub fn noticed(&self) -> LinkState {
        self.0.as_ref().map_or(LinkState::Up, Server::noticed)
    }

    /// Notes what has become of the link, and wakes those who wait for that.
    pub fn notice(&self, state: LinkState) {
        if let Some(server) = &self.0 {
            server.noticed.send_replace(state);
            let is_up = state == LinkState::Up;
            server.is_noticed_up.store(is_up, Ordering::SeqCst);
        }
    }
}

/// Returns the error of a database that does not answer.
#[must_use]
pub fn no_answer() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(
        "the database does not answer".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_silent_or_deaf_when_its_proofs_are_old_though_nobody_has_noticed() {
        let link = DatabaseLink::to_a_server(Duration::from_millis(1));
        while link.time() == SentAt(0) {}
        assert_eq!(link.state(), LinkState::Silent);
        // Younger for as long as the test runs.
        let proof = SentAt(3_600_000);

        link.note_answered(proof);
        assert_eq!(link.state(), LinkState::Deaf);
        link.note_heard(proof);
        assert_eq!(link.state(), LinkState::Up);
        // One that comes late proves nothing new, and takes nothing back.
        link.note_answered(SentAt(0));
        assert_eq!(link.state(), LinkState::Up);
        assert_eq!(link.noticed(), LinkState::Up);
    }

    #[test]
    fn what_was_noticed_counts_until_it_is_noticed_that_it_is_over() {
        let link = DatabaseLink::to_a_server(Duration::from_secs(3_600));
        for state in [LinkState::Deaf, LinkState::Silent, LinkState::Up] {
            link.notice(state);
            link.note_answered(link.time());
            link.note_heard(link.time());
            assert_eq!(link.state(), state);
        }
        assert!(link.is_up());
    }
}
