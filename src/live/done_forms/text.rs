//! What a form has made, as text.

use super::made::Made;
use crate::domain::{InviteId, InviteLifetime, InviteUses, RoomId, UserId};
use crate::security::tokens::Token;

/// Writes what a form has made.
pub(super) fn write(made: &Made) -> String {
    match made {
        Made::Password { user, key } => format!("password {user} {}", key.as_str()),
        Made::Room(room) => format!("room {room}"),
        Made::Membership(room) => format!("membership {room}"),
        Made::Invite { id, token, choice } => {
            let (id, token, (life, uses)) = (id.0, token.as_str(), choice);
            format!("invite {id} {token} {} {}", life.as_str(), uses.as_str())
        }
        Made::OneTimeLink { person, token } => match person {
            Some(user) => format!("reset {user} {}", token.as_str()),
            None => format!("sign-up {}", token.as_str()),
        },
        Made::End(address) => format!("end {address}"),
    }
}

/// Reads what [`write()`] wrote. Returns `None` for what another version wrote.
pub(super) fn read(text: &str) -> Option<Made> {
    let (kind, rest) = text.split_once(' ')?;
    let room = || rest.parse().ok().map(RoomId);
    Some(match kind {
        "password" => {
            let (user, key) = rest.split_once(' ')?;
            Made::Password {
                user: UserId(user.parse().ok()?),
                key: Token::received(key),
            }
        }
        "room" => Made::Room(room()?),
        "membership" => Made::Membership(room()?),
        "invite" => {
            let mut parts = rest.split(' ');
            Made::Invite {
                id: InviteId(parts.next()?.parse().ok()?),
                token: Token::received(parts.next()?),
                choice: (
                    InviteLifetime::parse(parts.next()?)?,
                    InviteUses::parse(parts.next()?)?,
                ),
            }
        }
        "reset" => {
            let (user, token) = rest.split_once(' ')?;
            Made::OneTimeLink {
                person: Some(UserId(user.parse().ok()?)),
                token: Token::received(token),
            }
        }
        "sign-up" => Made::OneTimeLink {
            person: None,
            token: Token::received(rest),
        },
        "end" => Made::End(rest.to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_read_as_it_was_written() {
        for made in [
            Made::Password {
                user: UserId(7),
                key: Token::random(),
            },
            Made::Room(RoomId(8)),
            Made::Membership(RoomId(9)),
            Made::Invite {
                id: InviteId(1),
                token: Token::random(),
                choice: (InviteLifetime::Week, InviteUses::Ten),
            },
            Made::OneTimeLink {
                person: Some(UserId(7)),
                token: Token::random(),
            },
            Made::OneTimeLink {
                person: None,
                token: Token::random(),
            },
            Made::End("/rooms/mine?done=left now".to_owned()),
        ] {
            assert_eq!(read(&write(&made)), Some(made));
        }
        for text in ["", "room", "room tea", "invite 1 x day", "poem 7"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
