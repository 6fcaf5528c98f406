//! The forms of signed-in pages, and the problems of a form, for the summary above the form and beside its fields.

use std::borrow::Cow;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::{Mistake, UserId};
use crate::web::error::AppError;
use crate::web::session::Visitor;
use crate::web::state::state;
use crate::web::urlencoded::{self, Pair};

/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

type ExtractFuture<T> = Pin<Box<dyn Future<Output = Result<T, AppError>>>>;

/// Extracts a form as a `T`, whose fields are texts.
///
/// The limits on its size are those of [`crate::web::connections::buffer_body`].
pub struct Form<T>(T);

impl<T> Deref for Form<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = AppError;
    type Future = ExtractFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form = is_form(request);
        let payload = payload.take();
        Box::pin(async move {
            let body = read(is_form, payload).await?;
            let form = urlencoded::collect(urlencoded::pairs(&body));
            Ok(Self(form.map_err(|_repeated| AppError::BadRequest)?))
        })
    }
}

/// Returns whether a request says that it has a form. Forms are UTF-8, whatever `charset` it names (URL Standard,
/// section 5).
fn is_form(request: &HttpRequest) -> bool {
    let media_type = request.headers().get(CONTENT_TYPE);
    media_type.is_some_and(|value| {
        let mut parts = value.as_bytes().split(|byte| *byte == b';');
        let media_type = parts.next().unwrap_or_default();
        media_type
            .trim_ascii()
            .eq_ignore_ascii_case(FORM.as_bytes())
    })
}

async fn read(is_form: bool, mut payload: Payload) -> Result<Bytes, AppError> {
    if !is_form {
        return Err(AppError::BadRequest);
    }
    let mut body = Bytes::new();
    // The body is in one part, because it was received before.
    while let Some(part) = payload.next().await {
        let part = part.map_err(|_broken_off| AppError::BadRequest)?;
        body = if body.is_empty() {
            part
        } else {
            [body, part].concat().into()
        };
    }
    Ok(body)
}

/// Extracts the form of a signed-in page, unless the page was made for another person than who is signed in now.
///
/// Somebody else may have signed in in another tab of the same browser. The answer is then
/// [`AppError::AnotherPerson`], and the handler does not run.
///
/// Each such form says in its field `for` whom its page was made for. It is the plain id, without a signature,
/// because it guards against a mistake: only the person themselves could gain a request by forging it, and they can
/// send that request anyway. A form without the field is not compared, so that pages of an older version still work.
/// Signed-out visitors pass too: the handler decides what they may do.
pub struct OwnForm<T>(T);

/// The fields of a form of a signed-in page.
pub trait Fields: DeserializeOwned + 'static {
    /// The fields that people type text into, as name and label, in the order of the page. What was typed is given
    /// back when another person sends the form, so passwords are never among them.
    const TYPED: &'static [(&'static str, &'static str)] = &[];
}

/// A form without fields of its own, such as a single button.
///
/// Handlers still extract it, so that a body that is not a form is refused.
#[derive(Debug, Deserialize)]
pub struct EmptyForm {}

impl Fields for EmptyForm {}

impl<T> Deref for OwnForm<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Fields> FromRequest for OwnForm<T> {
    type Error = AppError;
    type Future = ExtractFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        let request = request.clone();
        Box::pin(async move {
            let body = read(is_form(&request), payload).await?;
            let sent: Vec<Pair<'_>> = urlencoded::pairs(&body).collect();
            if let Some(user) = Visitor::of(&request).await?.user
                && is_made_for_another(value_of(&sent, "for"), user.user_id)
            {
                let page = state(&request)
                    .next_pages
                    .page_at_or_above(request.path())
                    .map(str::to_owned);
                return Err(AppError::AnotherPerson {
                    name: user.user_name.to_string(),
                    typed: typed::<T>(&sent),
                    page,
                });
            }
            let form = urlencoded::collect(sent.into_iter());
            Ok(Self(form.map_err(|_unreadable| AppError::BadRequest)?))
        })
    }
}

/// Returns whether a page that says `made_for` was made for another person than `user`. Empty says nothing.
#[must_use]
pub fn is_made_for_another(made_for: &str, user: UserId) -> bool {
    !made_for.is_empty() && made_for != user.to_string()
}

fn value_of<'a>(sent: &'a [Pair<'_>], field: &str) -> &'a str {
    sent.iter()
        .find(|(name, _)| name == field)
        .map_or("", |(_, value)| value)
}

/// Returns the texts that were typed into a form: label and text.
fn typed<T: Fields>(sent: &[Pair<'_>]) -> Vec<(&'static str, String)> {
    let typed = T::TYPED
        .iter()
        .map(|(field, label)| (*label, value_of(sent, field).to_owned()));
    typed.filter(|(_, text)| !text.is_empty()).collect()
}

/// The problems of a form, in the order of its fields.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, Cow<'static, str>)>);

impl Problems {
    /// Creates a list with one problem, at `field`.
    #[must_use]
    pub fn one(field: &'static str, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![(field, sentence.into())])
    }

    /// Adds a problem at `field`.
    pub fn add(&mut self, field: &'static str, sentence: impl Into<Cow<'static, str>>) {
        self.0.push((field, sentence.into()));
    }

    /// Returns the value parsed from `field`, or adds a problem if parsing failed.
    pub fn take<T>(&mut self, field: &'static str, parsed: Result<T, Mistake>) -> Option<T> {
        parsed.map_err(|mistake| self.add(field, mistake.0)).ok()
    }

    /// Returns whether there are no problems.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the sentence about the problem at `field`.
    #[must_use]
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(of, _)| *of == field)
            .map(|(_, sentence)| sentence.as_ref())
    }

    /// Returns all problems: field and sentence.
    #[must_use]
    pub fn all(&self) -> &[(&'static str, Cow<'static, str>)] {
        &self.0
    }
}
