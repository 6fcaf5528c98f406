//! How far a page has followed a room. Opaque to the page.

use std::fmt;
use std::str::FromStr;

/// A position in a room's log. Its text form is two hexadecimal numbers: `2a-7`. A third follows if the reader
/// ignores anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The life of the log: another one after each restart.
    pub(super) life: u64,
    /// The latest event that the page was told.
    pub(super) event: u64,
    /// The stamp of the people whose messages the page was not told of.
    pub(super) ignored: u64,
}

impl Cursor {
    /// Returns whether both are positions in the same life of the log.
    #[must_use]
    pub fn is_of_life_of(self, other: Self) -> bool {
        self.life == other.life
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.life, self.event)?;
        match self.ignored {
            0 => Ok(()),
            ignored => write!(f, "-{ignored:x}"),
        }
    }
}

/// The error for a text that is not a cursor. A poll treats such a text as no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (life, event) = text.split_once('-').ok_or(NotACursor)?;
        let (event, ignored) = event.split_once('-').unwrap_or((event, "0"));
        let number = |hex| u64::from_str_radix(hex, 16).ok().ok_or(NotACursor);
        Ok(Self {
            life: number(life)?,
            event: number(event)?,
            ignored: number(ignored)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_is_parsed_as_it_was_written() {
        for ignored in [0, u64::MAX] {
            let cursor = Cursor {
                life: u64::MAX,
                event: 7,
                ignored,
            };

            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn any_other_text_is_not_a_cursor() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-x",
            "1-2-",
            "1-2-3-4",
            "10000000000000000-1",
            "é-1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_cursor_is_parsed_as_it_was_written(life: u64, event: u64, ignored: u64) {
            let cursor = Cursor { life, event, ignored };

            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn a_text_that_parses_is_a_cursor(
            text in prop_oneof![any::<String>(), "[+0-9a-fA-F-]{0,36}", "[0-9a-f]{1,17}(-[0-9a-f]{1,17}){1,2}"],
        ) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }
}
