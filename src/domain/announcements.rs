//! How much of what is said in an open room a screen reader is told.

/// A person's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcements {
    /// Who wrote and what, for each message.
    Each,
    /// How many messages came.
    Count,
    /// Nothing.
    None,
}

impl Announcements {
    /// The choice that `word` stands for, in a form or in the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Each, Self::Count, Self::None]
            .into_iter()
            .find(|choice| choice.word() == word)
    }

    /// The word that stands for the choice.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Count => "count",
            Self::None => "none",
        }
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
            assert_eq!(Announcements::parse(choice.word()), Some(choice));
        }
        assert_eq!(Announcements::parse("loud"), None);
    }
}
