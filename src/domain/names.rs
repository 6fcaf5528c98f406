//! Which names count as the same: those that differ only in letter case or encoding, and those that look
//! alike.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

/// The keys that must be unique for a name.
///
/// Two names conflict when any of the three keys is equal. The keys build on NFKC, default case folding (the
/// Unicode Standard, section 3.13) and the skeleton of UTS 39, section 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameKeys {
    /// The name without letter case and compatibility forms. Names are looked up by this key.
    pub folded: String,
    /// The skeleton of the folded name: equal for folded names that look alike.
    pub folded_skeleton: String,
    /// The skeleton of the name in its original letter case, folded, and its skeleton again. It makes `aIice`
    /// with a capital I conflict with `alice`. Folding and the second skeleton make capitals of other scripts
    /// that look like Latin ones equal to the small letters.
    pub typed_skeleton: String,
}

impl NameKeys {
    /// Computes the keys of `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let typed: String = name.nfkc().collect();
        let folded = fold(&typed);
        Self {
            folded_skeleton: skeleton(&folded).collect(),
            typed_skeleton: skeleton(&fold(&skeleton(&typed).collect::<String>())).collect(),
            folded,
        }
    }
}

/// Normalizes `text` to NFKC and folds its case. Each step runs again because folding can undo NFKC, and NFKC
/// can undo folding.
fn fold(text: &str) -> String {
    text.nfkc()
        .default_case_fold()
        .nfkc()
        .default_case_fold()
        .nfkc()
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conflict(one: &str, other: &str) -> bool {
        let (one, other) = (NameKeys::of(one), NameKeys::of(other));
        one.folded == other.folded
            || one.folded_skeleton == other.folded_skeleton
            || one.typed_skeleton == other.typed_skeleton
    }

    #[test]
    fn names_that_differ_in_letter_case_conflict() {
        assert!(conflict("Alice", "alice"));
        assert!(conflict("STRASSE", "straße"));
        assert!(conflict("ΣΊΣΥΦΟΣ", "σίσυφος"));
    }

    #[test]
    fn names_that_differ_in_compatibility_forms_conflict() {
        assert!(conflict("ｋｅｔｔｌｅ", "kettle"));
        assert!(conflict("ﬁsh", "fish"));
    }

    #[test]
    fn names_with_lookalike_letters_of_another_script_conflict() {
        assert!(conflict("сосо", "coco"));
        assert!(conflict("аlice", "alice"));
        assert!(conflict("Міа", "mia"));
        assert!(conflict("ΑΒΒΑ", "abba"));
        assert!(conflict("іас", "Iac"));
    }

    #[test]
    fn names_with_lookalike_letters_and_digits_conflict() {
        assert!(conflict("aIice", "alice"));
        assert!(conflict("b0b", "bOb"));
        assert!(conflict("rnary", "mary"));
    }

    #[test]
    fn names_that_look_different_do_not_conflict() {
        assert!(!conflict("ada", "bob"));
        assert!(!conflict("mail", "mall"));
        assert!(!conflict("Ivan", "ian"));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn folding_is_idempotent(name in any::<String>()) {
            let folded = NameKeys::of(&name).folded;

            prop_assert_eq!(&NameKeys::of(&folded).folded, &folded);
        }

        #[test]
        fn the_encoding_of_a_name_does_not_change_its_keys(name in any::<String>()) {
            let keys = NameKeys::of(&name);

            prop_assert_eq!(&NameKeys::of(&name.nfd().collect::<String>()), &keys);
            prop_assert_eq!(&NameKeys::of(&name.nfc().collect::<String>()), &keys);
        }

        #[test]
        fn letter_case_of_a_latin_name_does_not_matter(name in "[a-zA-Z0-9à-öø-þ_-]{1,32}") {
            prop_assert_eq!(
                NameKeys::of(&name.to_uppercase()).folded,
                NameKeys::of(&name.to_lowercase()).folded
            );
        }
    }
}
