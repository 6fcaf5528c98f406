//! Passwords of accounts and of rooms, as typed, spaces included, in one Unicode normalization form.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::mistake::Mistake;
use super::names::NameKeys;
use super::username::Username;

/// A password in plain text, on its way to be hashed or verified. Its `Debug` output does not show the
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainPassword(String);

impl PlainPassword {
    /// Makes a password to verify against a hash, of any length.
    #[must_use]
    pub fn typed(typed: &str) -> Self {
        Self(typed.to_owned())
    }

    /// Returns the password in NFC, the form that new hashes are made of. Keyboards and systems differ in the form
    /// that they type (RFC 8265, section 4.2).
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self(self.0.nfc().collect())
    }

    /// Returns the different forms to verify against a hash, most likely first: NFC, then NFD and the password as
    /// typed, for hashes of other forms. An ASCII password has one form.
    #[must_use]
    pub fn forms(&self) -> Vec<Self> {
        let mut forms = vec![self.normalized()];
        for form in [Self(self.0.nfd().collect()), self.clone()] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }

    /// Returns the bytes of the password, for the hash function.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword(…)")
    }
}

/// A password that somebody has chosen for an account, before its strength is estimated: 8 to 128 characters in NFC, not
/// the person's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordCandidate(PlainPassword);

/// A new password for an account: a [`PasswordCandidate`] that is not a common password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPassword(PlainPassword);

impl PasswordCandidate {
    /// Parses a new password for the person called `name`. The name is missing if it has a mistake of its own.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the password.
    pub fn parse(typed: &str, name: Option<&Username>) -> Result<Self, Mistake> {
        if typed.is_empty() {
            return Err(Mistake::new("Enter a password"));
        }
        let password = PlainPassword::typed(typed).normalized();
        let typed = password.0.as_str();
        let length = typed.chars().count();
        if length < 8 {
            return Err(Mistake::new(
                "The password must be at least 8 characters long",
            ));
        }
        if length > 128 {
            return Err(Mistake::new("The password must be 128 characters or fewer"));
        }
        if name.is_some_and(|name| name.keys() == NameKeys::of(typed)) {
            return Err(Mistake::new("The password must not be your name"));
        }
        Ok(Self(password))
    }

    /// Estimates the strength of the password. Takes up to 50 ms of CPU time: count the request first, and call
    /// this where blocking is allowed.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the password, if it is too common.
    pub fn estimate(self) -> Result<AccountPassword, Mistake> {
        if is_common(&self.0.0) {
            return Err(Mistake::new(
                "This password is too common. Choose one that is harder to guess",
            ));
        }
        Ok(AccountPassword(self.0))
    }
}

impl AccountPassword {
    /// Returns the plain password.
    #[must_use]
    pub fn plain(&self) -> &PlainPassword {
        &self.0
    }
}

/// How many characters of a password are estimated together. The longest password on zxcvbn's list of common ones
/// has as many.
///
/// zxcvbn tries all combinations of the letters that digits and signs may stand for, so its cost grows
/// exponentially with the length. On one core, the worst text found (digits and signs that stand for several
/// letters) took 13 ms for 16 characters, 40 ms for 20, which is about an Argon2id hash, 79 ms for 24 and 663 ms
/// for 40.
const ESTIMATED_CHARS: usize = 20;

/// Returns whether somebody who tries common passwords first needs at most ten thousand guesses.
///
/// A longer password is estimated part by part, up to the first part that is hard to guess: if one part is, the
/// whole password is too. Of a password that repeats itself, only the repeated part counts.
///
/// The number of guesses is zxcvbn's estimate (Wheeler, "zxcvbn: Low-Budget Password Strength Estimation",
/// USENIX Security 2016), which is exact for the passwords on its list of common ones. NIST SP 800-63B,
/// section 3.1.1.2, asks for such a list and advises against rules about kinds of characters.
fn is_common(password: &str) -> bool {
    parts(password)
        .iter()
        .all(|part| zxcvbn::zxcvbn(part, &[]).guesses() <= 10_000)
}

/// Returns the parts of a password that are estimated, each with [`ESTIMATED_CHARS`] characters at most.
fn parts(password: &str) -> Vec<String> {
    let mut chars: Vec<char> = password.chars().collect();
    let length = chars.len();
    if length > ESTIMATED_CHARS
        && let Some(period) = (1..length).find(|&p| chars.get(p..) == chars.get(..length - p))
    {
        chars.truncate(period);
    }
    let parts = chars.chunks(ESTIMATED_CHARS);
    parts.map(|part| part.iter().collect()).collect()
}

/// A new password for a private room: 6 to 128 characters in NFC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPassword(PlainPassword);

