//! `changes`: the change feed, in which processes record changes for each other.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;

/// A row of the change feed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "changes")]
pub struct Model {
    /// The id; later changes have greater ids.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The process that made the change.
    pub origin: i64,
    /// The kind of change ([`crate::database::feed::Change`]).
    pub kind: String,
    /// The id of the person or room that changed.
    pub subject_id: i64,
    /// The room's version after the change, if the change raised it.
    pub version: Option<i64>,
    /// The digest of the session's key, if a session ended.
    pub key_digest: Option<String>,
    /// The new lifespan of messages in milliseconds, if it became shorter.
    pub lifespan: Option<i64>,
    /// When the change was made.
    pub made_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
