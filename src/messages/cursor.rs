//! How far a page has followed a room. Opaque to the page.

use std::fmt;
use std::str::FromStr;

/// A place in a room's events: which start of the server, and the latest event that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub(super) start: u64,
    pub(super) event: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.start, self.event)
    }
}

/// A text that is no cursor. To a poll it is the same as having none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (start, event) = text.split_once('-').ok_or(NotACursor)?;
        let number = |hex| u64::from_str_radix(hex, 16).ok().ok_or(NotACursor);
        Ok(Self {
            start: number(start)?,
            event: number(event)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor {
            start: u64::MAX,
            event: 7,
        };

        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-x",
            "1-2-3",
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
        fn any_cursor_is_read_as_it_was_written(start in any::<u64>(), event in any::<u64>()) {
            let cursor = Cursor { start, event };

            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn what_is_read_as_a_cursor_is_one(
            text in prop_oneof![any::<String>(), "[+0-9a-fA-F-]{0,36}", "[0-9a-f]{1,17}-[0-9a-f]{1,17}"],
        ) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }
}
