//! Properties of characters that decide what a text may contain and what of it can be seen.

use icu_properties::props::{
    DefaultIgnorableCodePoint, JoiningType, PrependedConcatenationMark, SoftDotted,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Returns whether `c` is a default-ignorable character, which is usually invisible. The skeleton of UTS 39
/// leaves these characters out.
pub(super) fn is_default_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Returns whether a reader sees something where `c` stands. A mark needs a letter to stand on. Unassigned and
/// private characters are drawn as boxes at least.
pub(super) fn is_visible(c: char) -> bool {
    use GeneralCategory::{
        Control, EnclosingMark, Format, LineSeparator, NonspacingMark, ParagraphSeparator,
        SpaceSeparator, SpacingMark,
    };
    if is_default_ignorable(c) || is_blank(c) {
        return false;
    }
    match c.general_category() {
        Control | EnclosingMark | LineSeparator | NonspacingMark | ParagraphSeparator
        | SpaceSeparator | SpacingMark => false,
        // Such as U+06DD, the sign around the number of a verse.
        Format => CodePointSetData::new::<PrependedConcatenationMark>().contains(c),
        _ => true,
    }
}

/// Returns whether `c` is a letter or symbol without ink, and not default-ignorable as the Hangul fillers are.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        // The braille pattern without dots.
        '\u{2800}'
        // The placeholder of an object that was not copied along.
        | '\u{fffc}'
        // Egyptian hieroglyphs: full blank and half blank.
        | '\u{13441}' | '\u{13442}'
        // The musical note without a head.
        | '\u{1d159}'
    )
}

/// The maximum number of marks on one character. The longest known stack of real text, a Tibetan seed syllable
/// (U+0F67 and its marks), has eight.
const MAX_MARKS: usize = 8;

/// Drops the marks beyond the eighth on one character, for good. Thousands of marks on one character are one
/// grapheme cluster, which browsers draw in one piece, as wide or high as all of them.
///
/// Invisible characters between marks, such as joiners, do not begin a new count.
pub(super) fn bound_marks(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    use GeneralCategory::{EnclosingMark, Format, NonspacingMark, SpacingMark};
    let mut marks = 0;
    text.filter(move |&c| {
        // Looking up a category takes longer than the rest, and ASCII has no marks.
        if c.is_ascii() {
            marks = 0;
            return true;
        }
        let category = c.general_category();
        if matches!(category, EnclosingMark | NonspacingMark | SpacingMark) {
            marks += 1;
            return marks <= MAX_MARKS;
        }
        if category != Format && !is_default_ignorable(c) {
            marks = 0;
        }
        true
    })
}

/// Drops the dots above that cannot be seen, because the letter below has a dot of its own, which a mark above
/// replaces, or is the dotless form of such a letter. As in the hidden overlay check of ICU's spoof checker, only
/// marks that are not above may stand between. Returns NFC.
pub(super) fn without_hidden_dots(text: &str) -> String {
    let mut hides_dot = false;
    let is_kept = |&c: &char| {
        if c == '\u{307}' && hides_dot {
            return false;
        }
        hides_dot = match canonical_combining_class(c) {
            0 => {
                let is_dotless = matches!(c, '\u{131}' | '\u{237}');
                is_dotless || CodePointSetData::new::<SoftDotted>().contains(c)
            }
            // Another mark above.
            230 => false,
            _ => hides_dot,
        };
        true
    };
    text.nfd().filter(is_kept).nfc().collect()
}

/// Returns whether each zero width joiner and non-joiner in `text` stands where UAX 31, section 2.3, allows it:
/// a non-joiner between letters that would be joined (A1), and either after a virama within or at the end of a
/// syllable (A2 and B).
pub(super) fn has_joiners_in_place(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    chars.iter().enumerate().all(|(at, &c)| {
        let (before, after) = chars.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        match c {
            '\u{200c}' => breaks_joining(before, after) || follows_virama(before, after),
            '\u{200d}' => follows_virama(before, after),
            _ => true,
        }
    })
}

/// Returns whether the letters before and after a non-joiner would be joined without it.
fn breaks_joining(before: &[char], after: &[char]) -> bool {
    let joining = CodePointMapData::<JoiningType>::new();
    let is_letter = |c: &char| joining.get(*c) != JoiningType::Transparent;
    let last = before.iter().copied().rev().find(is_letter);
    let next = after.iter().copied().find(is_letter);
    let joins_on = [JoiningType::DualJoining, JoiningType::LeftJoining];
    let joins_back = [JoiningType::DualJoining, JoiningType::RightJoining];
    last.is_some_and(|c| joins_on.contains(&joining.get(c)))
        && next.is_some_and(|c| joins_back.contains(&joining.get(c)))
}

