//! Sign in.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::config::SignUp;
use crate::domain::{PlainPassword, Username};
use crate::services::accounts::{self, SignedIn};
use crate::services::sessions;
use crate::urls::{account_reset_url, with_next};
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{Form, Problems};
use crate::web::guards::count_password_attempt;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::{SessionCookie, Visitor};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    layout: Layout<'a>,
    name: &'a str,
    next: Option<&'a str>,
    register_url: String,
    takes_link: bool,
    contact: Option<&'a str>,
    idle_days: u64,
    /// What was just done, in words.
    done: Option<&'static str>,
    /// The reason why the account is suspended whose name and password were sent.
    suspended: Option<&'a str>,
    problems: Problems,
}

impl<'a> LoginPage<'a> {
    fn new(state: &'a WebState, name: &'a str, next: &'a str, problems: Problems) -> Self {
        let next = state.next_pages.safe(next);
        Self {
            layout: Layout::new(state, None, NavPage::Login),
            name,
            next,
            register_url: with_next("/register", next),
            takes_link: state.core.config.sign_up == SignUp::Link,
            contact: state.core.config.contact.as_deref(),
            idle_days: sessions::IDLE_TIMEOUT.as_secs() / 86_400,
            done: None,
            suspended: None,
            problems,
        }
    }
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoginForm {
    name: String,
    password: String,
    next: String,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoginQuery {
    next: String,
    done: String,
}

/// Shows the page. **Who:** anyone. **Answers:** the form; for signed-in users, 303 to `next` or the start page.
pub async fn show(state: Data<WebState>, visitor: Visitor, query: Query<LoginQuery>) -> PageResult {
    if visitor.user.is_some() {
        return Ok(see_other(state.next_pages.safe(&query.next).unwrap_or("/")));
    }
    html(&LoginPage {
        done: match query.done.as_str() {
            "signed-out" => Some("You are signed out"),
            "password" => Some("Password changed"),
            _ => None,
        },
        ..LoginPage::new(&state, "", &query.next, Problems::default())
    })
}

/// Signs in.
///
/// **Who:** anyone. **Answers:** 303 to `next` or the start page, by way of a page that says that a reset
/// link has changed the password, if one has lately; or the form again with 422, which does not reveal whether the name
/// or the password is wrong and, if both are right, says why the account is suspended; or with 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    cookie: SessionCookie,
    form: Form<LoginForm>,
) -> PageResult {
    let answer = sign_in(&state, &request, &cookie, &form).await;
    or_retry_form(answer, "name", |problems| {
        show_again(&state, &form, problems)
    })
}

async fn sign_in(
    state: &WebState,
    request: &HttpRequest,
    cookie: &SessionCookie,
    form: &LoginForm,
) -> PageResult {
    let mut problems = Problems::default();
    if form.name.trim().is_empty() {
        problems.add("name", "Enter your name");
    }
    if form.password.is_empty() {
        problems.add("password", "Enter your password");
    }
    if !problems.is_empty() {
        return show_again(state, form, problems);
    }
    let name = Username::parse(&form.name).ok();
    count_password_attempt(state, request, name.as_ref()).await?;
    let password = PlainPassword::typed(&form.password);
    match accounts::sign_in(&state.core, name, password, cookie.client()).await? {
        SignedIn::As(user, key) => {
            cookie.set(&key)?;
            let next = state.next_pages.safe(&form.next);
            Ok(see_other(
                match accounts::recent_reset(&state.core, user).await? {
                    Some(_) => account_reset_url(next),
                    None => next.unwrap_or("/").to_owned(),
                },
            ))
        }
        SignedIn::Refused => {
            const REFUSED: &str = "The name or password is wrong. Check both and try again";
            show_again(state, form, Problems::one("name", REFUSED))
        }
        SignedIn::Suspended(reason) => {
            let problems = Problems::one("name", "This account is suspended");
            let page = LoginPage {
                suspended: Some(&reason),
                ..LoginPage::new(state, &form.name, &form.next, problems)
            };
            html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

fn show_again(state: &WebState, form: &LoginForm, problems: Problems) -> PageResult {
    let page = LoginPage::new(state, &form.name, &form.next, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
