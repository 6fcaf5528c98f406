//! What people are called.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::MixedScript;

use super::mistake::Mistake;
use super::names::NameKeys;

/// A person's name: 2 to 32 characters, letters with their marks, digits, `-` and `_`, of one script.
///
/// It is kept as typed, in NFC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Takes a name as typed; spaces around it do not count.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        let name: String = typed.trim().nfc().collect();
        if name.is_empty() {
            return Err(Mistake::new("Enter a name"));
        }
        // Counted in NFKC too, which is what the name is compared in and can be longer.
        let length = name.nfkc().count().max(name.chars().count());
        if length < 2 {
            return Err(Mistake::new("Your name must be at least 2 characters long"));
        }
        if length > 32 {
            return Err(Mistake::new("Your name must be 32 characters or fewer"));
        }
        if !name.nfkc().all(may_stand_in_a_name) || !name.chars().all(may_stand_in_a_name) {
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
        if !name.as_str().is_single_script() {
            return Err(Mistake::new(
                "Use letters from only one alphabet in your name",
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

fn group(c: char) -> GeneralCategoryGroup {
    c.general_category_group()
}

fn may_stand_in_a_name(c: char) -> bool {
    use unicode_properties::GeneralCategory::{DecimalNumber, NonspacingMark, SpacingMark};
    // Letters and marks that are drawn as nothing (Hangul fillers, variation selectors) would make
    // names that cannot be told apart.
    matches!(c, '-' | '_')
        || (!is_drawn_as_nothing(c)
            && (group(c) == GeneralCategoryGroup::Letter
                || matches!(
                    c.general_category(),
                    DecimalNumber | NonspacingMark | SpacingMark
                )))
}

/// Whether `c` is a default-ignorable character: UTS 39's skeleton leaves those out.
pub(super) fn is_drawn_as_nothing(c: char) -> bool {
    unicode_security::skeleton(c.encode_utf8(&mut [0; 4]))
        .next()
        .is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mistake(typed: &str) -> &'static str {
        Username::parse(typed).unwrap_err().0
    }

    #[test]
    fn names_of_many_scripts_are_taken_as_typed() {
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
    fn spaces_around_a_name_do_not_count() {
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
    fn a_name_is_of_one_script() {
        assert_eq!(
            mistake("аlice"),
            "Use letters from only one alphabet in your name"
        );
    }

    #[test]
    fn a_name_is_not_all_dashes() {
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
        fn what_is_taken_is_a_name_and_read_as_it_is_shown(
            typed in prop_oneof![any::<String>(), "\\PC{2,34}", "[\\p{L}\\p{M}\\p{Nd}_-]{1,12}"],
        ) {
            if let Ok(name) = Username::parse(&typed) {
                prop_assert!((2..=32).contains(&name.as_str().chars().count()));
                prop_assert!(!name.as_str().contains(|c: char| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(Username::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(!name.keys().folded_skeleton.is_empty());
            }
        }
    }
}
