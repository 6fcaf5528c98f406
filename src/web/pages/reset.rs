//! Choose a new password, by a link that whoever runs the server has made.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{AccountPassword, Mistake, Username};
use crate::security::tokens::Token;
use crate::services::accounts::{self, Reset};
use crate::services::one_time_links;
use crate::urls::reset_url;
use crate::web::answers::{html, html_with, or_form_for_later, see_other};
use crate::web::client_address;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;
use crate::web::guards::user_agent;
use crate::web::layout::{Here, Layout};
use crate::web::session::KeyInCookie;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage<'a> {
    layout: Layout<'a>,
    action: String,
    name: &'a str,
    problems: Problems,
}

impl<'a> ResetPage<'a> {
    fn new(state: &'a WebState, link: &Token, name: &'a str, problems: Problems) -> Self {
        Self {
            layout: Layout::new(state, None, Here::Elsewhere),
            action: reset_url(link.as_str()),
            name,
            problems,
        }
    }
}

/// The form as it was sent. The name in it is there for password managers, and is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResetForm {
    password: String,
}

/// **Who:** anyone with a link to a new password. **Answers:** the form, or 429.
pub async fn show(state: Data<WebState>, request: HttpRequest, link: Path<String>) -> PageResult {
    state.core.limits.link(client_address::of(&request))?;
    let link = Token::received(link.into_inner());
    let whose = one_time_links::reset_owner(&state.core, &link).await?;
    let name = whose.ok_or(AppError::DeadLink)?;
    html(&ResetPage::new(&state, &link, &name, Problems::default()))
}

/// Changes the password and uses the link up.
///
/// **Who:** anyone with a link to a new password.
/// **Answers:** 303 to the rooms of whose link it is, signed in as them; or the form again with 422 or
/// 503; or 429, without the form: whose link it is was not looked up.
pub async fn submit(
    state: Data<WebState>,
    link: Path<String>,
    request: HttpRequest,
    cookie: KeyInCookie,
    form: Form<ResetForm>,
) -> PageResult {
    state.core.limits.link(client_address::of(&request))?;
    let link = Token::received(link.into_inner());
    let whose = one_time_links::reset_owner(&state.core, &link).await?;
    let name = whose.ok_or(AppError::DeadLink)?;
    let again = |problems| {
        let page = ResetPage::new(&state, &link, &name, problems);
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let password = match parse(form.into_inner(), &name).await? {
        Ok(password) => password,
        Err(mistake) => return again(Problems::one("password", mistake.0)),
    };
    let agent = user_agent(&request);
    let reset = async {
        match accounts::reset_password(&state.core, link.clone(), password, agent).await? {
            Reset::SignedIn(key) => {
                cookie.put(&key).await?;
                Ok(see_other("/rooms/mine?done=password-changed"))
            }
            Reset::DeadLink => Err(AppError::DeadLink),
        }
    };
    or_form_for_later(reset.await, "password", again)
}

async fn parse(form: ResetForm, name: &str) -> Result<Result<AccountPassword, Mistake>, AppError> {
    let (typed, for_name) = (form.password, Username::parse(name).ok());
    // Looking for common passwords takes a while for long ones.
    web::block(move || AccountPassword::parse(&typed, for_name.as_ref()))
        .await
        .map_err(|error| AppError::bug(error.into()))
}
