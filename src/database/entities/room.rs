//! `rooms`: public and private ones.

use sea_orm::entity::prelude::*;

use crate::domain::{Posting, RoomId, Timestamp, UserId};

/// A room.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rooms")]
pub struct Model {
    /// Names the room.
    #[sea_orm(primary_key)]
    pub id: RoomId,
    /// The name as it is shown.
    pub name: String,
    /// The name as it is looked up ([`crate::domain::NameKeys`]).
    #[sea_orm(unique)]
    pub folded_name: String,
    /// What the folded name looks like.
    #[sea_orm(unique)]
    pub folded_skeleton: String,
    /// What the name looks like as typed.
    #[sea_orm(unique)]
    pub typed_skeleton: String,
    /// Whether it takes a password to join, and membership to know that it is there.
    pub is_private: bool,
    /// Argon2id, as a PHC string; private rooms have one.
    pub password_hash: Option<String>,
    /// Who owns it: always one of its members.
    pub owner_id: UserId,
    /// How long its messages live, in milliseconds; none is as long as the server allows.
    pub message_lifespan: Option<i64>,
    /// What it is about; may be empty.
    pub description: String,
    /// How long a person waits between two messages, in milliseconds; 0 is not at all.
    pub slow_mode: i64,
    /// The language most is said in ([`crate::domain::Language::tag`]); may be empty.
    pub language: String,
    /// Who may post.
    pub posting: Posting,
    /// The version of the rights in the room: it grows whenever somebody loses a right, or what a message must
    /// obey changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who is in it.
    #[sea_orm(has_many)]
    pub members: HasMany<super::room_member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
