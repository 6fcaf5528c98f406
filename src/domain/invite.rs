//! What whoever makes an invite link chooses: how long it works, and for how many people.

use std::fmt;
use std::time::Duration;

/// How long an invite link works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteLife {
    /// For an hour.
    Hour,
    /// For a day.
    Day,
    /// For seven days.
    Week,
}

impl InviteLife {
    /// What one may choose.
    pub const CHOICES: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The choice that `word` stands for in a form.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::CHOICES
            .into_iter()
            .find(|choice| choice.as_str() == word)
    }

    /// The word that stands for the choice.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// How long that is.
    #[must_use]
    pub fn span(self) -> Duration {
        const HOUR: Duration = Duration::from_secs(3_600);
        match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
        }
    }
}

/// In words, for a form.
impl fmt::Display for InviteLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "1 hour",
            Self::Day => "1 day",
            Self::Week => "7 days",
        })
    }
}

/// How many people may join by an invite link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteUses {
    /// One.
    One,
    /// Ten.
    Ten,
    /// As many as like.
    NoLimit,
}

impl InviteUses {
    /// What one may choose.
    pub const CHOICES: [Self; 3] = [Self::One, Self::Ten, Self::NoLimit];

    /// The choice that `word` stands for in a form.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::CHOICES
            .into_iter()
            .find(|choice| choice.as_str() == word)
    }

    /// The word that stands for the choice.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Ten => "ten",
            Self::NoLimit => "no-limit",
        }
    }

    /// How many that is; none is as many as like.
    #[must_use]
    pub fn count(self) -> Option<i64> {
        match self {
            Self::One => Some(1),
            Self::Ten => Some(10),
            Self::NoLimit => None,
        }
    }
}

/// In words, for a form.
impl fmt::Display for InviteUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "1 person",
            Self::Ten => "10 people",
            Self::NoLimit => "Unlimited",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_was_written() {
        for choice in InviteLife::CHOICES {
            assert_eq!(InviteLife::parse(choice.as_str()), Some(choice));
        }
        for choice in InviteUses::CHOICES {
            assert_eq!(InviteUses::parse(choice.as_str()), Some(choice));
        }
        assert_eq!(InviteLife::parse("year"), None);
        assert_eq!(InviteUses::parse("0"), None);
    }
}
