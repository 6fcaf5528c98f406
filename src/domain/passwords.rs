//! Passwords as typed: of people and of rooms. Taken exactly as they are, spaces and all.

use std::fmt;

use super::mistake::Mistake;
use super::names::NameKeys;
use super::username::Username;

/// A password in the clear, on its way to be hashed or compared. Never shown, not even by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainPassword(String);

impl PlainPassword {
    /// A password to compare with a hash, whatever its length.
    #[must_use]
    pub fn typed(typed: &str) -> Self {
        Self(typed.to_owned())
    }

    /// Its bytes, for the hash function.
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

/// A new password for an account: 8 to 128 characters, not the name, not a common one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPassword(PlainPassword);

impl AccountPassword {
    /// Takes a password for the person of this name. The name may be missing when it has a mistake
    /// of its own. Takes some milliseconds: call it where blocking is allowed.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(typed: &str, name: Option<&Username>) -> Result<Self, Mistake> {
        if typed.is_empty() {
            return Err(Mistake::new("Enter a password"));
        }
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
        if is_common(typed) {
            return Err(Mistake::new(
                "This password is too common. Choose one that is harder to guess",
            ));
        }
        Ok(Self(PlainPassword::typed(typed)))
    }

    /// The password itself.
    #[must_use]
    pub fn plain(&self) -> &PlainPassword {
        &self.0
    }
}

/// Whether a guesser who tries common passwords first needs at most ten thousand tries.
///
/// The figure is zxcvbn's estimate (Wheeler, "zxcvbn: Low-Budget Password Strength Estimation",
/// USENIX Security 2016), exact for the passwords of its list of common ones. NIST SP 800-63B,
/// section 3.1.1.2, asks for such a list and against rules about kinds of characters.
fn is_common(password: &str) -> bool {
    zxcvbn::zxcvbn(password, &[]).guesses() <= 10_000
}

/// A new password for a private room: 6 to 128 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPassword(PlainPassword);

impl RoomPassword {
    /// Takes a password as typed.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub fn parse(typed: &str) -> Result<Self, Mistake> {
        if typed.is_empty() {
            return Err(Mistake::new("Enter a password for the room"));
        }
        let length = typed.chars().count();
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
        Ok(Self(PlainPassword::typed(typed)))
    }

    /// The password itself.
    #[must_use]
    pub fn plain(&self) -> &PlainPassword {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(typed: &str) -> &'static str {
        AccountPassword::parse(typed, Some(&Username::parse("kettle-club").unwrap()))
            .unwrap_err()
            .0
    }

    #[test]
    fn a_password_is_taken_exactly_as_typed() {
        let password = AccountPassword::parse("  Grün, wie Gras?  ", None).unwrap();

        assert_eq!(
            password.plain().as_bytes(),
            "  Grün, wie Gras?  ".as_bytes()
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
        assert!(AccountPassword::parse("pärlörfü", None).is_ok());
    }

    #[test]
    fn a_password_is_not_the_name() {
        assert_eq!(mistake("Kettle-Club"), "The password must not be your name");
    }

    #[test]
    fn a_password_is_not_a_common_one() {
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
    fn a_room_password_has_6_to_128_characters() {
        assert!(RoomPassword::parse("12345").is_err());
        assert!(RoomPassword::parse("123456").is_ok());
        assert!(RoomPassword::parse(&"x".repeat(129)).is_err());
    }

    #[test]
    fn a_password_is_not_printed() {
        let password = RoomPassword::parse("open sesame").unwrap();

        assert!(!format!("{password:?}").contains("sesame"));
    }
}
