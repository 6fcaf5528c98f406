//! `ignored_people`: the people whose messages a person does not want to see.

use sea_orm::entity::prelude::*;

use crate::domain::UserId;

/// A person ignores another.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ignored_people")]
pub struct Model {
    /// The person who ignores.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The person who is ignored.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ignored_id: UserId,
    /// The row of the person who is ignored.
    #[sea_orm(belongs_to, from = "ignored_id", to = "id", on_delete = "Cascade")]
    pub ignored: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
