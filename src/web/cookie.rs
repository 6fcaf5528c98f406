//! The session cookie: its name, its signature, and finding it among others.

use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::security::secret::Secret;
use crate::security::tokens::Token;

/// The settings of the cookie.
#[derive(Clone)]
pub struct CookieConfig {
    /// The cookie's name.
    pub name: String,
    /// The name that the cookie had in earlier versions.
    earlier_name: &'static str,
    /// The key that signs the cookie.
    pub key: Key,
    /// Whether the cookie is only sent over TLS.
    pub is_https: bool,
}

impl CookieConfig {
    /// Derives the signing key from `secret`.
    #[must_use]
    pub fn new(secret: &Secret, is_https: bool) -> Self {
        let earlier_name = if is_https { "__Host-mirage" } else { "mirage" };
        // Browsers send a host's cookies to all its ports: servers with different secrets need different names.
        let [a, b, c, d, ..] = secret.key("cookie name");
        let suffix = u32::from_be_bytes([a, b, c, d]);
        Self {
            name: format!("{earlier_name}-{suffix:08x}"),
            earlier_name,
            key: Key::derive_from(&secret.key("cookie")),
            is_https,
        }
    }

    /// Returns a cookie header that signs a browser in by this session key.
    #[must_use]
    pub fn header(&self, key: &Token) -> String {
        let mut jar = CookieJar::new();
        let plain = Cookie::new(self.name.clone(), key.as_str().to_owned());
        jar.signed_mut(&self.key).add(plain);
        let signed = jar
            .get(&self.name)
            .map(|cookie| cookie.encoded().to_string());
        signed.unwrap_or_default()
    }

    /// Returns the cookies with our name in a request's `headers`, whatever bytes other applications on this host put
    /// beside them. The first whose signature is ours counts.
    pub fn named<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = NamedCookie<'a>> {
        let lines = headers.get_all(COOKIE).map(HeaderValue::as_bytes);
        let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
        pairs.filter_map(|pair| {
            let pair = pair.trim_ascii_start();
            let value = [&*self.name, self.earlier_name]
                .into_iter()
                .find_map(|name| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
            let value = std::str::from_utf8(value.trim_ascii_end()).ok()?;
            Some(NamedCookie {
                config: self,
                value,
            })
        })
    }
}

/// A cookie with our name.
#[derive(Clone, Copy)]
pub struct NamedCookie<'a> {
    config: &'a CookieConfig,
    value: &'a str,
}

impl<'a> NamedCookie<'a> {
    /// Returns the value: the signature and the session key.
    #[must_use]
    pub fn value(self) -> &'a str {
        self.value
    }

    /// Returns the session key without verifying the signature, which takes longer than finding a session in use.
    #[must_use]
    pub fn unverified_key(self) -> Option<Token> {
        let start = self.value.len().checked_sub(Token::LENGTH)?;
        self.value.get(start..).map(Token::received)
    }

    /// Returns the session key, if the signature is ours.
    #[must_use]
    pub fn key(self) -> Option<Token> {
        let pair = format!("{}={}", self.config.name, self.value);
        let cookie = Cookie::parse_encoded(pair).ok()?;
        let key = &self.config.key;
        let cookie = CookieJar::new().signed(key).verify(cookie)?;
        Some(Token::received(cookie.value()))
    }
}
