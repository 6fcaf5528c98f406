//! What people write to each other.

use std::borrow::Cow;

use linkify::{LinkFinder, LinkKind};

use super::mistake::Mistake;

/// The text of a message: 1 to 2,000 characters, lines ended by `\n`, something to see in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageText(String);

/// A piece of a message, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text as it is.
    Text(&'a str),
    /// A new line.
    LineBreak,
    /// An http or https address.
    Link(&'a str),
}

impl MessageText {
    /// The most characters a message may have.
    pub const MOST: usize = 2_000;

    /// Takes a text as typed. White space at the end is left out, and characters that a page cannot
    /// hold (HTML's "noncharacters and controls") become U+FFFD.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        let text: String = typed
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .chars()
            .map(showable)
            .collect();
        let text = text.trim_end().trim_start_matches('\n');
        if text.trim().is_empty() {
            return Err(Mistake::new("Enter a message"));
        }
        let length = text.chars().count();
        if length > Self::MOST {
            return Err(Mistake(Cow::Owned(format!(
                "Your message has {} characters. The limit is 2,000",
                with_commas(length)
            ))));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first words, for the name of the message's Delete link: at most five words and 40
    /// characters, or the first 40 characters of one long word. White space between them is as typed.
    #[must_use]
    pub fn first_words(&self) -> &str {
        const WORDS: usize = 5;
        const CHARACTERS: usize = 40;
        let text = self.0.trim_start();
        let limit = text.char_indices().nth(CHARACTERS);
        let limit = limit.map_or(text.len(), |(limit, _)| limit);
        let mut end = 0;
        for word in text.split_whitespace().take(WORDS) {
            let rest = text.get(end..).unwrap_or_default();
            let word_end = end + rest.find(word).unwrap_or_default() + word.len();
            if word_end > limit {
                break;
            }
            end = word_end;
        }
        let end = if end == 0 { limit } else { end };
        text.get(..end).unwrap_or_default()
    }

    /// The text in the pieces it is shown in.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment<'_>> {
        let mut segments = Vec::new();
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]);
        for (number, line) in self.0.split('\n').enumerate() {
            if number > 0 {
                segments.push(Segment::LineBreak);
            }
            segments.extend(finder.spans(line).map(|span| {
                let is_link = span.kind().is_some() && is_web_address(span.as_str());
                if is_link {
                    Segment::Link(span.as_str())
                } else {
                    Segment::Text(span.as_str())
                }
            }));
        }
        segments
    }
}

/// Writes a number as the hint of the box does: `2,345`.
fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn is_web_address(address: &str) -> bool {
    let scheme = address
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

pub(super) fn showable(c: char) -> char {
    let code = u32::from(c);
    let is_noncharacter = (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe;
    if is_noncharacter || (c.is_control() && !matches!(c, '\n' | '\t')) {
        '\u{fffd}'
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::Segment::{LineBreak, Link, Text};
    use proptest::prelude::*;

    use super::*;

    fn text(typed: &str) -> MessageText {
        MessageText::parse(typed).unwrap()
    }

    #[test]
    fn a_message_has_something_in_it() {
        for empty in ["", " ", "\r\n", "\u{3000}\n"] {
            assert_eq!(MessageText::parse(empty).unwrap_err().0, "Enter a message");
        }
    }

    #[test]
    fn a_message_has_at_most_2000_characters() {
        assert!(MessageText::parse(&"é".repeat(2000)).is_ok());
        for (length, written) in [
            (2_001, "2,001"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(
                MessageText::parse(&"é".repeat(length)).unwrap_err().0,
                format!("Your message has {written} characters. The limit is 2,000")
            );
        }
    }

    #[test]
    fn browsers_line_ends_count_as_one_character() {
        assert!(MessageText::parse(&"a\r\n".repeat(1000)).is_ok());
    }

    #[test]
    fn the_first_words_are_at_most_five_words_and_40_characters() {
        for (typed, first) in [
            ("Kettle on?", "Kettle on?"),
            ("  one two three four five six", "one two three four five"),
            ("one\n\n two", "one\n\n two"),
            (
                "extraordinarily unpronounceable internationalisation",
                "extraordinarily unpronounceable",
            ),
            ("to to to to to to", "to to to to to"),
        ] {
            assert_eq!(text(typed).first_words(), first);
        }
        let long = "é".repeat(50);
        assert_eq!(text(&long).first_words(), "é".repeat(40));
        assert_eq!(text(&format!("{long} x")).first_words(), "é".repeat(40));
    }

    #[test]
    fn lines_are_kept() {
        let message = text("one\r\n\r\n  two");

        assert_eq!(
            message.segments(),
            [Text("one"), LineBreak, LineBreak, Text("  two")]
        );
    }

    #[test]
    fn web_addresses_become_links() {
        let message = text("see https://example.org/a?b=c&d, or (HTTP://example.net).");

        assert_eq!(
            message.segments(),
            [
                Text("see "),
                Link("https://example.org/a?b=c&d"),
                Text(", or ("),
                Link("HTTP://example.net"),
                Text(")."),
            ]
        );
    }

    #[test]
    fn other_addresses_stay_text() {
        for typed in [
            "javascript://x.y/%0aalert(1)",
            "ftp://example.org",
            "data:text/html,x",
            "example.org",
            "a@example.org",
        ] {
            assert!(
                !text(typed).segments().iter().any(|s| matches!(s, Link(_))),
                "{typed}"
            );
        }
    }

    #[test]
    fn characters_no_page_can_hold_are_replaced() {
        assert_eq!(
            text("a\0b\u{1b}c\td\u{ffff}").as_str(),
            "a\u{fffd}b\u{fffd}c\td\u{fffd}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_pieces_of_a_message_are_its_text_and_its_links_lead_to_the_web(
            typed in prop_oneof![
                any::<String>(),
                "(https?|HTTPS?|ftp|javascript|mailto|data):(//)?\\PC{0,20}",
                "([a-z]{1,4}:/{0,3}|[<>\"'&.@ \r\n]|\\PC){0,30}",
            ],
        ) {
            if let Ok(message) = MessageText::parse(&typed) {
                let mut text = String::new();
                for segment in message.segments() {
                    match segment {
                        Text(piece) => text.push_str(piece),
                        LineBreak => text.push('\n'),
                        Link(address) => {
                            let address_in_small = address.to_ascii_lowercase();
                            prop_assert!(
                                address_in_small.starts_with("http://")
                                    || address_in_small.starts_with("https://"),
                                "{address}"
                            );
                            text.push_str(address);
                        }
                    }
                }
                prop_assert_eq!(&text, message.as_str());
                prop_assert_eq!(MessageText::parse(&text), Ok(message));
            }
        }
    }
}
