//! `name_keys`: the versions of the keys that were computed for all names.

use sea_orm::entity::prelude::*;

/// A version of [`crate::domain::NameKeys`] that was computed for all names.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "name_keys")]
pub struct Model {
    /// The version.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i64,
}

impl ActiveModelBehavior for ActiveModel {}
