//! Short texts of one paragraph: what a room is about, and why somebody is banned.

use super::message_text::showable;
use super::mistake::Mistake;

/// The most characters of a short text.
const MOST: usize = 300;

/// What a room is about: up to 300 characters, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// Takes a description as typed.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        const LONG: &str = "The description must be 300 characters or fewer";
        paragraph(typed, LONG).map(Self)
    }

    /// The description, for showing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why somebody is banned, for them to read: 1 to 300 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanReason(String);

impl BanReason {
    /// Takes a reason as typed.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        const LONG: &str = "The reason must be 300 characters or fewer";
        let reason = paragraph(typed, LONG)?;
        if reason.is_empty() {
            return Err(Mistake::new("Enter a reason"));
        }
        Ok(Self(reason))
    }

    /// The reason, for showing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One paragraph: runs of white space count as one space, as a browser shows them, and characters that
/// a page cannot hold become U+FFFD, as in messages.
fn paragraph(typed: &str, too_long: &'static str) -> Result<String, Mistake> {
    let words: Vec<&str> = typed.split_whitespace().collect();
    let text: String = words.join(" ").chars().map(showable).collect();
    if text.chars().count() > MOST {
        return Err(Mistake::new(too_long));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_paragraph() {
        let description = Description::parse("  All about\r\n\r\ntea\t. ").unwrap();

        assert_eq!(description.as_str(), "All about tea .");
    }

    #[test]
    fn a_text_has_up_to_300_characters() {
        assert!(Description::parse(&"é".repeat(300)).is_ok());
        assert!(Description::parse(&"é".repeat(301)).is_err());
        assert!(BanReason::parse(&"é".repeat(301)).is_err());
    }

    #[test]
    fn a_reason_says_something() {
        assert_eq!(Description::parse(" ").unwrap().as_str(), "");
        assert_eq!(BanReason::parse(" "), Err(Mistake::new("Enter a reason")));
    }

    #[test]
    fn what_a_page_cannot_hold_is_replaced() {
        let reason = BanReason::parse("a\u{0}b\u{7}c\u{fffe}").unwrap();

        assert_eq!(reason.as_str(), "a\u{fffd}b\u{fffd}c\u{fffd}");
    }
}
