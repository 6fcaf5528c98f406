//! The operator's text about the site.

use super::characters::is_visible;
use super::message_text::{Segment, normalize, segments_of};

/// The operator's text about the site, such as its rules, its privacy policy and who runs it: at least one paragraph
/// of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AboutText(Vec<String>);

impl AboutText {
    /// Parses the text of a file. Lines without a visible character separate paragraphs. Returns `None` if no
    /// character is visible.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Windows editors begin UTF-8 files with a byte order mark.
        let text = normalize(text.trim_start_matches('\u{feff}'));
        let lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
        let paragraphs: Vec<String> = lines
            .split(|line| !line.chars().any(is_visible))
            .filter(|lines| !lines.is_empty())
            .map(|lines| lines.join("\n"))
            .collect();
        (!paragraphs.is_empty()).then_some(Self(paragraphs))
    }

    /// Returns the paragraphs, each split into the segments that pages render.
    pub fn paragraphs(&self) -> impl Iterator<Item = Vec<Segment<'_>>> {
        self.0.iter().map(|paragraph| segments_of(paragraph))
    }
}

#[cfg(test)]
mod tests {
    use super::Segment::{LineBreak, Link, Text};
    use super::*;

    fn about(text: &str) -> AboutText {
        AboutText::parse(text).unwrap()
    }

    fn paragraphs(about: &AboutText) -> Vec<Vec<Segment<'_>>> {
        about.paragraphs().collect()
    }

    #[test]
    fn empty_lines_separate_paragraphs_and_line_breaks_are_kept() {
        assert_eq!(
            paragraphs(&about(
                "\u{feff}\nBe kind.\r\n\r\n \n\nAda Lovelace \nSt James\u{2019}s Square\n"
            )),
            [
                vec![Text("Be kind.")],
                vec![
                    Text("Ada Lovelace"),
                    LineBreak,
                    Text("St James\u{2019}s Square")
                ],
            ]
        );
    }

    #[test]
    fn web_addresses_become_links() {
        assert_eq!(
            paragraphs(&about("Rules: https://example.org/rules.")),
            [vec![
                Text("Rules: "),
                Link("https://example.org/rules"),
                Text(".")
            ]]
        );
    }

    #[test]
    fn a_text_that_shows_nothing_is_no_text() {
        for blank in ["", "\n \n", "\u{feff}", "\u{200b}"] {
            assert_eq!(AboutText::parse(blank), None, "{blank:?}");
        }
    }

    #[test]
    fn characters_forbidden_in_html_are_replaced() {
        assert_eq!(paragraphs(&about("a\u{0}b")), [vec![Text("a\u{fffd}b")]]);
    }
}
