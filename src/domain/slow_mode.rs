//! How long a person waits between two messages in a room.

use std::fmt;
use std::time::Duration;

use super::timestamp::Lifespan;

/// The wait between two messages of a person; zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowMode(pub Duration);

impl SlowMode {
    /// What an owner may choose.
    pub const CHOICES: [Self; 4] = [
        Self::OFF,
        Self(Duration::from_secs(5)),
        Self(Duration::from_secs(30)),
        Self(Duration::from_secs(120)),
    ];

    /// No wait.
    pub const OFF: Self = Self(Duration::ZERO);

    /// The choice that `word` stands for in a form: its seconds.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::CHOICES
            .into_iter()
            .find(|choice| choice.0.as_secs().to_string() == word)
    }

    /// In milliseconds, as the database has it.
    #[must_use]
    pub fn millis(self) -> i64 {
        Lifespan(self.0).millis()
    }

    /// Whether people have to wait.
    #[must_use]
    pub fn is_on(self) -> bool {
        !self.0.is_zero()
    }
}

/// In words, for a sentence: `30 seconds`.
impl fmt::Display for SlowMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Lifespan(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_written_in_seconds() {
        assert_eq!(SlowMode::parse("0"), Some(SlowMode::OFF));
        assert_eq!(
            SlowMode::parse("120"),
            Some(SlowMode(Duration::from_secs(120)))
        );
        for word in ["", "1", "-5", "5s"] {
            assert_eq!(SlowMode::parse(word), None, "{word:?}");
        }
    }
}
