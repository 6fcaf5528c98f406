//! `room_bans`: who must stay out of which room.

use sea_orm::entity::prelude::*;

use crate::domain::{RoomId, Timestamp, UserId};

/// A person's ban from a room.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "room_bans")]
pub struct Model {
    /// The room.
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    /// The person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Why, for that person to read.
    pub reason: String,
    /// Since when.
    pub banned_at: Timestamp,
    /// The person's row.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
