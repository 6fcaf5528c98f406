//! `changes`: the change feed, by which a process tells the others what it has changed.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;

/// A row of the change feed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "changes")]
pub struct Model {
    /// Later changes have greater ids.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The process that made the change.
    pub origin: i64,
    /// What happened ([`crate::database::feed::Change`]).
    pub kind: String,
    /// The person or room that it happened to.
    pub subject_id: i64,
    /// The room's version afterwards, if it was given another one.
    pub version: Option<i64>,
    /// The digest of the session's key, if a session ended.
    pub key_digest: Option<String>,
    /// When it happened.
    pub made_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
