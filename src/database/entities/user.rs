//! `users`: people's accounts.

use sea_orm::entity::prelude::*;

use crate::domain::{Announcements, Timestamp, UserId};

/// A person's account.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The id.
    #[sea_orm(primary_key)]
    pub id: UserId,
    /// The name as the person typed it.
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
    /// The Argon2id hash of the password, as a PHC string.
    pub password_hash: String,
    /// How much a screen reader announces of new messages.
    pub announcements: Announcements,
    /// When the account was created.
    pub created_at: Timestamp,
    /// Whether the person may moderate the site.
    pub is_operator: bool,
    /// When an operator suspended the account; `None` if it is not suspended.
    pub suspended_at: Option<Timestamp>,
    /// The reason for the suspension.
    pub suspension_reason: Option<String>,
    /// When the password was last changed with a reset link, which only an operator can make.
    pub reset_at: Option<Timestamp>,
    /// The person's memberships of rooms.
    #[sea_orm(has_many)]
    pub memberships: HasMany<super::room_member::Entity>,
    /// The person's sessions.
    #[sea_orm(has_many)]
    pub sessions: HasMany<super::session::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
