//! Whether the database tells this process of the changes of other processes.
//!
//! SQLite's one process polls the change feed. With PostgreSQL, a process listens to notifications, and knows by those
//! that it sends to itself whether it hears them.

use std::future::pending;

use sea_orm::{DbErr, RuntimeErr};
use tokio::sync::watch;

/// What is known of the link to PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
pub struct DatabaseLink(Option<watch::Sender<LinkState>>);

impl DatabaseLink {
    /// Returns the link of an SQLite database, which needs none.
    #[must_use]
    pub fn to_a_file() -> Self {
        Self(None)
    }

    /// Returns the link of a PostgreSQL database that has been heard.
    #[must_use]
    pub fn to_a_server() -> Self {
        Self(Some(watch::Sender::new(LinkState::Up)))
    }

    /// Returns what is known of the link.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.0
            .as_ref()
            .map_or(LinkState::Up, |state| *state.borrow())
    }

    /// Returns whether rows held in memory can be trusted.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state() == LinkState::Up
    }

    /// Waits until rows held in memory cannot be trusted.
    pub async fn lost(&self) {
        self.wait_for(|state| state != LinkState::Up).await;
    }

    /// Waits until PostgreSQL does not answer.
    pub async fn silent(&self) {
        self.wait_for(|state| state == LinkState::Silent).await;
    }

    /// Notes what is known of the link.
    pub fn set(&self, state: LinkState) {
        if let Some(sender) = &self.0 {
            sender.send_replace(state);
        }
    }

    async fn wait_for(&self, matches: impl Fn(LinkState) -> bool) {
        match &self.0 {
            // The sender lives as long as this link.
            Some(sender) => drop(sender.subscribe().wait_for(|state| matches(*state)).await),
            None => pending().await,
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
