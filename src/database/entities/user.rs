//! `users`: people's accounts.

use sea_orm::entity::prelude::*;

use crate::domain::{Announcements, Timestamp, UserId};

/// A person's account.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Names the account.
    #[sea_orm(primary_key)]
    pub id: UserId,
    /// The name as its owner typed it.
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
    /// Argon2id, as a PHC string.
    pub password_hash: String,
    /// What a screen reader announces of new messages.
    pub announcements: Announcements,
    /// When the account was made.
    pub created_at: Timestamp,
    /// The rooms this person is in.
    #[sea_orm(has_many)]
    pub memberships: HasMany<super::room_member::Entity>,
    /// The browsers this person is signed in with.
    #[sea_orm(has_many)]
    pub sessions: HasMany<super::session::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
