//! How much a screen reader announces of new messages in an open room.

use std::str::FromStr;

use sea_orm::DeriveValueType;

use super::mistake::UnknownChoice;

/// A person's choice of what is announced.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, DeriveValueType)]
#[sea_orm(value_type = "String", to_str = "Announcements::as_str")]
pub enum Announcements {
    /// The author and the text of each message.
    #[default]
    Each,
    /// The number of new messages.
    Count,
    /// Nothing.
    None,
}

impl Announcements {
    /// Returns the text that stands for the choice in forms and in the database.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Count => "count",
            Self::None => "none",
        }
    }
}

impl FromStr for Announcements {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        let mut choices = [Self::Each, Self::Count, Self::None].into_iter();
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
        for choice in [
            Announcements::Each,
            Announcements::Count,
            Announcements::None,
        ] {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        assert_eq!("loud".parse::<Announcements>(), Err(UnknownChoice));
    }
}
