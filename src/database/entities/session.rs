//! `sessions`: which browsers are signed in, and as whom.

use sea_orm::entity::prelude::*;

use crate::domain::{Timestamp, UserId};

/// A signed-in browser.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// SHA-256 of the key in the browser's cookie, in hexadecimal: who reads the table cannot sign in.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_digest: String,
    /// Who is signed in.
    pub user_id: UserId,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When the browser was last heard of, give or take an hour.
    pub last_seen: Timestamp,
    /// What the browser calls itself, shortened.
    pub user_agent: String,
    /// The person's row.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
