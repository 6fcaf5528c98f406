//! Who may write in a room.

use super::Role;

/// An owner's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posting {
    /// All members.
    Everyone,
    /// The owner and the moderators.
    Moderators,
}

impl Posting {
    /// The choice that `word` stands for, in a form or in the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Everyone, Self::Moderators]
            .into_iter()
            .find(|choice| choice.word() == word)
    }

    /// The word that stands for the choice.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Moderators => "moderators",
        }
    }

    /// Whether who has `role` may write.
    #[must_use]
    pub fn allows(self, role: Role) -> bool {
        self == Self::Everyone || role >= Role::Moderator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_was_written() {
        for choice in [Posting::Everyone, Posting::Moderators] {
            assert_eq!(Posting::parse(choice.word()), Some(choice));
        }
        assert_eq!(Posting::parse("nobody"), None);
    }

    #[test]
    fn moderators_may_always_write() {
        assert!(Posting::Everyone.allows(Role::Member));
        assert!(!Posting::Moderators.allows(Role::Member));
        assert!(Posting::Moderators.allows(Role::Moderator));
        assert!(Posting::Moderators.allows(Role::Owner));
    }
}
