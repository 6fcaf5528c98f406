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

    /// Returns the session key in a request's `headers`: that of the first cookie with our name and signature.
    #[must_use]
    pub fn session_key(&self, headers: &HeaderMap) -> Option<Token> {
        self.values(headers).find_map(|value| self.verify(value))
    }

    /// Returns the value of the cookie that [`CookieConfig::session_key`] reads, with its signature.
    #[must_use]
    pub fn signed_value<'a>(&'a self, headers: &'a HeaderMap) -> Option<&'a str> {
        self.values(headers)
            .find(|value| self.verify(value).is_some())
    }

    /// Returns the values of our cookies, whatever bytes other applications on this host put beside them.
    fn values<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let lines = headers.get_all(COOKIE).map(HeaderValue::as_bytes);
        let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
        pairs.filter_map(|pair| {
            let pair = pair.trim_ascii_start();
            let value = [&*self.name, self.earlier_name]
                .into_iter()
                .find_map(|name| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
            std::str::from_utf8(value.trim_ascii_end()).ok()
        })
    }

    /// Returns the session key in a cookie's value, if the signature is ours.
    fn verify(&self, value: &str) -> Option<Token> {
        let cookie = Cookie::parse_encoded(format!("{}={value}", self.name)).ok()?;
        let cookie = CookieJar::new().signed(&self.key).verify(cookie)?;
        Some(Token::received(cookie.value().to_owned()))
    }
}
