//! `room_bans`: people who are banned from a room.

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
    /// The reason, shown to the banned person, the owner and the moderators.
    pub reason: String,
    /// When the person was banned.
    pub banned_at: Timestamp,
    /// The person's row.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
