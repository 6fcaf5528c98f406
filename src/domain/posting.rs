//! Who may post in a room.

use std::str::FromStr;

use sea_orm::DeriveValueType;

use super::mistake::UnknownWord;
use super::role::Role;

/// An owner's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveValueType)]
#[sea_orm(value_type = "String", to_str = "Posting::as_str")]
pub enum Posting {
    /// All members.
    Everyone,
    /// The owner and the moderators.
    Moderators,
}

impl Posting {
    /// Returns the word for the choice, as forms and the database have it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
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

impl FromStr for Posting {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = [Self::Everyone, Self::Moderators].into_iter();
        let mut named = known.filter(|known| known.as_str() == word);
        named.next().ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_was_written() {
        for choice in [Posting::Everyone, Posting::Moderators] {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        assert_eq!("nobody".parse::<Posting>(), Err(UnknownWord));
    }

    #[test]
    fn moderators_may_always_write() {
        assert!(Posting::Everyone.allows(Role::Member));
        assert!(!Posting::Moderators.allows(Role::Member));
        assert!(Posting::Moderators.allows(Role::Moderator));
        assert!(Posting::Moderators.allows(Role::Owner));
    }
}
