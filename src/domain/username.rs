//! The names of people.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::MixedScript;

use super::characters::{bound_marks, has_joiners_in_place, is_default_ignorable};
use super::mistake::Mistake;
use super::names::NameKeys;

/// A person's name: 2 to 32 characters of one script, namely letters with their marks and joiners, digits, `-` and `_`.
///
/// The name is kept as typed, normalized to NFC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Parses a name as typed. Drops white space around the name, and marks beyond the eighth on one
    /// character.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the name.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        let name: String = bound_marks(typed.trim().nfc()).collect();
        if name.is_empty() {
            return Err(Mistake::new("Enter a name"));
        }
        // Names are compared in NFKC, which can be longer than the name as typed.
        let length = name.nfkc().count().max(name.chars().count());
        if length < 2 {
            return Err(Mistake::new("Your name must be at least 2 characters long"));
        }
        if length > 32 {
            return Err(Mistake::new("Your name must be 32 characters or fewer"));
        }
        let is_joiner = |c| matches!(c, '\u{200c}' | '\u{200d}');
        let is_allowed = |c| is_joiner(c) || is_allowed(c);
        if !name.nfkc().all(is_allowed) || !name.chars().all(is_allowed) {
            return Err(Mistake::new(
                "Your name can only contain letters, digits, hyphens (-) and underscores (_)",
            ));
        }
        if !name.chars().any(|c| c.is_alphanumeric()) {
            return Err(Mistake::new(
                "Your name must contain at least one letter or digit",
            ));
        }
        if name
            .chars()
            .next()
            .is_some_and(|c| group(c) == GeneralCategoryGroup::Mark)
        {
            return Err(Mistake::new(
                "Your name must start with a letter, digit, hyphen or underscore",
            ));
        }
        if !has_joiners_in_place(&name) {
            return Err(Mistake::new(
                "Your name contains an invisible joiner where it changes nothing. Type the name again without it",
            ));
        }
        if !name.as_str().is_single_script() {
            return Err(Mistake::new(
                "Use letters from only one alphabet in your name",
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

fn group(c: char) -> GeneralCategoryGroup {
    c.general_category_group()
}

fn is_allowed(c: char) -> bool {
    use unicode_properties::GeneralCategory::{DecimalNumber, NonspacingMark, SpacingMark};
    // Invisible letters and marks (Hangul fillers, variation selectors) would allow names that look the same.
    matches!(c, '-' | '_')
        || (!is_default_ignorable(c)
            && (group(c) == GeneralCategoryGroup::Letter
                || matches!(
                    c.general_category(),
                    DecimalNumber | NonspacingMark | SpacingMark
                )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mistake(typed: &str) -> std::borrow::Cow<'static, str> {
        Username::parse(typed).unwrap_err().0
    }

    #[test]
    fn names_of_many_scripts_are_accepted_as_typed() {
        for name in [
            "ada",
            "Ada-99",
            "_x",
            "विकिपीडिया",
            "สมชาย",
            "עדה",
            "مريم",
            "李小龍",
            "たなかカナ",
            "김철수",
        ] {
            assert_eq!(Username::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_character_carries_at_most_eight_marks() {
        let name = Username::parse(&format!("Zz{}", "\u{334}".repeat(18))).unwrap();

        assert_eq!(name.as_str(), format!("Zz{}", "\u{334}".repeat(8)));
    }

    #[test]
    fn spaces_around_a_name_are_dropped() {
        assert_eq!(Username::parse("  ada ").unwrap().as_str(), "ada");
    }

    #[test]
    fn a_name_has_2_to_32_characters() {
        assert_eq!(mistake(""), "Enter a name");
        assert_eq!(mistake("a"), "Your name must be at least 2 characters long");
        assert!(Username::parse(&"a".repeat(32)).is_ok());
        assert_eq!(
            mistake(&"a".repeat(33)),
            "Your name must be 32 characters or fewer"
        );
    }

    #[test]
    fn a_name_has_only_letters_digits_hyphens_and_underscores() {
        for name in [
            "a b",
            "a.b",
            "a@b",
            "<b>",
            "ada\u{202e}",
            "a\u{200b}b",
            "ad\u{0}a",
            "🦀🦀",
            "a/b",
            "ᅠᅠ",
            "a\u{fe0f}b",
        ] {
            assert!(mistake(name).contains("letters, digits"), "{name:?}");
        }
    }

    #[test]
    fn joiners_are_accepted_where_words_need_them() {
        for name in ["علی\u{200c}رضا", "ක්\u{200d}රිස්"] {
            assert_eq!(Username::parse(name).unwrap().as_str(), name);
        }
        for name in ["al\u{200d}ice", "می\u{200c}", "\u{200c}می"] {
            assert!(mistake(name).contains("invisible joiner"), "{name:?}");
        }
    }

    #[test]
    fn a_name_of_mixed_scripts_is_refused() {
        assert_eq!(
            mistake("аlice"),
            "Use letters from only one alphabet in your name"
        );
    }

    #[test]
    fn a_name_of_hyphens_only_is_refused() {
        assert_eq!(
            mistake("--"),
            "Your name must contain at least one letter or digit"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn an_accepted_name_is_valid_and_parses_to_itself(
            typed in prop_oneof![any::<String>(), "\\PC{2,34}", "[\\p{L}\\p{M}\\p{Nd}_-]{1,12}"],
        ) {
            if let Ok(name) = Username::parse(&typed) {
                // One character can stand for two letters.
                prop_assert!(name.as_str().chars().count() <= 32);
                prop_assert!((2..=32).contains(&name.as_str().nfkc().count().max(name.as_str().chars().count())));
                prop_assert!(!name.as_str().contains(|c: char| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(Username::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(!name.keys().folded_skeleton.is_empty());
            }
        }
    }
}
