//! How a session travels: the cookie, and who is signed in by it.
//!
//! The only place that names `actix_session`. It serves as the carrier of the key alone: it signs
//! and sets the cookie. What the key opens is the business of [`crate::services::sessions`], which
//! lets a database that is away become a page of ours instead of actix-session's empty 500.

use std::collections::HashMap;
use std::future::ready;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use actix_session::config::{CookieContentSecurity, PersistentSession};
use actix_session::storage::{
    LoadError, SaveError, SessionKey as CookieValue, SessionStore, UpdateError,
};
use actix_session::{SessionExt, SessionMiddleware};
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Key, SameSite};
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest};

use crate::config::Config;
use crate::live::sessions::LiveSession;
use crate::security::secret::Secret;
use crate::security::tokens::Token;
use crate::services::sessions;
use crate::web::error::{AppError, StatusOnly};
use crate::web::state::state;

/// How long a browser keeps the cookie: the most that browsers allow (RFC 6265bis, section 5.5).
/// The session behind it ends by its own rules.
const COOKIE_LIFE: Duration = Duration::days(400);
/// Where the carried state has the key.
const KEY: &str = "key";

/// How the cookie is made.
#[derive(Clone)]
pub struct Cookie {
    key: Key,
    is_https: bool,
}

impl Cookie {
    /// The cookie of a server with these settings.
    #[must_use]
    pub fn new(config: &Config, secret: &Secret) -> Self {
        Self {
            key: Key::derive_from(&secret.key("cookie")),
            is_https: config.is_https(),
        }
    }

    /// Reads and sets it.
    #[must_use]
    pub fn middleware(&self) -> SessionMiddleware<Carrier> {
        let name = if self.is_https {
            "__Host-mirage"
        } else {
            "mirage"
        };
        let life = PersistentSession::default().session_ttl(COOKIE_LIFE);
        SessionMiddleware::builder(Carrier, self.key.clone())
            .cookie_name(name.to_owned())
            .cookie_secure(self.is_https)
            .cookie_http_only(true)
            .cookie_same_site(SameSite::Lax)
            .cookie_path("/".to_owned())
            .cookie_content_security(CookieContentSecurity::Signed)
            // Set only when the key changes: a waiting poll's answer would put an old one back.
            .session_lifecycle(life)
            .build()
    }
}

/// A store that stores nothing: the state is the key, and the cookie has it.
pub struct Carrier;

type State = HashMap<String, String>;

impl SessionStore for Carrier {
    fn load(&self, cookie: &CookieValue) -> impl Future<Output = Result<Option<State>, LoadError>> {
        // The state's values are JSON.
        let quoted = format!("\"{}\"", cookie.as_ref());
        ready(Ok(Some(HashMap::from([(KEY.to_owned(), quoted)]))))
    }

    fn save(
        &self,
        state: State,
        _: &Duration,
    ) -> impl Future<Output = Result<CookieValue, SaveError>> {
        let key = state
            .get(KEY)
            .map(|quoted| quoted.trim_matches('"').to_owned());
        let cookie = CookieValue::try_from(key.unwrap_or_default());
        ready(cookie.map_err(|error| SaveError::Other(error.into())))
    }

    async fn update(
        &self,
        _: CookieValue,
        state: State,
        life: &Duration,
    ) -> Result<CookieValue, UpdateError> {
        let saved = self.save(state, life).await;
        saved.map_err(|error| UpdateError::Other(error.into()))
    }

    fn update_ttl(
        &self,
        _: &CookieValue,
        _: &Duration,
    ) -> impl Future<Output = anyhow::Result<()>> {
        ready(Ok(()))
    }

    fn delete(&self, _: &CookieValue) -> impl Future<Output = anyhow::Result<()>> {
        ready(Ok(()))
    }
}

/// The key in the cookie of a request, to be put there or taken away.
pub struct KeyInCookie(HttpRequest);

impl KeyInCookie {
    /// The key the browser sent.
    #[must_use]
    pub fn sent(&self) -> Option<Token> {
        key_in(&self.0)
    }

    /// Gives the browser this key instead, and ends the session it had: nobody could end it any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put(&self, key: &Token) -> Result<(), AppError> {
        if let Some(old) = self.sent() {
            sessions::end(&state(&self.0).core, old.digest()).await?;
        }
        self.0
            .get_session()
            .insert(KEY, key.as_str())
            .map_err(|error| AppError::bug(error.into()))
    }

    /// Takes the browser's key away.
    pub fn take_away(&self) {
        self.0.get_session().purge();
    }
}

impl FromRequest for KeyInCookie {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

/// Whoever asks: somebody who is signed in, or not.
#[derive(Default)]
pub struct Visitor {
    /// Who is signed in.
    pub user: Option<CurrentUser>,
}

impl Visitor {
    /// Who sent `request`.
    ///
    /// # Errors
    /// When the database is asked and fails.
    pub async fn of(request: &HttpRequest) -> Result<Self, AppError> {
        let Some(key) = key_in(request) else {
            return Ok(Self::default());
        };
        let live = sessions::find(&state(request).core, &key).await?;
        Ok(Self {
            user: live.map(CurrentUser),
        })
    }
}

/// The person who is signed in. Having it as a parameter is being for people who are: others are
/// led to signing in, and then back.
pub struct CurrentUser(Arc<LiveSession>);

impl Deref for CurrentUser {
    type Target = LiveSession;

    fn deref(&self) -> &LiveSession {
        &self.0
    }
}

impl CurrentUser {
    async fn of(request: &HttpRequest) -> Result<Self, AppError> {
        let asked_for = || match *request.method() {
            Method::GET | Method::HEAD => request.uri().to_string(),
            _ => request.path().to_owned(),
        };
        let user = Visitor::of(request).await?.user;
        user.ok_or_else(|| {
            let asked_for = asked_for();
            let next = state(request).next_pages.page_at_or_above(&asked_for);
            let next = next.map(ToOwned::to_owned);
            AppError::SignedOut { next }
        })
    }
}

/// The person whose page a script asks for: like [`CurrentUser`], but others get a bare 401.
pub struct ScriptUser(pub CurrentUser);

type Extracting<T, E> = Pin<Box<dyn Future<Output = Result<T, E>>>>;

impl FromRequest for Visitor {
    type Error = AppError;
    type Future = Extracting<Self, AppError>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

impl FromRequest for CurrentUser {
    type Error = AppError;
    type Future = Extracting<Self, AppError>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

impl FromRequest for ScriptUser {
    type Error = StatusOnly;
    type Future = Extracting<Self, StatusOnly>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self(CurrentUser::of(&request).await?)) })
    }
}

fn key_in(request: &HttpRequest) -> Option<Token> {
    request
        .get_session()
        .get(KEY)
        .ok()
        .flatten()
        .map(Token::received)
}
