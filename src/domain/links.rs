//! Finding web addresses in text.
//!
//! The end of an address follows UTS 58: some characters end it, some belong to it only if more of it follows,
//! and a closing bracket belongs to it only with its opening bracket. Unlike there, a full stop of Chinese or
//! Japanese directly after an ASCII character ends the address, because no space follows it.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::Ipv6Addr;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::characters::is_default_ignorable;

/// Splits `text` at its first `http` or `https` URL, into the text before, the URL and the text after.
pub(super) fn split_at_link(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices("://").find_map(|(separator, _)| {
        let (before, scheme) = split_scheme(text.split_at(separator).0)?;
        let (_, address) = text.split_at(separator + "://".len());
        let length = address_length(address, before.chars().next_back())?;
        let (_, from_scheme) = text.split_at(before.len());
        let (link, after) = from_scheme.split_at(scheme.len() + "://".len() + length);
        Some((before, link, after))
    })
}

/// Returns the URL as pages show it. Characters that change the direction of text or are invisible are
/// percent-encoded, so that the address reads as it is.
pub(super) fn shown(link: &str) -> Cow<'_, str> {
    if !link.contains(is_deceptive) {
        return Cow::Borrowed(link);
    }
    let mut shown = String::with_capacity(link.len());
    for c in link.chars() {
        if is_deceptive(c) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string does not fail.
                let _ = write!(shown, "%{byte:02X}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Returns whether `c` is invisible or changes the direction of text. Joiners and variation selectors are
/// not meant: Persian words and emoji need them.
fn is_deceptive(c: char) -> bool {
    let is_needed = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
    !is_needed && (is_default_ignorable(c) || c.general_category() == GeneralCategory::Format)
}

/// Splits the text before `://` into the text before the scheme and the scheme, if the scheme is `http` or
/// `https`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let before = text.trim_end_matches(is_of_scheme);
    let scheme = text
        .strip_prefix(before)?
        .trim_start_matches(['+', '-', '.']);
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if !is_web || before.ends_with('@') {
        return None;
    }
    Some((text.strip_suffix(scheme)?, scheme))
}

/// Returns the length in bytes of the address at the start of `text`, which follows `://`. `before` is the
/// character before the scheme.
fn address_length(text: &str, before: Option<char>) -> Option<usize> {
    let user_info = user_info_length(text);
    let (_, host) = text.split_at(user_info);
    let authority = match host_length(host) {
        Some(host) => user_info + host,
        None => host_length(text)?,
    };
    let (_, rest) = text.split_at(authority);
    let port = port_length(rest);
    let (_, rest) = rest.split_at(port);
    Some(authority + port + path_length(rest, before.and_then(closing_quote)))
}

/// Returns the length of `user:password@`, or 0.
fn user_info_length(text: &str) -> usize {
    let is_of_user_info = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:".contains(c);
    let rest = text.trim_start_matches(is_of_user_info);
    if rest.starts_with('@') {
        text.len() - rest.len() + 1
    } else {
        0
    }
}

/// Returns the length of the host at the start of `text`: an IPv6 address in brackets, or labels separated by
/// dots.
fn host_length(text: &str) -> Option<usize> {
    if let Some(text) = text.strip_prefix('[') {
        let (address, _) = text.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return Some(address.len() + "[]".len());
    }
    let mut end = None;
    let mut previous = '.';
    for (at, c) in text.char_indices() {
        match c {
            '.' if previous == '.' => break,
            '-' if previous == '.' => break,
            '.' | '-' => {}
            _ if is_of_label(c) => end = Some(at + c.len_utf8()),
            _ => break,
        }
        previous = c;
    }
    end
}

fn is_of_label(c: char) -> bool {
    let is_joiner = matches!(c, '\u{200c}' | '\u{200d}');
    let is_mark = c.general_category_group() == GeneralCategoryGroup::Mark;
    c == '_' || is_joiner || ((c.is_alphanumeric() || is_mark) && !is_default_ignorable(c))
}

/// Returns the length of `:` and a port number, or 0.
fn port_length(text: &str) -> usize {
    let digits = text.strip_prefix(':').unwrap_or_default();
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    match digits.len() - rest.len() {
        0 => 0,
        count => count + ":".len(),
    }
}

/// What a character does to the end of an address (UTS 58, `Link_Term`).
enum Term {
    /// It is part of the address.
    Include,
    /// It ends the address.
    Hard,
    /// It is part of the address if more of the address follows.
    Soft,
    /// It opens a pair that this character closes.
    Open(char),
    /// It closes a pair, and ends the address if the pair was opened outside.
    Close,
}

/// Returns the length of the path, query and fragment at the start of `text`. `closing` ends them: it closes the
/// quotation that the link stands in.
fn path_length(text: &str, closing: Option<char>) -> usize {
    if !text.starts_with(['/', '?', '#']) {
        return 0;
    }
    let mut open = Vec::new();
    let mut end = 0;
    let mut previous = '/';
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        let is_stop = previous.is_ascii() && is_fullwidth_stop(c);
        if is_stop || (Some(c) == closing && open.last() != Some(&c)) {
            break;
        }
        match term(c) {
            Term::Hard => break,
            Term::Include => end = after,
            Term::Soft => {}
            Term::Open(closing) => open.push(closing),
            // An apostrophe is also a closing quotation mark.
            Term::Close if open.last() != Some(&c) && c == '\u{2019}' => {}
            Term::Close if open.pop() == Some(c) => end = after,
            Term::Close => break,
        }
        previous = c;
    }
    end
}

