//! The connections that read, which give up when the database does not answer.

use std::sync::Arc;

use sea_orm::entity::prelude::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};

use super::link::{DatabaseLink, LinkState, no_answer};

/// Connections that only read. A statement fails as soon as the link to the database is known to be silent: over a
/// connection that was cut without a word, its answer would never come.
#[derive(Clone)]
pub struct Readers {
    connections: DatabaseConnection,
    link: Arc<DatabaseLink>,
}

impl Readers {
    /// Makes a handle to the same connections.
    #[must_use]
    pub fn new(connections: DatabaseConnection, link: Arc<DatabaseLink>) -> Self {
        Self { connections, link }
    }

    /// Returns the connections themselves.
    #[must_use]
    pub fn connections(&self) -> &DatabaseConnection {
        &self.connections
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.answered(self.connections.ping()).await
    }

    async fn answered<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        if self.link.state() == LinkState::Silent {
            return Err(no_answer());
        }
        tokio::select! {
            biased;
            () = self.link.silent() => Err(no_answer()),
            answer = statement => answer,
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        self.connections.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.answered(self.connections.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.answered(self.connections.execute_unprepared(sql))
            .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.answered(self.connections.query_one_raw(statement))
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.answered(self.connections.query_all_raw(statement))
            .await
    }
}
