//! The session cookie, and the extractors for the signed-in user.
//!
//! The only module that uses `actix_session`, which only signs and sets the cookie, on the routes where a session
//! begins or ends. The cookie holds the session's key, and [`crate::services::sessions`] looks the session up, so that
//! a database failure becomes an error page instead of actix-session's empty 500.

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
use actix_web::body::MessageBody;
use actix_web::cookie::SameSite;
use actix_web::cookie::time::Duration;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{COOKIE, HeaderValue, USER_AGENT};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest};

use crate::live::sessions::LiveSession;
use crate::security::tokens::Token;
use crate::services::sessions::{self, Client};
use crate::urls::at_now;
use crate::web::client_address;
use crate::web::cookie::{CookieConfig, NamedCookie};
use crate::web::error::{AppError, StatusOnly};
use crate::web::state::state;

/// How long a browser keeps the cookie: the maximum that browsers allow (RFC 6265bis, section 5.5). The session
/// itself expires by its own rules.
const COOKIE_LIFE: Duration = Duration::days(400);
/// The name of the session's key in actix-session's state.
const KEY: &str = "key";

/// Returns the middleware that sets and clears the cookie. Only routes where a session begins or ends need it.
#[must_use]
pub fn middleware(cookie: &CookieConfig) -> SessionMiddleware<CookieOnlyStore> {
    let life = PersistentSession::default().session_ttl(COOKIE_LIFE);
    SessionMiddleware::builder(CookieOnlyStore, cookie.key.clone())
        .cookie_name(cookie.name.clone())
        .cookie_secure(cookie.is_https)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        .cookie_path("/".to_owned())
        .cookie_content_security(CookieContentSecurity::Signed)
        // By default the cookie is set only when the key changes. If every answer set it, a waiting poll's
        // answer would restore an old key.
        .session_lifecycle(life)
        .build()
}

/// A session store that stores nothing: the state is only the key, which is in the cookie.
pub struct CookieOnlyStore;

type State = HashMap<String, String>;

impl SessionStore for CookieOnlyStore {
    fn load(&self, cookie: &CookieValue) -> impl Future<Output = Result<Option<State>, LoadError>> {
        // actix-session keeps values as JSON.
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

/// Takes the cookies of other applications out of a request: actix-session reads none if it cannot read all.
///
/// # Errors
/// The errors of the wrapped services.
pub async fn drop_foreign_cookies<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let own = own_pair(request.request());
    match own {
        Some(own) => request.headers_mut().insert(COOKIE, own),
        None => request.headers_mut().remove(COOKIE),
    };
    next.call(request).await
}

/// Returns the cookie that counts, as actix-session reads it.
fn own_pair(request: &HttpRequest) -> Option<HeaderValue> {
    let config = &state(request).cookie;
    let mut named = config.named(request.headers());
    let own = named.find(|cookie| cookie.key().is_some())?;
    format!("{}={}", config.name, own.value()).try_into().ok()
}

/// The session cookie of a request, for reading, setting and clearing it, on routes with [`middleware`].
pub struct SessionCookie(HttpRequest);

impl SessionCookie {
    /// Returns the key that the browser sent.
    #[must_use]
    pub fn key(&self) -> Option<Token> {
        key_in(&self.0)
    }

    /// Returns what is recorded of the browser when somebody signs in with it.
    #[must_use]
    pub fn client(&self) -> Client {
        let user_agent = self.0.headers().get(USER_AGENT);
        Client {
            address: client_address::of(&self.0),
            user_agent: user_agent
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            previous_key: self.key(),
        }
    }

    /// Sets the browser's key.
    ///
    /// # Errors
    /// When the key cannot be put into a cookie, which is a bug.
    pub fn set(&self, key: &Token) -> Result<(), AppError> {
        self.0
            .get_session()
            .insert(KEY, key.as_str())
            .map_err(|error| AppError::bug(error.into()))
    }

    /// Clears the cookie.
    pub fn clear(&self) {
        self.0.get_session().purge();
    }
}

impl FromRequest for SessionCookie {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

/// The sender of a request, signed in or not.
#[derive(Default)]
pub struct Visitor {
    /// The signed-in user.
    pub user: Option<CurrentUser>,
}

impl Visitor {
    /// Returns the session of `request` if it is in use, which takes no waiting.
    fn in_use(request: &HttpRequest) -> Option<Arc<LiveSession>> {
        let state = state(request);
        // Any other cookie counts only if the first does not.
        let cookie = state.cookie.named(request.headers()).next()?;
        sessions::find_in_use(&state.core, &cookie.unverified_key()?)
    }

    /// Returns the sender of `request`.
    ///
    /// # Errors
    /// When the session is not cached and the database fails.
    pub async fn of(request: &HttpRequest) -> Result<Self, AppError> {
        let state = state(request);
        let mut live = None;
        for cookie in state.cookie.named(request.headers()) {
            // A session in use needs no signature, because nobody else can know its key. The signature saves the
            // database from looking for keys that somebody made up.
            let key = cookie.unverified_key();
            live = key.and_then(|key| sessions::find_in_use(&state.core, &key));
            if live.is_some() {
                break;
            }
            if let Some(key) = cookie.key() {
                live = sessions::find(&state.core, &key).await?;
                break;
            }
        }
        Ok(Self {
            user: live.map(CurrentUser),
        })
    }
}

/// The signed-in user. A handler with this parameter requires signing in: other visitors are redirected to the
/// sign-in page, and then back.
pub struct CurrentUser(Arc<LiveSession>);

impl Deref for CurrentUser {
    type Target = LiveSession;

    fn deref(&self) -> &LiveSession {
        &self.0
    }
}

impl CurrentUser {
    async fn of(request: &HttpRequest) -> Result<Self, AppError> {
        let requested = || match *request.method() {
            Method::GET | Method::HEAD => request.uri().to_string(),
            _ => request.path().to_owned(),
        };
        let user = Visitor::of(request).await?.user;
        user.ok_or_else(|| {
            let requested = requested();
            let next = state(request).next_pages.page_at_or_above(&requested);
            let next = next.map(at_now);
            AppError::SignedOut { next }
        })
    }
}

/// The signed-in user, for requests by a script: like [`CurrentUser`], but others get a 401 with status only.
pub struct ScriptUser(pub CurrentUser);

type ExtractFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>>>>;

impl FromRequest for Visitor {
    type Error = AppError;
    type Future = ExtractFuture<Self, AppError>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

impl FromRequest for CurrentUser {
    type Error = AppError;
    type Future = ExtractFuture<Self, AppError>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(live) = Visitor::in_use(request) {
            return Box::pin(ready(Ok(Self(live))));
        }
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

impl FromRequest for ScriptUser {
    type Error = StatusOnly;
    type Future = ExtractFuture<Self, StatusOnly>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(live) = Visitor::in_use(request) {
            return Box::pin(ready(Ok(Self(CurrentUser(live)))));
        }
        let request = request.clone();
        Box::pin(async move { Ok(Self(CurrentUser::of(&request).await?)) })
    }
}

/// Returns the key of the session that the browser of `request` says it has. The session may have ended.
#[must_use]
pub fn key_in(request: &HttpRequest) -> Option<Token> {
    let mut named = state(request).cookie.named(request.headers());
    named.find_map(NamedCookie::key)
}
