//! Who may post in a room.

use std::str::FromStr;

use sea_orm::DeriveValueType;

use super::mistake::UnknownChoice;
use super::role::Role;

/// An owner's choice of who may post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveValueType)]
#[sea_orm(value_type = "String", to_str = "Posting::as_str")]
pub enum Posting {
    /// All members.
    Everyone,
    /// The owner and the moderators.
    Moderators,
}

impl Posting {
    /// Returns the text that stands for the choice in forms and in the database.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Moderators => "moderators",
        }
    }

    /// Returns whether a member with `role` may post.
    #[must_use]
    pub fn allows(self, role: Role) -> bool {
        self == Self::Everyone || role >= Role::Moderator
    }
}

impl FromStr for Posting {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        let mut choices = [Self::Everyone, Self::Moderators].into_iter();
        choices
            .find(|choice| choice.as_str() == text)
            .ok_or(UnknownChoice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_survives_a_round_trip_through_text() {
        for choice in [Posting::Everyone, Posting::Moderators] {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        assert_eq!("nobody".parse::<Posting>(), Err(UnknownChoice));
    }

    #[test]
    fn moderators_may_always_post() {
        assert!(Posting::Everyone.allows(Role::Member));
        assert!(!Posting::Moderators.allows(Role::Member));
        assert!(Posting::Moderators.allows(Role::Moderator));
        assert!(Posting::Moderators.allows(Role::Owner));
    }
}
