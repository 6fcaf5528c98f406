//! `changes`: what the command line has changed, for a server that is running to notice.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;

/// A change that a server holds something of in memory.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "changes")]
pub struct Model {
    /// Later changes have greater ones.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// What happened ([`crate::services::changes::Change`]).
    pub kind: String,
    /// To which person or room.
    pub subject_id: i64,
    /// When.
    pub made_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
