//! Short texts of one paragraph: the description of a room, and the reason for a ban or a report.

use super::characters::{bound_marks, is_visible, replace_forbidden};
use super::mistake::Mistake;

/// The maximum length of a short text, in characters.
const MAX_CHARS: usize = 300;

/// A room's description: at most 300 characters, empty or with at least one visible character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// Parses a description as typed.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the description.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        const LONG: &str = "The description must be 300 characters or fewer";
        paragraph(typed, LONG).map(Self)
    }

    /// Returns the description for display.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The reason for a ban, shown to the banned person, the owner and the moderators, or for a report, shown to the owner
/// and the moderators: 1 to 300 characters, at least one of them visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Parses a reason as typed.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the reason.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        const LONG: &str = "The reason must be 300 characters or fewer";
        let reason = paragraph(typed, LONG)?;
        if reason.is_empty() {
            return Err(Mistake::new("Enter a reason"));
        }
        Ok(Self(reason))
    }

    /// Returns the reason for display.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of the site, which the operator chooses: 1 to 40 characters, at least one of them visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteName(String);

impl SiteName {
    /// Parses a name as typed.
    ///
    /// # Errors
    /// Returns a sentence for the operator.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        const WRONG: &str = "expected 1 to 40 characters, at least one of them visible";
        const MAX_CHARS: usize = 40;
        let name = paragraph(typed, WRONG)?;
        if name.is_empty() || name.chars().count() > MAX_CHARS {
            return Err(Mistake::new(WRONG));
        }
        Ok(Self(name))
    }

    /// Returns the name for display.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parses one paragraph. Collapses each run of white space into one space, as browsers do when they show it. As in
/// messages, replaces characters that HTML forbids by U+FFFD, and bounds the number of marks on one character. Returns
/// an empty text if no character is visible.
fn paragraph(typed: &str, too_long: &'static str) -> Result<String, Mistake> {
    let words: Vec<&str> = typed.split_whitespace().collect();
    let text = words.join(" ");
    let text: String = bound_marks(text.chars().map(replace_forbidden)).collect();
    if text.chars().count() > MAX_CHARS {
        return Err(Mistake::new(too_long));
    }
    if !text.chars().any(is_visible) {
        return Ok(String::new());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_collapsed() {
        let description = Description::parse("  All about\r\n\r\ntea\t. ").unwrap();

        assert_eq!(description.as_str(), "All about tea .");
    }

    #[test]
    fn a_text_has_at_most_300_characters() {
        assert!(Description::parse(&"é".repeat(300)).is_ok());
        assert!(Description::parse(&"é".repeat(301)).is_err());
        assert!(Reason::parse(&"é".repeat(301)).is_err());
    }

    #[test]
    fn a_description_may_be_empty_but_a_reason_may_not() {
        assert_eq!(Description::parse(" ").unwrap().as_str(), "");
        assert_eq!(Reason::parse(" "), Err(Mistake::new("Enter a reason")));
    }

    #[test]
    fn a_site_name_has_1_to_40_characters() {
        let longest = "é".repeat(40);
        assert_eq!(SiteName::parse(&longest).unwrap().as_str(), longest);
        assert_eq!(
            SiteName::parse(" Tea\nhouse ").unwrap().as_str(),
            "Tea house"
        );
        for wrong in ["", " ", "\u{200b}", &"é".repeat(41), &"é".repeat(301)] {
            assert!(SiteName::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_character_carries_at_most_eight_marks() {
        let description = Description::parse(&format!("Z{}", "\u{301}".repeat(20))).unwrap();

        assert_eq!(description.as_str(), format!("Z{}", "\u{301}".repeat(8)));
    }

    #[test]
    fn a_text_that_shows_nothing_is_empty() {
        for blank in ["\u{200b}", "\u{2800}", "\u{3164} \u{202e}", "\u{301}"] {
            assert_eq!(Description::parse(blank).unwrap().as_str(), "", "{blank:?}");
            assert_eq!(Reason::parse(blank), Err(Mistake::new("Enter a reason")));
        }
    }

    #[test]
    fn characters_forbidden_in_html_are_replaced() {
        let reason = Reason::parse("a\u{0}b\u{7}c\u{fffe}").unwrap();

        assert_eq!(reason.as_str(), "a\u{fffd}b\u{fffd}c\u{fffd}");
    }
}
