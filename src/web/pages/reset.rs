//! Choose a new password, using a link that the operator created.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{PasswordCandidate, Username};
use crate::security::tokens::Token;
use crate::services::accounts::{self, Reset};
use crate::services::one_time_links;
use crate::urls::reset_url;
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::client_address;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Form, Problems};
use crate::web::guards::{choose_password, is_repeated};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::SessionCookie;
use crate::web::state::WebState;

/// The page that follows.
const DONE: &str = "/rooms/mine?done=password-changed";

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage<'a> {
    layout: Layout<'a>,
    action: String,
    name: &'a str,
    nonce: String,
    problems: Problems,
}

impl<'a> ResetPage<'a> {
    fn new(
        state: &'a WebState,
        link: &Token,
        name: &'a str,
        nonce: &str,
        problems: Problems,
    ) -> Self {
        Self {
            layout: Layout::new(state, None, NavPage::Other),
            action: reset_url(link.as_str()),
            name,
            nonce: state.core.nonces.keep_or_make(nonce, None),
            problems,
        }
    }
}

/// The form as it was sent. Its name field is for password managers only, and is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResetForm {
    password: String,
    nonce: String,
}

/// Shows the page.
///
/// **Who:** anyone with a reset link. **Answers:** the form; 404 if the link does not work; or 429.
pub async fn show(state: Data<WebState>, request: HttpRequest, link: Path<String>) -> PageResult {
    state.core.limits.link(client_address::of(&request)).await?;
    let link = Token::received(link.into_inner());
    let found = one_time_links::reset_owner(&state.core, &link).await?;
    let name = found.ok_or(AppError::DeadLink)?;
    html(&ResetPage::new(
        &state,
        &link,
        &name,
        "",
        Problems::default(),
    ))
}

/// Changes the password and uses up the link. A form that is sent again signs in with the password that it has set.
///
/// **Who:** anyone with a reset link. **Answers:** 303 to the rooms of the link's user, signed in as that user, or to
/// the sign-in page if the account is suspended; or the form again with 422 or 503; 404 if the link does not work; or 429 without the form, because the form
/// shows the user's name, which is not looked up then.
pub async fn submit(
    state: Data<WebState>,
    link: Path<String>,
    request: HttpRequest,
    cookie: SessionCookie,
    form: Form<ResetForm>,
) -> PageResult {
    let from = client_address::of(&request);
    state.core.limits.link(from).await?;
    let link = Token::received(link.into_inner());
    let turn = state.core.form_turn(&form.nonce, None).await?;
    // Before the link, which the form itself has used up.
    if is_repeated(&state, &request, &cookie, &turn, None, &form.password).await? {
        return Ok(see_other(DONE));
    }
    let found = one_time_links::reset_owner(&state.core, &link).await?;
    let name = found.ok_or(AppError::DeadLink)?;
    let show_again = |problems| {
        let page = ResetPage::new(&state, &link, &name, &form.nonce, problems);
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let owner = Username::parse(&name).ok();
    let chosen = match PasswordCandidate::parse(&form.password, owner.as_ref()) {
        Ok(candidate) => choose_password(candidate).await?,
        Err(mistake) => Err(mistake),
    };
    let password = match chosen {
        Ok(password) => password,
        Err(mistake) => return show_again(Problems::one("password", mistake.0)),
    };
    let client = cookie.client();
    let reset = async {
        match accounts::reset_password(&state.core, &turn, link.clone(), password, client).await? {
            Reset::SignedIn(_, key) => {
                cookie.set(&key)?;
                Ok(see_other(DONE))
            }
            // Signing in with the new password tells the reason.
            Reset::Suspended => Ok(see_other("/login?done=password")),
            Reset::DeadLink => Err(AppError::DeadLink),
        }
    };
    or_retry_form(reset.await, "password", show_again)
}
