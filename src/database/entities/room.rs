//! `rooms`: public and private rooms.

use sea_orm::entity::prelude::*;

use crate::domain::{Posting, RoomId, Timestamp, UserId};

/// A room.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rooms")]
pub struct Model {
    /// The id.
    #[sea_orm(primary_key)]
    pub id: RoomId,
    /// The name as displayed.
    pub name: String,
    /// The key by which the name is looked up ([`crate::domain::NameKeys`]).
    #[sea_orm(unique)]
    pub folded_name: String,
    /// The skeleton of the folded name.
    #[sea_orm(unique)]
    pub folded_skeleton: String,
    /// The skeleton of the name as typed.
    #[sea_orm(unique)]
    pub typed_skeleton: String,
    /// Whether the room is private: people join with its password or an invite link, and only members may know that
    /// the room exists.
    pub is_private: bool,
    /// The Argon2id hash of the password as a PHC string; private rooms have one.
    pub password_hash: Option<String>,
    /// The owner, who is always a member.
    pub owner_id: UserId,
    /// How long messages live, in milliseconds; `None` is the server's maximum.
    pub message_lifespan: Option<i64>,
    /// The description; may be empty.
    pub description: String,
    /// How long a person waits between two messages, in milliseconds; 0 is off.
    pub slow_mode: i64,
    /// The BCP 47 tag of the main language ([`crate::domain::Language::tag`]); may be empty.
    pub language: String,
    /// Who may post.
    pub posting: Posting,
    /// The version of the rights in the room. It grows whenever somebody loses a right, or the rules for new
    /// messages change.
    pub version: i64,
    /// When the room was created.
    pub created_at: Timestamp,
    /// The members.
    #[sea_orm(has_many)]
    pub members: HasMany<super::room_member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
