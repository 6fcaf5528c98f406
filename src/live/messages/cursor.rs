//! How far a page has followed a room, and when it was last told. Opaque to the page.

use std::fmt;
use std::str::FromStr;

use crate::domain::SiteTime;

/// A position in a room's log, and its time. Its text form is three hexadecimal numbers: `2a-7-1f`. A fourth follows
/// if the reader ignores anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The life of the log: another one after each restart.
    pub(super) life: u64,
    /// The latest event that the page was told.
    pub(super) event: u64,
    /// The site time of the answer with this cursor, for what the page is told of other rooms.
    pub(super) made_at: SiteTime,
    /// The stamp of the people whose messages the page was not told of.
    pub(super) ignored: u64,
}

impl Cursor {
    /// The most bytes of the text form: four numbers of 16 digits.
    pub const MAX_LENGTH: usize = 4 * 16 + 3;

    /// Returns the site time of the answer with this cursor.
    #[must_use]
    pub fn made_at(self) -> SiteTime {
        self.made_at
    }

    /// Returns whether both are positions in the same life of the log.
    #[must_use]
    pub fn is_of_life_of(self, other: Self) -> bool {
        self.life == other.life
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { life, event, .. } = self;
        write!(f, "{life:x}-{event:x}-{:x}", self.made_at.0)?;
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
        let (event, made_at) = event.split_once('-').ok_or(NotACursor)?;
        let (made_at, ignored) = made_at.split_once('-').unwrap_or((made_at, "0"));
        let number = |hex| u64::from_str_radix(hex, 16).ok().ok_or(NotACursor);
        Ok(Self {
            life: number(life)?,
            event: number(event)?,
            made_at: SiteTime(i64::try_from(number(made_at)?).or(Err(NotACursor))?),
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
                made_at: SiteTime(i64::MAX),
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
            "1-2",
            "1-2-",
            "1-2-8000000000000000",
            "1-2-3-",
            "1-2-3-4-5",
            "10000000000000000-1-1",
            "é-1-1",
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
        fn any_cursor_is_parsed_as_it_was_written(
            life: u64,
            event: u64,
            made_at in 0..=i64::MAX,
            ignored: u64,
        ) {
            let made_at = SiteTime(made_at);
            let cursor = Cursor { life, event, made_at, ignored };

            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            prop_assert!(cursor.to_string().len() <= Cursor::MAX_LENGTH);
        }

        #[test]
        fn a_text_that_parses_is_a_cursor(
            text in prop_oneof![any::<String>(), "[+0-9a-fA-F-]{0,36}", "[0-9a-f]{1,17}(-[0-9a-f]{1,17}){2,3}"],
        ) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }
}
