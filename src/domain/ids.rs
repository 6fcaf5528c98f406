//! Numbers that name things, each of its own type so that one cannot stand for another.

use std::fmt;

use sea_orm::DeriveValueType;
use serde::Deserialize;

/// Names a person's account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, DeriveValueType,
)]
pub struct UserId(pub i64);

/// Names a room.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, DeriveValueType,
)]
pub struct RoomId(pub i64);

/// Names an invite to a room.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, DeriveValueType,
)]
pub struct InviteId(pub i64);

/// Names a message within its room. A later message has a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct MessageId(pub u64);

/// The random part of a form's nonce: names one submission of one form.
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
