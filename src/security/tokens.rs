//! Tokens: random secrets that give access to a session or a link to whoever has them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::secret::random_bytes;

/// A secret of 256 random bits in unpadded base64url, for a cookie or a URL. The server stores only the
/// token's digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The length of a token in characters.
    pub const LENGTH: usize = 43;

    /// Makes a new token.
    #[must_use]
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
    }

    /// Makes a token from the text that a browser sent. The text is not checked: a malformed token matches no
    /// digest.
    #[must_use]
    pub fn received(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Returns the token's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the digest that the database stores.
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

/// The SHA-256 digest of a token. It identifies the token's session or link, and does not give access to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Parses the hexadecimal form that the database stores.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, offset) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(hex.get(offset..offset + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Returns the digest in lowercase hexadecimal, as the database stores it.
    #[must_use]
    pub fn to_hex(self) -> String {
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16));
        let mut hex = String::with_capacity(64);
        hex.extend(digits);
        hex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_random_bits_and_is_hidden_in_debug_output() {
        let token = Token::random();

        assert_eq!(URL_SAFE_NO_PAD.decode(token.as_str()).unwrap().len(), 32);
        assert_eq!(token.as_str().len(), Token::LENGTH);
        assert_ne!(token, Token::random());
        assert!(!format!("{token:?}").contains(token.as_str()));
    }

    #[test]
    fn the_digest_is_the_sha256_of_the_token() {
        // FIPS 180-2, appendix B.1
        let digest = Token::received("abc").digest();

        assert_eq!(
            digest.to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_digest_survives_a_round_trip_through_hexadecimal() {
        let digest = Token::random().digest();

        assert_eq!(TokenDigest::from_hex(&digest.to_hex()), Some(digest));
        for text in ["", "ab", &"é".repeat(32), &"x".repeat(64), &"+1".repeat(32)] {
            assert_eq!(TokenDigest::from_hex(text), None, "{text:?}");
        }
    }
}