impl RoomPassword {
    /// Parses a new room password.
    ///
    /// # Errors
    /// Returns a sentence for the person who typed the password.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        if typed.is_empty() {
            return Err(Mistake::new("Enter a password for the room"));
        }
        let password = PlainPassword::typed(typed).normalized();
        let length = password.0.chars().count();
        if length < 6 {
            return Err(Mistake::new(
                "The room password must be at least 6 characters long",
            ));
        }
        if length > 128 {
            return Err(Mistake::new(
                "The room password must be 128 characters or fewer",
            ));
        }
        Ok(Self(password))
    }

    /// Returns the plain password.
    #[must_use]
    pub fn plain(&self) -> &PlainPassword {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str, name: Option<&Username>) -> Result<AccountPassword, Mistake> {
        PasswordCandidate::parse(typed, name)?.estimate()
    }

    fn mistake(typed: &str) -> std::borrow::Cow<'static, str> {
        parse(typed, Some(&Username::parse("kettle-club").unwrap()))
            .unwrap_err()
            .0
    }

    #[test]
    fn a_password_is_kept_exactly_as_typed() {
        let password = parse("  Grün, wie Gras?  ", None).unwrap();

        assert_eq!(
            password.plain().as_bytes(),
            "  Grün, wie Gras?  ".as_bytes()
        );
    }

    #[test]
    fn a_password_is_measured_and_kept_in_nfc() {
        let password = parse("gru\u{308}n und bla\u{308}u", None).unwrap();

        assert_eq!(password.plain().as_bytes(), "grün und bläu".as_bytes());
        assert!(parse(&"x9y\u{308}".repeat(2), None).is_err());
        let room = RoomPassword::parse("u\u{308}u\u{308}u\u{308}ab");
        assert!(room.is_err());
    }

    #[test]
    fn a_password_has_each_form_once() {
        let forms = |typed: &str| -> Vec<String> {
            let forms = PlainPassword::typed(typed).forms();
            forms.into_iter().map(|form| form.0).collect()
        };

        assert_eq!(forms("tea"), ["tea"]);
        assert_eq!(forms("thé"), ["thé", "the\u{301}"]);
        assert_eq!(forms("the\u{301}"), ["thé", "the\u{301}"]);
        assert_eq!(
            forms("é e\u{301}"),
            ["é é", "e\u{301} e\u{301}", "é e\u{301}"]
        );
    }

    #[test]
    fn a_password_has_8_to_128_characters() {
        assert_eq!(mistake(""), "Enter a password");
        assert_eq!(
            mistake("x7#kQ!z"),
            "The password must be at least 8 characters long"
        );
        let long: String = "Yx3! ".repeat(26);
        assert_eq!(
            mistake(&long),
            "The password must be 128 characters or fewer"
        );
        assert!(parse("pärlörfü", None).is_ok());
    }

    #[test]
    fn a_password_must_not_be_the_name() {
        assert_eq!(mistake("Kettle-Club"), "The password must not be your name");
    }

    #[test]
    fn a_common_password_is_refused() {
        for common in [
            "password",
            "12345678",
            "123456789",
            "qwertyuiop",
            "iloveyou",
            "sunshine",
            "Password1",
            "trustno1",
            "aaaaaaaa",
            "football",
        ] {
            assert!(mistake(common).contains("too common"), "{common}");
        }
    }

    #[test]
    fn a_long_password_that_is_common_or_repeats_a_common_one_is_refused() {
        for common in [
            "password".repeat(16),
            "a".repeat(128),
            "1234567890".repeat(3),
            "password".repeat(3) + "pass",
            "123456789987654321".to_owned(),
        ] {
            assert!(mistake(&common).contains("too common"), "{common}");
        }
        // Common parts beside one that is not.
        let strong = format!("{}x7#kQ!zv9Lw", "a".repeat(24));
        assert!(parse(&strong, None).is_ok());
    }

    #[test]
    fn few_characters_of_a_password_are_estimated_together() {
        let costly = |length| {
            let chars = "4@8({[<369&#!1/|0$5+7%2q".chars().cycle();
            chars.take(length).collect::<String>()
        };

        let estimated = parts(&(costly(100) + "Grün, wie Gras? Ja, wie Gras"));
        assert_eq!(estimated.concat().chars().count(), 128);
        assert!(estimated.iter().all(|part| part.chars().count() <= 20));
        assert_eq!(parts(&costly(128)), [costly(20), "7%2q".to_owned()]);
        assert_eq!(parts(&costly(20)), [costly(20)]);
        assert!(parse(&costly(128), None).is_ok());
    }

    #[test]
    fn a_room_password_has_6_to_128_characters() {
        assert!(RoomPassword::parse("12345").is_err());
        assert!(RoomPassword::parse("123456").is_ok());
        assert!(RoomPassword::parse(&"x".repeat(129)).is_err());
    }

    #[test]
    fn debug_output_does_not_show_the_password() {
        let password = RoomPassword::parse("open sesame").unwrap();

        assert!(!format!("{password:?}").contains("sesame"));
    }
}
