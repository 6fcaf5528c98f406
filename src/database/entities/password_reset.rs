//! `password_resets`: links by which a person chooses a new password.

use sea_orm::entity::prelude::*;

use crate::domain::{Timestamp, UserId};

/// A link to a new password. A row that is there may be used until it expires.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "password_resets")]
pub struct Model {
    /// SHA-256 of the link's token, in hexadecimal: who reads the table cannot use the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_digest: String,
    /// Whose password.
    pub user_id: UserId,
    /// From this moment on it leads nowhere.
    pub expires_at: Timestamp,
    /// The person's row.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
