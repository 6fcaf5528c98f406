//! What a member may do in a room.

/// A member's role, the more powerful the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads, writes and leaves.
    Member,
    /// Also deletes messages, removes and bans members, and invites.
    Moderator,
    /// Also names moderators and sets what the room is like. There is one.
    Owner,
}

impl Role {
    /// The role that `word` stands for in the database, of members who do not own the room.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Member, Self::Moderator]
            .into_iter()
            .find(|role| role.word() == word)
    }

    /// What it is called.
    #[must_use]
    pub fn word(self) -> &'static str {
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
        assert_eq!(Role::parse(Role::Moderator.word()), Some(Role::Moderator));
        assert_eq!(Role::parse(Role::Member.word()), Some(Role::Member));
        // The room says who owns it.
        assert_eq!(Role::parse("owner"), None);
    }
}
