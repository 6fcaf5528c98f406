//! What a form has made.

use std::time::Duration;

use crate::domain::{InviteId, InviteLifetime, InviteUses, RoomId, UserId};
use crate::security::tokens::Token;

/// How long a form that was done is known.
pub(super) const RETENTION: Duration = Duration::from_secs(600);
/// The maximum number of done forms. The oldest go first.
pub(super) const MAX_FORMS: usize = 10_000;

/// What a form has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A password of this person, and a session.
    Password {
        /// The person.
        user: UserId,
        /// The key of the session. The answer to the second request sets the same cookie as the answer to the first:
        /// with a session each, a browser that receives the two in the other order than they were made would keep
        /// the one that was ended, and if none was ended, one would be left over.
        key: Token,
    },
    /// A room.
    Room(RoomId),
    /// A membership of a room.
    Membership(RoomId),
    /// An invite link.
    Invite {
        /// The link's id.
        id: InviteId,
        /// The link's token.
        token: Token,
        /// How long the link works, and for how many people, as the form said.
        choice: (InviteLifetime, InviteUses),
    },
    /// A sign-up link or, if there is a person, the link that resets the person's password, made by an operator.
    OneTimeLink {
        /// The person whose password the link resets.
        person: Option<UserId>,
        /// The link's token.
        token: Token,
    },
    /// The end of something: a message, a room, a membership. The answer led to this address.
    End(String),
}
