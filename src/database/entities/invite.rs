//! `invites`: invite links into private rooms.

use sea_orm::entity::prelude::*;

use crate::domain::{InviteId, RoomId, Timestamp};

/// An invite link. It can be used as long as the row exists and has not expired.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invites")]
pub struct Model {
    /// The id, which does not give access to the room.
    #[sea_orm(primary_key)]
    pub id: InviteId,
    /// The SHA-256 of the link's token, in hexadecimal: reading the table does not allow using the link.
    #[sea_orm(unique)]
    pub token_digest: String,
    /// The room that the link leads to.
    pub room_id: RoomId,
    /// When the link was created.
    pub created_at: Timestamp,
    /// When the link expires.
    pub expires_at: Timestamp,
    /// How many more people may join with the link; `None` is unlimited.
    pub uses_left: Option<i64>,
    /// The room's row.
    #[sea_orm(belongs_to, from = "room_id", to = "id", on_delete = "Cascade")]
    pub room: BelongsTo<super::room::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
