//! Tokens: random secrets that open something to whoever has them, a session or a link.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::secret::random_bytes;

/// A secret of 256 random bits, as text for a cookie or an address. The server keeps only its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
    }

    /// A token as it was sent.
    #[must_use]
    pub fn sent(token: String) -> Self {
        Self(token)
    }

    /// The token, for a cookie or an address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the database knows of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The SHA-256 of a token: names what the token opens, and opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest that is written so in the database.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(hex.get(place..place + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// As the database has it.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_random_bits_and_is_not_printed() {
        let token = Token::random();

        assert_eq!(URL_SAFE_NO_PAD.decode(token.as_str()).unwrap().len(), 32);
        assert_ne!(token, Token::random());
        assert!(!format!("{token:?}").contains(token.as_str()));
    }

    #[test]
    fn the_digest_is_the_sha256_of_the_token() {
        // FIPS 180-2, appendix B.1
        let digest = Token::sent("abc".to_owned()).digest();

        assert_eq!(
            digest.to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let digest = Token::random().digest();

        assert_eq!(TokenDigest::from_hex(&digest.to_hex()), Some(digest));
        for text in ["", "ab", &"é".repeat(32), &"x".repeat(64), &"+1".repeat(32)] {
            assert_eq!(TokenDigest::from_hex(text), None, "{text:?}");
        }
    }
}
