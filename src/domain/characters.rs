//! Properties of characters that decide what a text may contain and what of it can be seen.

use icu_properties::CodePointSetData;
use icu_properties::props::{DefaultIgnorableCodePoint, PrependedConcatenationMark};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

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
