//! `site`: one row with the random key of this site.

use sea_orm::entity::prelude::*;

/// The site.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "site")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The random key, in hexadecimal.
    pub key: String,
}

impl ActiveModelBehavior for ActiveModel {}
