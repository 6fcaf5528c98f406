//! Which names count as the same: those that differ only in letter case or encoding, and those that look
//! alike.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::characters::{bound_marks, without_hidden_dots};

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

/// Separates a key from what makes it unique. No name contains this character.
const SEPARATOR: char = '\u{1f}';

impl NameKeys {
    /// The version of the computation below. Increase it when existing names get other keys: the server then
    /// computes the keys of all rows once more.
    pub const VERSION: i64 = 1;

    /// Computes the keys of `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let typed: String = without_hidden_dots(&name.nfkc().collect::<String>());
        let folded = fold(&typed);
        Self {
            folded_skeleton: skeleton(&folded),
            typed_skeleton: skeleton(&fold(&skeleton(&typed))),
            folded,
        }
    }

    /// Returns the folded form of what somebody searches for, as typed. It is empty if that is nothing.
    #[must_use]
    pub fn searched(typed: &str) -> String {
        let words: Vec<&str> = typed.split_whitespace().collect();
        Self::of(&words.join(" ")).folded
    }

    /// Computes the keys of a name that is set aside: an existing name that has begun to conflict with an older
    /// one because the computation has changed. Such a name is found by its exact spelling only.
    #[must_use]
    pub fn set_aside(name: &str) -> Self {
        let name: String = bound_marks(name.nfc()).collect();
        let keys = Self::of(&name);
        let aside = |key: String| format!("{key}{SEPARATOR}{name}");
        Self {
            folded: aside(keys.folded),
            folded_skeleton: aside(keys.folded_skeleton),
            typed_skeleton: aside(keys.typed_skeleton),
        }
    }

    /// Returns the folded keys under which `name` may be stored. If both are, the greater one is meant: it is of
    /// the name set aside with this spelling.
    #[must_use]
    pub fn lookup(name: &str) -> [String; 2] {
        [Self::of(name).folded, Self::set_aside(name).folded]
    }

    /// Returns the range of the keys of all names that conflict with a name with this `key` and are set aside.
    #[must_use]
    pub fn range_set_aside(key: &str) -> (String, String) {
        let first = format!("{key}{SEPARATOR}");
        let last = format!("{first}{}", char::MAX);
        (first, last)
    }
}

/// Normalizes `text` to NFKC, folds its case, and drops hidden dots and excess marks. Each step of NFKC and folding
/// runs again because folding can undo NFKC, and NFKC can undo folding.
fn fold(text: &str) -> String {
    let folded: String = text
        .nfkc()
        .default_case_fold()
        .nfkc()
        .default_case_fold()
        .nfkc()
        .collect();
    bound_marks(without_hidden_dots(&folded).chars()).collect()
}

/// Returns the skeleton of UTS 39, without the dots that are hidden above the letters of the skeleton.
fn skeleton(text: &str) -> String {
    let skeleton: String = unicode_security::skeleton(text).collect();
    without_hidden_dots(&skeleton).nfd().collect()
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
    fn names_that_differ_in_a_hidden_dot_conflict() {
        for (one, other) in [
            ("ali", "ali\u{307}"),
            ("ali", "alı\u{307}"),
            ("jan", "j\u{307}an"),
            ("\u{456}\u{307}ван", "\u{456}ван"),
            ("ali", "ALİ"),
            ("i\u{323}\u{307}x", "\u{1ecb}x"),
        ] {
            assert!(conflict(one, other), "{one:?} {other:?}");
        }
        assert!(!conflict("zara", "żara"));
        assert_eq!(NameKeys::of("İzmir").folded, NameKeys::of("izmir").folded);
    }

    #[test]
    fn a_name_set_aside_is_found_by_its_exact_spelling() {
        let aside = NameKeys::set_aside("ali\u{307}");

        assert_eq!(NameKeys::lookup("ali\u{307}")[1], aside.folded);
        assert!(!NameKeys::lookup("ali").contains(&aside.folded));
        assert!(NameKeys::of("ali").folded < aside.folded);
        let (first, last) = NameKeys::range_set_aside(&NameKeys::of("ali").folded_skeleton);
        assert!(first < aside.folded_skeleton && aside.folded_skeleton < last);
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
