//! Sign in.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Query};
use askama::Template;
use serde::Deserialize;

use super::{
    Here, Layout, Problems, count_password, html, html_with, or_form_for_later, see_other,
    user_agent,
};
use crate::app::AppState;
use crate::config::SignUp;
use crate::domain::{PlainPassword, Username};
use crate::error::PageResult;
use crate::routes::{safe_next, with_next};
use crate::services::accounts::{self, SignedIn};
use crate::services::sessions;
use crate::session::KeyInCookie;

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
    has_signed_out: bool,
    problems: Problems,
}

impl<'a> LoginPage<'a> {
    fn new(app: &'a AppState, name: &'a str, next: &'a str, problems: Problems) -> Self {
        let next = safe_next(next);
        Self {
            layout: Layout::new(app, None, Here::Login),
            name,
            next,
            register_url: with_next("/register", next),
            takes_link: app.config.sign_up == SignUp::Link,
            contact: app.config.contact.as_deref(),
            idle_days: sessions::IDLE_LIFE.as_secs() / 86_400,
            has_signed_out: false,
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

/// What the address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoginQuery {
    next: String,
    done: String,
}

/// **Who:** anyone. **Answers:** the form.
pub async fn show(app: Data<AppState>, query: Query<LoginQuery>) -> PageResult {
    let has_signed_out = query.done == "signed-out";
    html(&LoginPage {
        has_signed_out,
        ..LoginPage::new(&app, "", &query.next, Problems::default())
    })
}

/// Signs in. **Who:** anyone. **Answers:** 303 to `next` or the start page, or the form again: with 422,
/// which does not tell a wrong name from a wrong password, or with 429 or 503.
pub async fn submit(
    app: Data<AppState>,
    request: HttpRequest,
    cookie: KeyInCookie,
    form: Form<LoginForm>,
) -> PageResult {
    let answer = sign_in(&app, &request, &cookie, &form).await;
    or_form_for_later(answer, "name", |problems| again(&app, &form, problems))
}

async fn sign_in(
    app: &Arc<AppState>,
    request: &HttpRequest,
    cookie: &KeyInCookie,
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
        return again(app, form, problems);
    }
    let name = Username::parse(&form.name).ok();
    count_password(app, request, name.as_ref())?;
    let password = PlainPassword::typed(&form.password);
    match accounts::sign_in(app, name, password, user_agent(request)).await? {
        SignedIn::As(key) => {
            cookie.put(&key).await?;
            Ok(see_other(safe_next(&form.next).unwrap_or("/")))
        }
        SignedIn::Refused => {
            const REFUSED: &str = "The name or password is wrong. Check both and try again";
            again(app, form, Problems::one("name", REFUSED))
        }
    }
}

fn again(app: &AppState, form: &LoginForm, problems: Problems) -> PageResult {
    let page = LoginPage::new(app, &form.name, &form.next, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
