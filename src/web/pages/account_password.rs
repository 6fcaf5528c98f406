//! Change your password: asks for the current one, and signs out every other browser.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use askama::Template;
use serde::Deserialize;

use crate::domain::{AccountPassword, PlainPassword, Username};
use crate::services::accounts::{self, PasswordChanged};
use crate::web::answers::{html, html_with, or_form_for_later, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;
use crate::web::guards::{choose_password, count_password, user_agent};
use crate::web::layout::{Here, Layout};
use crate::web::session::{CurrentUser, KeyInCookie};
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
            layout: Layout::new(state, Some(user), Here::Elsewhere),
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

/// **Who:** anyone signed in. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    html(&PasswordPage::new(&state, &user, Problems::default()))
}

/// Changes the password. **Who:** anyone signed in. **Answers:** 303 to their account, signed in with a
/// new key; or the form again with 422, 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    user: CurrentUser,
    cookie: KeyInCookie,
    form: Form<PasswordForm>,
) -> PageResult {
    let answer = change(&state, &request, &user, &cookie, &form).await;
    or_form_for_later(answer, "current", |problems| again(&state, &user, problems))
}

async fn change(
    state: &WebState,
    request: &HttpRequest,
    user: &CurrentUser,
    cookie: &KeyInCookie,
    form: &PasswordForm,
) -> PageResult {
    let new = match parse(form, user).await? {
        Ok(new) => new,
        Err(problems) => return again(state, user, problems),
    };
    let name = Username::parse(&user.user_name).ok();
    count_password(state, request, name.as_ref())?;
    let current = PlainPassword::typed(&form.current);
    let agent = user_agent(request);
    match accounts::change_password(&state.core, user.user_id, current, new, agent).await? {
        PasswordChanged::SignedInAgain(key) => {
            cookie.put(&key).await?;
            Ok(see_other("/account?done=password"))
        }
        PasswordChanged::WrongPassword => {
            const WRONG: &str = "The current password is wrong. Check it and try again";
            again(state, user, Problems::one("current", WRONG))
        }
    }
}

async fn parse(
    form: &PasswordForm,
    user: &CurrentUser,
) -> Result<Result<AccountPassword, Problems>, AppError> {
    let mut problems = Problems::default();
    if form.current.is_empty() {
        problems.add("current", "Enter your current password");
    }
    if form.password.is_empty() {
        problems.add("password", "Enter a new password");
        return Ok(Err(problems));
    }
    let name = Username::parse(&user.user_name).ok();
    let parsed = choose_password(form.password.clone(), name).await?;
    let new = problems.take("password", parsed);
    Ok(new.filter(|_| problems.is_empty()).ok_or(problems))
}

fn again(state: &WebState, user: &CurrentUser, problems: Problems) -> PageResult {
    let page = PasswordPage::new(state, user, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
