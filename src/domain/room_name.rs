//! What rooms are called.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::mistake::Mistake;
use super::names::NameKeys;
use super::username::is_drawn_as_nothing;

/// A room's name: 1 to 64 characters in NFC, without control or direction characters.
///
/// Runs of white space count as one space, as a browser shows them: two names that look the same on
/// the page are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName(String);

impl RoomName {
    /// Takes a name as typed.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        let words: Vec<&str> = typed.split_whitespace().collect();
        let name: String = words.join(" ").nfc().collect();
        if name.is_empty() {
            return Err(Mistake::new("Enter a room name"));
        }
        if name.chars().count() > 64 {
            return Err(Mistake::new("The room name must be 64 characters or fewer"));
        }
        if !name.chars().all(may_stand_in_a_room_name) {
            return Err(Mistake::new(
                "The room name contains a character that cannot be displayed. Type the name again",
            ));
        }
        if !name.chars().any(is_seen) {
            return Err(Mistake::new(
                "The room name must contain at least one visible character",
            ));
        }
        Ok(Self(name))
    }

    /// The name, for showing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What must be unique about it.
    #[must_use]
    pub fn keys(&self) -> NameKeys {
        NameKeys::of(&self.0)
    }
}

/// Of what is drawn as nothing, only what emoji and Indic scripts need is let in: skeletons leave it
/// out. Others, such as the Hangul filler, are blanks that skeletons leave out: names with them would
/// look like names with spaces and yet be other names.
fn may_stand_in_a_room_name(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Unassigned,
    };
    match c {
        '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => true,
        // The tags that make the flags of England, Scotland and Wales.
        '\u{e0020}'..='\u{e007f}' => true,
        _ if is_drawn_as_nothing(c) => false,
        _ => !matches!(
            c.general_category(),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Unassigned
        ),
    }
}

fn is_seen(c: char) -> bool {
    use unicode_properties::GeneralCategoryGroup::{Letter, Number, Punctuation, Symbol};
    // U+2800 is an empty braille pattern: a symbol without a dot.
    c != '\u{2800}'
        && !is_drawn_as_nothing(c)
        && matches!(
            c.general_category_group(),
            Letter | Number | Punctuation | Symbol
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mistake(typed: &str) -> &'static str {
        RoomName::parse(typed).unwrap_err().0
    }

    #[test]
    fn names_of_all_kinds_are_taken() {
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
    fn white_space_counts_as_a_browser_shows_it() {
        assert_eq!(
            RoomName::parse("  Kettle \t\n club ").unwrap().as_str(),
            "Kettle club"
        );
    }

    #[test]
    fn a_name_is_kept_in_nfc() {
        assert_eq!(RoomName::parse("cafe\u{301}").unwrap().as_str(), "café");
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
    fn control_and_direction_characters_are_refused() {
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
    fn a_name_can_be_seen() {
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
        fn what_is_taken_is_a_name_and_read_as_it_is_shown(
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
