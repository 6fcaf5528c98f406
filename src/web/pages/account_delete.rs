//! Delete your account: says what is deleted with it, and asks for the password.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::domain::{PlainPassword, Username};
use crate::services::accounts::{self, Deleted};
use crate::web::answers::{end_once, html, html_with, or_retry_form, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::count_password_attempt;
use crate::web::layout::{Layout, NavPage};
use crate::web::session::{CurrentUser, SessionCookie};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account_delete.html")]
struct DeletePage<'a> {
    layout: Layout<'a>,
    problems: Problems,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeleteForm {
    password: String,
}

impl Fields for DeleteForm {}

/// Shows the page. **Who:** signed-in users. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    html(&DeletePage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        problems: Problems::default(),
    })
}

/// Deletes the account. **Who:** signed-in users. **Answers:** 303 to the start page, signed out; or the form
/// again with 422, 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    user: Result<CurrentUser, AppError>,
    cookie: SessionCookie,
    form: OwnForm<DeleteForm>,
) -> PageResult {
    let is_over = |error: &AppError| matches!(error, AppError::SignedOut { .. });
    let deletion = submit_once(state, request.clone(), user, cookie, form);
    end_once(&request, is_over, deletion).await
}

async fn submit_once(
    state: Data<WebState>,
    request: HttpRequest,
    user: Result<CurrentUser, AppError>,
    cookie: SessionCookie,
    form: OwnForm<DeleteForm>,
) -> PageResult {
    let user = user?;
    if user.has_ended() {
        // This request has waited for another, which has deleted the account.
        return Err(AppError::SignedOut { next: None });
    }
    let answer = delete(&state, &request, &user, &cookie, &form).await;
    or_retry_form(answer, "password", |problems| {
        show_again(&state, &user, problems)
    })
}

async fn delete(
    state: &WebState,
    request: &HttpRequest,
    user: &CurrentUser,
    cookie: &SessionCookie,
    form: &DeleteForm,
) -> PageResult {
    let show_again =
        |problem: &'static str| show_again(state, user, Problems::one("password", problem));
    if form.password.is_empty() {
        return show_again("Enter your password");
    }
    let name = Username::parse(&user.user_name).ok();
    count_password_attempt(state, request, name.as_ref()).await?;
    let password = PlainPassword::typed(&form.password);
    match accounts::delete_account(&state.core, user.user_id, password).await? {
        Deleted::Done => {
            cookie.clear();
            Ok(see_other("/?done=deleted"))
        }
        Deleted::WrongPassword => show_again("The password is wrong. Check it and try again"),
    }
}

fn show_again(state: &WebState, user: &CurrentUser, problems: Problems) -> PageResult {
    let page = DeletePage {
        layout: Layout::new(state, Some(user), NavPage::Other),
        problems,
    };
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
