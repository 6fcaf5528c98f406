//! Slow mode: how long a person waits between two messages in a room.

use std::fmt;
use std::time::Duration;

use super::timestamp::Lifespan;

/// The minimum time between two messages of one person; zero is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowMode(pub Duration);

impl SlowMode {
    /// The choices of an owner.
    pub const CHOICES: [Self; 4] = [
        Self::OFF,
        Self(Duration::from_secs(5)),
        Self(Duration::from_secs(30)),
        Self::LONGEST,
    ];

    /// The longest choice.
    pub const LONGEST: Self = Self(Duration::from_secs(120));

    /// Slow mode is off.
    pub const OFF: Self = Self(Duration::ZERO);

    /// Parses the value of a form field, in seconds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::CHOICES
            .into_iter()
            .find(|choice| choice.0.as_secs().to_string() == text)
    }

    /// Returns the wait in milliseconds, for the database.
    #[must_use]
    pub fn millis(self) -> i64 {
        Lifespan(self.0).millis()
    }

    /// Returns whether people have to wait.
    #[must_use]
    pub fn is_on(self) -> bool {
        !self.0.is_zero()
    }
}

/// Formats the wait for people: `30 seconds`.
impl fmt::Display for SlowMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Lifespan(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_parsed_from_seconds() {
        assert_eq!(SlowMode::parse("0"), Some(SlowMode::OFF));
        assert_eq!(
            SlowMode::parse("120"),
            Some(SlowMode(Duration::from_secs(120)))
        );
        for text in ["", "1", "-5", "5s"] {
            assert_eq!(SlowMode::parse(text), None, "{text:?}");
        }
    }
}
