//! `sessions`: signed-in browsers.

use sea_orm::entity::prelude::*;

use crate::domain::{Timestamp, UserId};

/// A signed-in browser.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// The SHA-256 of the key in the browser's cookie, in hexadecimal: reading the table does not allow
    /// signing in.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_digest: String,
    /// The person who is signed in.
    pub user_id: UserId,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When the session was last used. The stored time can be up to an hour behind.
    pub last_seen: Timestamp,
    /// The browser's `User-Agent` header, truncated.
    pub user_agent: String,
    /// The person's row.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
