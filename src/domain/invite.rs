//! The choices for a new invite link: how long it works, and how many people may use it.

use std::fmt;
use std::time::Duration;

/// How long an invite link works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteLifetime {
    /// One hour.
    Hour,
    /// One day.
    Day,
    /// Seven days.
    Week,
}

impl InviteLifetime {
    /// All choices, in the order of the form.
    pub const CHOICES: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// Parses the value of a form field.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::CHOICES
            .into_iter()
            .find(|choice| choice.as_str() == text)
    }

    /// Returns the value of the choice in a form field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// Returns the time from creating the link until it expires.
    #[must_use]
    pub fn duration(self) -> Duration {
        const HOUR: Duration = Duration::from_secs(3_600);
        match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
        }
    }
}

/// Formats the choice for people, as the label of a form field.
impl fmt::Display for InviteLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "1 hour",
            Self::Day => "1 day",
            Self::Week => "7 days",
        })
    }
}

/// How many people may join with an invite link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteUses {
    /// One person.
    One,
    /// Ten people.
    Ten,
    /// An unlimited number of people.
    Unlimited,
}

impl InviteUses {
    /// All choices, in the order of the form.
    pub const CHOICES: [Self; 3] = [Self::One, Self::Ten, Self::Unlimited];

    /// Parses the value of a form field.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::CHOICES
            .into_iter()
            .find(|choice| choice.as_str() == text)
    }

    /// Returns the value of the choice in a form field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Ten => "ten",
            Self::Unlimited => "no-limit",
        }
    }

    /// Returns the maximum number of people; `None` is unlimited.
    #[must_use]
    pub fn limit(self) -> Option<i64> {
        match self {
            Self::One => Some(1),
            Self::Ten => Some(10),
            Self::Unlimited => None,
        }
    }
}

/// Formats the choice for people, as the label of a form field.
impl fmt::Display for InviteUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "1 person",
            Self::Ten => "10 people",
            Self::Unlimited => "Unlimited",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_survives_a_round_trip_through_text() {
        for choice in InviteLifetime::CHOICES {
            assert_eq!(InviteLifetime::parse(choice.as_str()), Some(choice));
        }
        for choice in InviteUses::CHOICES {
            assert_eq!(InviteUses::parse(choice.as_str()), Some(choice));
        }
        assert_eq!(InviteLifetime::parse("year"), None);
        assert_eq!(InviteUses::parse("0"), None);
    }
}
