//! Change your password: asks for the current password, and signs out all other browsers.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::domain::{PasswordCandidate, PlainPassword, Username};
use crate::live::done_forms::Turn;
use crate::services::accounts::{self, PasswordChanged};
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::{choose_password, count_password_attempt, is_repeated};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::{CurrentUser, SessionCookie};
use crate::web::state::WebState;

/// The page that follows.
const DONE: &str = "/account?done=password";

#[derive(Template)]
#[template(path = "account_password.html")]
struct PasswordPage<'a> {
    layout: Layout<'a>,
    nonce: String,
    problems: Problems,
}

impl<'a> PasswordPage<'a> {
    fn new(state: &'a WebState, user: &'a CurrentUser, nonce: &str, problems: Problems) -> Self {
        Self {
            layout: Layout::new(state, Some(user), NavPage::Other),
            nonce: state.core.nonces.keep_or_make(nonce, Some(user.user_id)),
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
    nonce: String,
}

impl Fields for PasswordForm {}

/// Shows the page. **Who:** signed-in users. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    html(&PasswordPage::new(&state, &user, "", Problems::default()))
}

/// Leads password managers to the page (W3C, A Well-Known URL for Changing Passwords). **Who:** anyone.
/// **Answers:** 303.
pub async fn redirect() -> PageResult {
    Ok(see_other("/account/password"))
}

/// Changes the password. A form that is sent again signs in with the password that it has set, because it has ended
/// the session that it was sent in.
///
/// **Who:** signed-in users. **Answers:** 303 to the account page, with a new session key; or the form again with 422,
/// 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    user: Result<CurrentUser, AppError>,
    cookie: SessionCookie,
    form: OwnForm<PasswordForm>,
) -> PageResult {
    let sender = match &user {
        Ok(user) => Some(user.user_id),
        Err(_) => state.core.nonces.owner_outside(&form.nonce),
    };
    let turn = state.core.form_turn(&form.nonce, sender).await?;
    let repeated = is_repeated(&state, &request, &cookie, &turn, None, &form.password).await;
    let user = match (repeated, user) {
        (Ok(true), _) => return Ok(see_other(DONE)),
        (Ok(false), user) => user?,
        (Err(error), Ok(user)) => {
            return or_retry_form(Err(error), "current", |problems| {
                show_again(&state, &user, &form, problems)
            });
        }
        (Err(error), Err(_)) => return Err(error),
    };
    let answer = change(&state, &request, &user, &cookie, &turn, &form).await;
    or_retry_form(answer, "current", |problems| {
        show_again(&state, &user, &form, problems)
    })
}

async fn change(
    state: &WebState,
    request: &HttpRequest,
    user: &CurrentUser,
    cookie: &SessionCookie,
    turn: &Arc<Turn>,
    form: &PasswordForm,
) -> PageResult {
    let name = Username::parse(&user.user_name).ok();
    let new = match parse(form, name.as_ref()) {
        Ok(new) => new,
        Err(problems) => return show_again(state, user, form, problems),
    };
    count_password_attempt(state, request, name.as_ref()).await?;
    let new = match choose_password(new).await? {
        Ok(new) => new,
        Err(mistake) => {
            return show_again(state, user, form, Problems::one("password", mistake.0));
        }
    };
    let current = PlainPassword::typed(&form.current);
    let client = cookie.client();
    match accounts::change_password(&state.core, turn, user.user_id, current, new, client).await? {
        PasswordChanged::SignedInAgain(key) => {
            cookie.set(&key)?;
            Ok(see_other(DONE))
        }
        PasswordChanged::WrongPassword => {
            const WRONG: &str = "The current password is wrong. Check it and try again";
            show_again(state, user, form, Problems::one("current", WRONG))
        }
        PasswordChanged::SignedOut => Err(AppError::SignedOut { next: None }),
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

fn show_again(
    state: &WebState,
    user: &CurrentUser,
    form: &PasswordForm,
    problems: Problems,
) -> PageResult {
    let page = PasswordPage::new(state, user, &form.nonce, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
