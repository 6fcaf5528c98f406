//! `password_resets`: links for choosing a new password.

use sea_orm::entity::prelude::*;

use crate::domain::{Timestamp, UserId};

/// A password reset link. It can be used as long as the row exists and has not expired.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "password_resets")]
pub struct Model {
    /// The SHA-256 of the link's token, in hexadecimal: reading the table does not allow using the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_digest: String,
    /// The person whose password the link resets.
    pub user_id: UserId,
    /// When the link expires.
    pub expires_at: Timestamp,
    /// The person's row.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
