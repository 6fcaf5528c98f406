//! The text of messages.

use std::borrow::Cow;

use super::characters::{bound_marks, is_line_break, is_visible, replace_forbidden};
use super::links;
use super::mistake::Mistake;

/// The text of a message: 1 to 2,000 characters, at least one of them visible, with lines separated by `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageText(String);

/// A part of a text, as pages render it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Plain text.
    Text(&'a str),
    /// A line break.
    LineBreak,
    /// An `http` or `https` URL, as typed. Pages show it with [`Segment::shown`].
    Link(&'a str),
}

impl MessageText {
    /// The maximum length of a message, in characters.
    pub const MAX_CHARS: usize = 2_000;

    /// Parses a text as typed. Drops white space at the end and empty lines at the start. Line breaks of all
    /// kinds become `\n`, and characters that HTML forbids ("noncharacters and controls") become U+FFFD. Marks beyond
    /// the eighth on one character are dropped.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the text.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        let text = normalize(typed);
        let text = text.trim_end().trim_start_matches('\n');
        if !text.chars().any(is_visible) {
            return Err(Mistake::new("Enter a message"));
        }
        let length = text.chars().count();
        if length > Self::MAX_CHARS {
            return Err(Mistake(Cow::Owned(format!(
                "Your message has {} characters. The limit is 2,000",
                with_commas(length)
            ))));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
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
        let mut words = 0;
        let mut end = 0;
        let mut is_in_word = false;
        for (number, (at, c)) in text.char_indices().enumerate() {
            if is_in_word && c.is_whitespace() {
                words += 1;
                end = at;
            }
            if words == 0 && number == CHARACTERS {
                end = at;
            }
            if words == WORDS || number == CHARACTERS {
                return text.get(..end).unwrap_or_default();
            }
            is_in_word = !c.is_whitespace();
        }
        text
    }

    /// Splits the text into the segments that pages render.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment<'_>> {
        segments_of(&self.0)
    }
}

/// Replaces line breaks of all kinds by `\n`, and characters that HTML forbids by U+FFFD. Bounds the number of marks on
/// one character.
pub(super) fn normalize(typed: &str) -> String {
    // These stay as they are, and are copied many at a time. No mark counts on after one.
    let is_plain = |byte: u8| matches!(byte, b'\n' | b' '..=b'~');
    let mut text = String::with_capacity(typed.len());
    let mut rest = typed;
    while !rest.is_empty() {
        let plain = rest.bytes().take_while(|byte| is_plain(*byte)).count();
        let (plain, after) = rest.split_at(plain);
        let special = after.bytes().take_while(|byte| !is_plain(*byte)).count();
        let (special, after) = after.split_at(special);
        text.push_str(plain);
        text.extend(bound_marks(normalize_special(special, after)));
        rest = after;
    }
    text
}

/// Normalizes the characters of `special`, which `after` follows.
fn normalize_special(special: &str, after: &str) -> impl Iterator<Item = char> {
    // Of the two characters of a line break, the second stays.
    let is_in_pair = |at: usize| at + 1 == special.len() && after.starts_with('\n');
    let chars = special
        .char_indices()
        .filter(move |&(at, c)| c != '\r' || !is_in_pair(at));
    chars.map(|(_, c)| {
        if is_line_break(c) {
            '\n'
        } else {
            replace_forbidden(c)
        }
    })
}

/// Splits a text whose lines are separated by `\n` into segments.
pub(super) fn segments_of(text: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            segments.push(Segment::LineBreak);
        }
        let mut rest = line;
        while let Some((before, link, after)) = links::split_at_link(rest) {
            if !before.is_empty() {
                segments.push(Segment::Text(before));
            }
            segments.push(Segment::Link(link));
            rest = after;
        }
        if !rest.is_empty() {
            segments.push(Segment::Text(rest));
        }
    }
    segments
}

/// Formats a number as the hint of the box does: `2,345`.
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

impl Segment<'_> {
    /// Returns the URL of a link as pages show it, with invisible characters and those that change the direction
    /// of text percent-encoded.
    #[must_use]
    pub fn shown(link: &str) -> Cow<'_, str> {
        links::shown(link)
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
    fn an_empty_message_is_refused() {
        for empty in ["", " ", "\r\n", "\u{3000}\n"] {
            assert_eq!(MessageText::parse(empty).unwrap_err().0, "Enter a message");
        }
    }

    #[test]
    fn a_message_that_shows_nothing_is_refused() {
        for blank in [
            "\u{200b}",
            "\u{2800}\u{2800}",
            "\u{115f}\u{1160}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{e0020}\u{e007f}",
            "\u{fe0f}",
            "\u{301}\u{488}",
            "\u{202e}\u{2066}\u{2069}",
            "\u{fff9}\u{fffb}",
            "\u{1d159}",
            "\u{ad} \u{a0}\n\u{200d}",
        ] {
            assert_eq!(
                MessageText::parse(blank).unwrap_err().0,
                "Enter a message",
                "{blank:?}"
            );
        }
        for seen in [
            ".",
            "\u{2801}",
            "ᄀ",
            "❤\u{fe0f}",
            "\u{200b}x",
            "\u{6dd}",
            "\u{e000}",
        ] {
            assert!(MessageText::parse(seen).is_ok(), "{seen:?}");
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
    fn a_character_carries_at_most_eight_marks() {
        assert_eq!(
            text(&format!("\u{b85}{}", "\u{bcc}".repeat(1_998))).as_str(),
            format!("\u{b85}{}", "\u{bcc}".repeat(8))
        );
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
    fn line_breaks_and_indentation_are_kept() {
        let message = text("one\r\n\r\n  two");

        assert_eq!(
            message.segments(),
            [Text("one"), LineBreak, LineBreak, Text("  two")]
        );
    }

    #[test]
    fn line_breaks_of_all_kinds_are_line_breaks() {
        let message = text("a\u{b}b\u{c}c\u{85}d\u{2028}e\u{2029}f\rg\r\nh");

        assert_eq!(message.as_str(), "a\nb\nc\nd\ne\nf\ng\nh");
        assert_eq!(
            MessageText::parse("\u{b}\u{2028}").unwrap_err().0,
            "Enter a message"
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
    fn characters_forbidden_in_html_are_replaced() {
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
        fn segments_add_up_to_the_text_and_links_are_http(
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
                        Text(part) => text.push_str(part),
                        LineBreak => text.push('\n'),
                        Link(address) => {
                            let lowercase = address.to_ascii_lowercase();
                            prop_assert!(
                                lowercase.starts_with("http://")
                                    || lowercase.starts_with("https://"),
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
