//! When two names are the same name: in other letter cases, in other encodings, or to the eye.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

/// What must be unique about a name, computed from the name as typed.
///
/// Two names may not coexist when any of the three is equal. They build on NFKC, default case
/// folding (the Unicode Standard, section 3.13) and the skeleton of UTS 39, section 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameKeys {
    /// The name without its letter case and compatibility forms: what finds it again.
    pub folded: String,
    /// What the folded name looks like.
    pub folded_skeleton: String,
    /// What the name looks like in the letter case it was typed in: tells `aIice` with a capital I
    /// from nothing but `alice`. Folding and a second skeleton make capitals of other scripts that
    /// look like Latin ones fall together with the small letters.
    pub typed_skeleton: String,
}

impl NameKeys {
    /// The keys of `name`.
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

/// NFKC, case folded. Folding can undo NFKC and NFKC can undo folding, hence each twice.
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

    fn alike(one: &str, other: &str) -> bool {
        let (one, other) = (NameKeys::of(one), NameKeys::of(other));
        one.folded == other.folded
            || one.folded_skeleton == other.folded_skeleton
            || one.typed_skeleton == other.typed_skeleton
    }

    #[test]
    fn letter_case_makes_no_other_name() {
        assert!(alike("Alice", "alice"));
        assert!(alike("STRASSE", "straße"));
        assert!(alike("ΣΊΣΥΦΟΣ", "σίσυφος"));
    }

    #[test]
    fn compatibility_forms_make_no_other_name() {
        assert!(alike("ｋｅｔｔｌｅ", "kettle"));
        assert!(alike("ﬁsh", "fish"));
    }

    #[test]
    fn letters_of_another_script_that_look_alike_make_no_other_name() {
        assert!(alike("сосо", "coco"));
        assert!(alike("аlice", "alice"));
        assert!(alike("Міа", "mia"));
        assert!(alike("ΑΒΒΑ", "abba"));
        assert!(alike("іас", "Iac"));
    }

    #[test]
    fn letters_and_digits_that_look_alike_make_no_other_name() {
        assert!(alike("aIice", "alice"));
        assert!(alike("b0b", "bOb"));
        assert!(alike("rnary", "mary"));
    }

    #[test]
    fn names_that_differ_to_the_eye_are_different() {
        assert!(!alike("ada", "bob"));
        assert!(!alike("mail", "mall"));
        assert!(!alike("Ivan", "ian"));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_folded_name_folds_to_itself(name in any::<String>()) {
            let folded = NameKeys::of(&name).folded;

            prop_assert_eq!(&NameKeys::of(&folded).folded, &folded);
        }

        #[test]
        fn the_encoding_of_a_name_makes_no_other_name(name in any::<String>()) {
            let keys = NameKeys::of(&name);

            prop_assert_eq!(&NameKeys::of(&name.nfd().collect::<String>()), &keys);
            prop_assert_eq!(&NameKeys::of(&name.nfc().collect::<String>()), &keys);
        }

        #[test]
        fn letter_case_of_any_latin_name_makes_no_other_name(name in "[a-zA-Z0-9à-öø-þ_-]{1,32}") {
            prop_assert_eq!(
                NameKeys::of(&name.to_uppercase()).folded,
                NameKeys::of(&name.to_lowercase()).folded
            );
        }
    }
}