/// Returns whether the characters before a joiner end with a letter and a virama, and a letter, or nothing of the
/// same syllable, follows.
fn follows_virama(before: &[char], after: &[char]) -> bool {
    const VIRAMA: u8 = 9;
    let is_mark = |c: &char| c.general_category_group() == GeneralCategoryGroup::Mark;
    let is_letter = |c: &char| c.general_category_group() == GeneralCategoryGroup::Letter;
    let marks: Vec<char> = before.iter().copied().rev().take_while(is_mark).collect();
    let letter = before.iter().rev().nth(marks.len());
    letter.is_some_and(is_letter)
        && marks
            .iter()
            .any(|&c| canonical_combining_class(c) == VIRAMA)
        && after.first().is_none_or(|c| !is_mark(c))
}

/// Returns whether `c` ends a line (UAX 14, classes BK, CR, LF and NL). Slides and word processors write line
/// breaks within a paragraph as U+000B or U+2028.
pub(super) fn is_line_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Replaces a character that HTML forbids ("noncharacters and controls") by U+FFFD.
pub(super) fn replace_forbidden(c: char) -> char {
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
    use proptest::prelude::*;

    use super::*;

    fn bounded(text: &str) -> String {
        bound_marks(text.chars()).collect()
    }

    #[test]
    fn a_character_carries_at_most_eight_marks() {
        for (base, mark) in [("Z", "\u{301}"), ("\u{b85}", "\u{bcc}"), ("a", "\u{488}")] {
            let typed = format!("{base}{}b{mark}", mark.repeat(1_998));

            let expected = format!("{base}{}b{mark}", mark.repeat(8));
            assert_eq!(bounded(&typed), expected);
        }
    }

    #[test]
    fn invisible_characters_between_marks_do_not_begin_a_new_count() {
        for between in [
            "\u{200d}", "\u{200c}", "\u{200b}", "\u{ad}", "\u{34f}", "\u{202e}",
        ] {
            let typed = format!("Z{}", format!("\u{301}{between}").repeat(100));

            let marks = bounded(&typed).matches('\u{301}').count();
            assert!(marks <= 8, "{between:?}: {marks}");
        }
    }

    #[test]
    fn joiners_are_in_place_where_they_change_the_letters() {
        for text in [
            "علی\u{200c}رضا",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ක්\u{200d}රි",
            "നന്\u{200d}",
            "क्\u{200c}ष",
        ] {
            assert!(has_joiners_in_place(text), "{text:?}");
        }
        for text in [
            "a\u{200c}b",
            "a\u{200d}b",
            "\u{200c}می",
            "می\u{200c}",
            "دا\u{200c}ر",
            "कम\u{200d}ल",
            "می\u{200d}خ",
            "می\u{200c}\u{200c}خ",
        ] {
            assert!(!has_joiners_in_place(text), "{text:?}");
        }
    }

    #[test]
    fn a_dot_above_a_dotted_letter_is_hidden() {
        for (text, seen) in [
            ("ali\u{307}", "ali"),
            ("ı\u{307}", "ı"),
            ("j\u{307}", "j"),
            ("\u{456}\u{307}", "\u{456}"),
            ("i\u{323}\u{307}", "\u{1ecb}"),
            ("i\u{307}\u{301}", "í"),
            ("i\u{301}\u{307}", "í\u{307}"),
            ("ż", "ż"),
            ("İ", "İ"),
        ] {
            assert_eq!(without_hidden_dots(text), seen, "{text:?}");
        }
    }

    #[test]
    fn real_text_keeps_its_marks() {
        for text in [
            "ที่นี้ น้ำแข็ง",
            "\u{f67}\u{f90}\u{fb5}\u{fa8}\u{fb3}\u{fba}\u{fbc}\u{fbb}\u{f82}",
            "བསྒྲུབས",
            "הָאָֽרֶץ׃ שְׁ֖מַּ",
            "क्षत्रिय स्त्री र्द्ध्र्य",
            "கௌரவம்",
            "မြွှေ့ ကျွန်ုပ်",
            "ខ្ញុំ",
            "Tiếng Việt",
            "مُحَمَّدٌ",
            "👩🏽\u{200d}❤\u{fe0f}\u{200d}👩 5\u{fe0f}\u{20e3}",
        ] {
            assert_eq!(bounded(text), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn bounding_marks_is_idempotent(text in "([a-z]|\\p{M}|\\p{Cf}|\\PC){0,60}") {
            let once = bounded(&text);

            prop_assert_eq!(bounded(&once), once);
        }
    }
}
