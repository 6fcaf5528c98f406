//! Ids of the things in the database and of messages, each of its own type so that they cannot be mixed up.

use std::fmt;

use sea_orm::DeriveValueType;
use serde::Deserialize;

/// The id of a person's account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, DeriveValueType,
)]
pub struct UserId(pub i64);

/// The id of a room.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, DeriveValueType,
)]
pub struct RoomId(pub i64);

/// The id of an invite to a room.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, DeriveValueType,
)]
pub struct InviteId(pub i64);

/// The id of a message within its room. Later messages have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct MessageId(pub u64);

/// The random part of a form's nonce, which identifies one submission of one form.
pub type NonceId = [u8; 16];

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
