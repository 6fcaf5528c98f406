//! Change your password: asks for the current password, and signs out all other browsers.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::domain::{PasswordCandidate, PlainPassword, Username};
use crate::services::accounts::{self, PasswordChanged};
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::{choose_password, count_password_attempt};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::{CurrentUser, SessionCookie};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account_password.html")]
struct PasswordPage<'a> {
    layout: Layout<'a>,
    problems: Problems,
}

impl<'a> PasswordPage<'a> {
    fn new(state: &'a WebState, user: &'a CurrentUser, problems: Problems) -> Self {
        Self {
            layout: Layout::new(state, Some(user), NavPage::Other),
            problems,
        }
    }
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PasswordForm {
    current: String,
    password: String,
}

impl Fields for PasswordForm {}

/// Shows the page. **Who:** signed-in users. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    html(&PasswordPage::new(&state, &user, Problems::default()))
}

/// Leads password managers to the page (W3C, A Well-Known URL for Changing Passwords). **Who:** anyone.
/// **Answers:** 303.
pub async fn redirect() -> PageResult {
    Ok(see_other("/account/password"))
}

/// Changes the password. **Who:** signed-in users. **Answers:** 303 to the account page, with a new session key;
/// or the form again with 422, 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    user: CurrentUser,
    cookie: SessionCookie,
    form: OwnForm<PasswordForm>,
) -> PageResult {
    let answer = change(&state, &request, &user, &cookie, &form).await;
    or_retry_form(answer, "current", |problems| {
        show_again(&state, &user, problems)
    })
}

async fn change(
    state: &WebState,
    request: &HttpRequest,
    user: &CurrentUser,
    cookie: &SessionCookie,
    form: &PasswordForm,
) -> PageResult {
    let name = Username::parse(&user.user_name).ok();
    let new = match parse(form, name.as_ref()) {
        Ok(new) => new,
        Err(problems) => return show_again(state, user, problems),
    };
    count_password_attempt(state, request, name.as_ref())?;
    let new = match choose_password(new).await? {
        Ok(new) => new,
        Err(mistake) => return show_again(state, user, Problems::one("password", mistake.0)),
    };
    let current = PlainPassword::typed(&form.current);
    let client = cookie.client();
    match accounts::change_password(&state.core, user.user_id, current, new, client).await? {
        PasswordChanged::SignedInAgain(key) => {
            cookie.set(&key)?;
            Ok(see_other("/account?done=password"))
        }
        PasswordChanged::WrongPassword => {
            const WRONG: &str = "The current password is wrong. Check it and try again";
            show_again(state, user, Problems::one("current", WRONG))
        }
    }
}

fn parse(form: &PasswordForm, name: Option<&Username>) -> Result<PasswordCandidate, Problems> {
    let mut problems = Problems::default();
    if form.current.is_empty() {
        problems.add("current", "Enter your current password");
    }
    if form.password.is_empty() {
        problems.add("password", "Enter a new password");
        return Err(problems);
    }
    let parsed = PasswordCandidate::parse(&form.password, name);
    let new = problems.take("password", parsed);
    new.filter(|_| problems.is_empty()).ok_or(problems)
}

fn show_again(state: &WebState, user: &CurrentUser, problems: Problems) -> PageResult {
    let page = PasswordPage::new(state, user, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
