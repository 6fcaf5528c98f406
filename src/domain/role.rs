//! What a member may do in a room.

use std::str::FromStr;

use sea_orm::DeriveValueType;

use super::mistake::UnknownWord;

/// A member's role, the more powerful the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
#[sea_orm(value_type = "String", to_str = "Role::as_str")]
pub enum Role {
    /// Reads, writes and leaves.
    Member,
    /// Also deletes messages, removes and bans members, and invites.
    Moderator,
    /// Also names moderators and sets what the room is like. There is one.
    Owner,
}

impl Role {
    /// Returns the word for the role, as pages and the database have it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    /// Whether who has this role may remove or ban somebody who has `other`, or is no member, and
    /// delete their messages.
    #[must_use]
    pub fn may_moderate(self, other: Option<Self>) -> bool {
        self >= Self::Moderator && Some(self) > other
    }
}

/// Reads the role of a member who does not own the room: the room says who does.
impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = [Self::Member, Self::Moderator].into_iter();
        let mut named = known.filter(|known| known.as_str() == word);
        named.next().ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moderation_goes_down_only() {
        use Role::{Member, Moderator, Owner};
        let allowed = [
            (Moderator, None),
            (Moderator, Some(Member)),
            (Owner, None),
            (Owner, Some(Member)),
            (Owner, Some(Moderator)),
        ];
        for role in [Member, Moderator, Owner] {
            for other in [None, Some(Member), Some(Moderator), Some(Owner)] {
                let is_allowed = allowed.contains(&(role, other));
                assert_eq!(role.may_moderate(other), is_allowed, "{role:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_role_is_read_as_it_was_written() {
        for role in [Role::Moderator, Role::Member] {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        // The room says who owns it.
        assert_eq!("owner".parse::<Role>(), Err(UnknownWord));
    }
}
