//! `invites`: links that let people into a room.

use sea_orm::entity::prelude::*;

use crate::domain::{InviteId, RoomId, Timestamp};

/// A link into a room. A row that is there may be used until it expires.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invites")]
pub struct Model {
    /// Names the invite; opens nothing.
    #[sea_orm(primary_key)]
    pub id: InviteId,
    /// SHA-256 of the link's token, in hexadecimal: who reads the table cannot use the link.
    #[sea_orm(unique)]
    pub token_digest: String,
    /// Where it leads.
    pub room_id: RoomId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment on it leads nowhere.
    pub expires_at: Timestamp,
    /// How many may still join by it; none is as many as like.
    pub uses_left: Option<i64>,
    /// The room's row.
    #[sea_orm(belongs_to, from = "room_id", to = "id", on_delete = "Cascade")]
    pub room: BelongsTo<super::room::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