fn term(c: char) -> Term {
    use GeneralCategory::{
        ClosePunctuation, Control, FinalPunctuation, InitialPunctuation, OpenPunctuation,
        OtherPunctuation, PrivateUse, Unassigned,
    };
    match c {
        // Zero width space: where a word ends in scripts without spaces.
        '"' | '<' | '>' | '|' | '`' | '\u{200b}' => Term::Hard,
        '?' | '!' | '.' | ',' | ':' | ';' | '*' | '\'' => Term::Soft,
        _ if c.is_whitespace() => Term::Hard,
        _ if is_deceptive(c) => Term::Soft,
        _ => match c.general_category() {
            Control | PrivateUse | Unassigned => Term::Hard,
            OtherPunctuation if !c.is_ascii() => Term::Soft,
            OpenPunctuation | InitialPunctuation => Term::Open(closing(c)),
            ClosePunctuation | FinalPunctuation => Term::Close,
            _ => Term::Include,
        },
    }
}

/// Returns the character that closes what `opening` opens.
fn closing(opening: char) -> char {
    const PAIRS: &[(char, char)] = &[
        ('(', ')'),
        ('[', ']'),
        ('{', '}'),
        ('«', '»'),
        ('‹', '›'),
        ('“', '”'),
        ('‘', '’'),
        ('⟨', '⟩'),
        ('〈', '〉'),
        ('《', '》'),
        ('「', '」'),
        ('『', '』'),
        ('【', '】'),
        ('〔', '〕'),
        ('〖', '〗'),
        ('（', '）'),
        ('［', '］'),
        ('｛', '｝'),
        ('｢', '｣'),
    ];
    let pair = PAIRS.iter().find(|(first, _)| *first == opening);
    pair.map_or(opening, |(_, closing)| *closing)
}

/// Returns the character that ends a quotation that begins directly before a link, where the character alone
/// does not.
fn closing_quote(opening: char) -> Option<char> {
    match opening {
        '\'' => Some('\''),
        '‘' | '’' | '‚' => Some('’'),
        '»' => Some('«'),
        '›' => Some('‹'),
        '„' => Some('“'),
        _ => None,
    }
}

/// Returns whether `c` ends a sentence or a part of a sentence in Chinese or Japanese.
fn is_fullwidth_stop(c: char) -> bool {
    matches!(
        c,
        '。' | '，' | '、' | '；' | '：' | '！' | '？' | '．' | '｡' | '､' | '…'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_link(text: &str, link: &str) {
        let found = split_at_link(text).map(|(_, link, _)| link);
        assert_eq!(found, Some(link), "{text}");
    }

    #[test]
    fn a_link_ends_before_punctuation_of_any_script() {
        for after in [
            "。下一句",
            "，再说",
            "！",
            "？",
            "、",
            "”",
            "」",
            "）",
            "》",
            "\u{3000}x",
            "\u{a0}x",
            "\u{200b}x",
            "؟",
            "।",
            "…",
            "\"x",
            "|x",
            "<b>",
            ".",
            "...",
            "?",
            ")",
            "]",
            "}",
            "»",
            "’",
        ] {
            for link in [
                "https://example.com",
                "https://example.com/a",
                "http://127.0.0.1:8080/i/Ab-9_c",
                "https://example.com/?a=b#c",
                "https://example.com:8443",
            ] {
                assert_link(&format!("参见{link}{after}"), link);
            }
        }
    }

    #[test]
    fn a_link_in_quotation_marks_ends_before_the_closing_one() {
        for (open, close) in [
            ("“", "”"),
            ("‘", "’"),
            ("„", "“"),
            ("»", "«"),
            ("«", "»"),
            ("'", "'"),
            ("\"", "\""),
            ("「", "」"),
            ("（", "）"),
            ("(", ")"),
            ("[", "]"),
        ] {
            let text = format!("{open}https://example.com/a{close}x");
            assert_link(&text, "https://example.com/a");
        }
    }

    #[test]
    fn punctuation_and_brackets_within_an_address_belong_to_it() {
        for link in [
            "https://ja.wikipedia.org/wiki/サクラ_(曖昧さ回避)",
            "https://ja.wikipedia.org/wiki/モーニング娘。のメンバー",
            "https://fr.wikipedia.org/wiki/L’Avare",
            "https://de.wikipedia.org/wiki/Straße",
            "https://example.com/a(b)c",
            "https://example.com/「a」",
            "https://example.com/a.b,c;d:e?f=g!h*i'j",
            "https://example.com/?a[]=1&b={c}",
            "https://fa.wikipedia.org/wiki/می\u{200c}خواهم",
            "https://bücher.example/ü",
            "https://example.com#top",
            "http://[2001:db8::1]/x",
            "http://[::1]:8080/",
            "http://localhost:8080/x",
            "https://user:pass@example.org/",
            "https://web.archive.org/web/https://example.org/",
        ] {
            assert_link(link, link);
            assert_link(&format!("x ({link}), y"), link);
        }
    }

    #[test]
    fn what_is_no_web_address_is_no_link() {
        for text in [
            "https://",
            "https:///x",
            "http://。",
            "http://[x]/",
            "http://[::1",
            "xhttps://a.b",
            "1http://a.b",
            "a@http://a.b",
            "://a.b",
            "https://-a",
            "http://.a",
            "http://\u{202e}a",
            "http://\u{3164}",
        ] {
            assert_eq!(split_at_link(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_without_invisible_characters() {
        let link = "https://example.org/\u{202e}gpj.exe";

        assert_link(link, link);
        assert_eq!(shown(link), "https://example.org/%E2%80%AEgpj.exe");
        assert_link("https://example.org/a\u{202c} b", "https://example.org/a");
        assert_link("https://example.org\u{202e}/a", "https://example.org");
        assert_eq!(
            shown("https://a.b/👩\u{200d}👧"),
            "https://a.b/👩\u{200d}👧"
        );
    }
}
