//! What is limited, except messages.

use crate::domain::{ClientAddress, RoomId, UserId};

/// What somebody wants to do, with what it is counted by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act<'a> {
    /// An attempt at the password of the account with this folded name. The address is counted first, so that an
    /// address that tries many names does not fill the memory of the other limit.
    Password(&'a str, ClientAddress),
    /// A new password for an account.
    NewPassword(ClientAddress),
    /// A new account.
    SignUp(ClientAddress),
    /// An attempt to join a private room.
    Join(UserId),
    /// A new room.
    NewRoom(UserId),
    /// A new password for a room.
    RoomPassword(UserId),
    /// Another change.
    Change(UserId),
    /// A request for a secret link.
    Link(ClientAddress),
    /// A report of a message in a room.
    Report(UserId, RoomId),
}
