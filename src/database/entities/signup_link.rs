//! `signup_links`: links for creating one account each.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;

/// A sign-up link. It can be used as long as the row exists and has not expired.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signup_links")]
pub struct Model {
    /// The SHA-256 of the link's token, in hexadecimal: reading the table does not allow using the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_digest: String,
    /// When the link expires.
    pub expires_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
