//! `signup_links`: links by which one person each can make an account.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;

/// A link to sign up. A row that is there may be used until it expires.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signup_links")]
pub struct Model {
    /// SHA-256 of the link's token, in hexadecimal: who reads the table cannot use the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_digest: String,
    /// From this moment on it leads nowhere.
    pub expires_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
