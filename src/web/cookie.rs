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
    /// The key that signs the cookie.
    pub key: Key,
    /// Whether the cookie is only sent over TLS.
    pub is_https: bool,
}

/// The name that the cookie had in earlier versions.
const EARLIER_NAME: &str = "mirage";

impl CookieConfig {
    /// Derives the signing key from `secret`.
    #[must_use]
    pub fn new(secret: &Secret, is_https: bool) -> Self {
        let prefix = if is_https { "__Host-" } else { "" };
        // Browsers send a host's cookies to all its ports: servers with different secrets need different names.
        let [a, b, c, d, ..] = secret.key("cookie name");
        let suffix = u32::from_be_bytes([a, b, c, d]);
        Self {
            name: format!("{prefix}{EARLIER_NAME}-{suffix:08x}"),
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

    /// Returns what the `Cookie` headers of a request must be replaced by: the first cookie with our name and a
    /// valid signature, or no cookie. `None` means that the headers need no change.
    #[must_use]
    pub fn own_cookie(&self, headers: &HeaderMap) -> Option<Option<HeaderValue>> {
        let mut lines = headers.get_all(COOKIE);
        let first = lines.next()?.as_bytes();
        let is_only = lines.next().is_none() && !first.contains(&b';');
        if is_only && first.starts_with(self.name.as_bytes()) {
            return None;
        }
        let earlier = if self.is_https {
            "__Host-mirage"
        } else {
            EARLIER_NAME
        };
        // Splits bytes, not text: other applications on this host may have set cookies with any bytes.
        let pairs = headers
            .get_all(COOKIE)
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let own = pairs.filter_map(|pair| {
            let (name, value) = std::str::from_utf8(pair.trim_ascii())
                .ok()?
                .split_once('=')?;
            let is_ours = name == self.name || name == earlier;
            let pair = is_ours.then(|| format!("{}={value}", self.name))?;
            let mut jar = CookieJar::new();
            jar.add_original(Cookie::parse_encoded(pair.clone()).ok()?);
            jar.signed(&self.key).get(&self.name)?;
            HeaderValue::from_str(&pair).ok()
        });
        Some({ own }.next())
    }
}
