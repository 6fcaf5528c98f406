//! The names of rooms.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::characters::{bound_marks, is_default_ignorable, is_visible};
use super::mistake::Mistake;
use super::names::NameKeys;

/// A room's name: 1 to 64 characters in NFC, without control characters and bidirectional controls.
///
/// Runs of white space are collapsed into one space, as a browser shows them, so that two names that look the
/// same on the page are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName(String);

impl RoomName {
    /// Parses a name as typed. Drops marks beyond the eighth on one character.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the name.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        let words: Vec<&str> = typed.split_whitespace().collect();
        let name: String = bound_marks(words.join(" ").nfc()).collect();
        if name.is_empty() {
            return Err(Mistake::new("Enter a room name"));
        }
        if name.chars().count() > 64 {
            return Err(Mistake::new("The room name must be 64 characters or fewer"));
        }
        if !name.chars().all(is_allowed) {
            return Err(Mistake::new(
                "The room name contains a character that cannot be displayed. Type the name again",
            ));
        }
        if !name.chars().any(is_visible) {
            return Err(Mistake::new(
                "The room name must contain at least one visible character",
            ));
        }
        Ok(Self(name))
    }

    /// Returns the name for display.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the keys that must be unique for the name.
    #[must_use]
    pub fn keys(&self) -> NameKeys {
        NameKeys::of(&self.0)
    }

    /// Returns the folded keys by which the name is looked up, as [`NameKeys::lookup`] does.
    #[must_use]
    pub fn lookup_keys(&self) -> [String; 2] {
        NameKeys::lookup(&self.0)
    }
}

/// Returns whether `c` is allowed in a room name. Of the default-ignorable characters, only those that emoji
/// and Indic scripts need are allowed. Some of the others, such as the Hangul filler, are drawn as blanks,
/// but skeletons leave them out: a name with one would look like a name with a space and not conflict with
/// it.
fn is_allowed(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Unassigned,
    };
    match c {
        '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => true,
        // Tag characters, for the flags of England, Scotland and Wales.
        '\u{e0020}'..='\u{e007f}' => true,
        _ if is_default_ignorable(c) => false,
        _ => !matches!(
            c.general_category(),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Unassigned
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mistake(typed: &str) -> std::borrow::Cow<'static, str> {
        RoomName::parse(typed).unwrap_err().0
    }

    #[test]
    fn names_of_all_kinds_are_accepted() {
        for name in [
            "t",
            "Kettle club",
            "Tea & cake <3",
            "غرفة الشاي",
            "चाय",
            "👩‍👩‍👧",
            "#1",
        ] {
            assert_eq!(RoomName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn white_space_is_collapsed() {
        assert_eq!(
            RoomName::parse("  Kettle \t\n club ").unwrap().as_str(),
            "Kettle club"
        );
    }

    #[test]
    fn a_name_is_normalized_to_nfc() {
        assert_eq!(RoomName::parse("cafe\u{301}").unwrap().as_str(), "café");
    }

    #[test]
    fn a_character_carries_at_most_eight_marks() {
        let typed = format!("\u{b85}{}", "\u{bcc}".repeat(63));

        assert_eq!(
            RoomName::parse(&typed).unwrap().as_str(),
            format!("\u{b85}{}", "\u{bcc}".repeat(8))
        );
    }

    #[test]
    fn a_name_has_1_to_64_characters() {
        assert_eq!(mistake(" "), "Enter a room name");
        assert!(RoomName::parse(&"é".repeat(64)).is_ok());
        assert_eq!(
            mistake(&"é".repeat(65)),
            "The room name must be 64 characters or fewer"
        );
    }

    #[test]
    fn control_and_bidirectional_characters_are_refused() {
        for name in [
            "a\u{0}b",
            "a\u{7}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200f}b",
            "a\u{feff}b",
            "a\u{ad}b",
            "a\u{3164}b",
            "a\u{115f}b",
            "\u{3164}",
        ] {
            assert!(mistake(name).contains("cannot be displayed"), "{name:?}");
        }
    }

    #[test]
    fn an_invisible_name_is_refused() {
        for name in ["\u{200d}", "\u{2800}", "\u{301}"] {
            assert!(mistake(name).contains("visible character"), "{name:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn an_accepted_name_is_valid_and_parses_to_itself(
            typed in prop_oneof![any::<String>(), "\\PC{1,66}", "[\\p{L}\\p{M}\\p{S} ]{1,20}"],
        ) {
            if let Ok(name) = RoomName::parse(&typed) {
                prop_assert!((1..=64).contains(&name.as_str().chars().count()));
                prop_assert!(!name.as_str().contains(char::is_control));
                prop_assert_eq!(RoomName::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(!name.keys().folded_skeleton.is_empty());
            }
        }
    }
}
