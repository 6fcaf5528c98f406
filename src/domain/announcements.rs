//! How much of what is said in an open room a screen reader is told.

use std::str::FromStr;

use sea_orm::DeriveValueType;

use super::mistake::UnknownWord;

/// A person's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveValueType)]
#[sea_orm(value_type = "String", to_str = "Announcements::as_str")]
pub enum Announcements {
    /// Who wrote and what, for each message.
    Each,
    /// How many messages came.
    Count,
    /// Nothing.
    None,
}

impl Announcements {
    /// Returns the word for the choice, as forms and the database have it.
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
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = [Self::Each, Self::Count, Self::None].into_iter();
        let mut named = known.filter(|known| known.as_str() == word);
        named.next().ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_was_written() {
        for choice in [
            Announcements::Each,
            Announcements::Count,
            Announcements::None,
        ] {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        assert_eq!("loud".parse::<Announcements>(), Err(UnknownWord));
    }
}
