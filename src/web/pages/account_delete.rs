//! Delete your account: says what goes with it, and asks for the password.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use askama::Template;
use serde::Deserialize;

use crate::domain::{PlainPassword, Username};
use crate::services::accounts::{self, Deleted};
use crate::web::answers::{html, html_with, or_form_for_later, see_other};
use crate::web::error::PageResult;
use crate::web::forms::Problems;
use crate::web::guards::count_password;
use crate::web::layout::{Here, Layout};
use crate::web::session::{CurrentUser, KeyInCookie};
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

/// **Who:** anyone signed in. **Answers:** the question.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    html(&DeletePage {
        layout: Layout::new(&state, Some(&user), Here::Elsewhere),
        problems: Problems::default(),
    })
}

/// Deletes the account. **Who:** anyone signed in. **Answers:** 303 to the start page, signed out; or the
/// form again with 422, 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    user: CurrentUser,
    cookie: KeyInCookie,
    form: Form<DeleteForm>,
) -> PageResult {
    let answer = delete(&state, &request, &user, &cookie, &form).await;
    or_form_for_later(answer, "password", |problems| {
        again(&state, &user, problems)
    })
}

async fn delete(
    state: &WebState,
    request: &HttpRequest,
    user: &CurrentUser,
    cookie: &KeyInCookie,
    form: &DeleteForm,
) -> PageResult {
    let again = |problem: &'static str| again(state, user, Problems::one("password", problem));
    if form.password.is_empty() {
        return again("Enter your password");
    }
    let name = Username::parse(&user.user_name).ok();
    count_password(state, request, name.as_ref())?;
    let password = PlainPassword::typed(&form.password);
    match accounts::delete_account(&state.core, user.user_id, password).await? {
        Deleted::Done => {
            cookie.take_away();
            Ok(see_other("/?done=deleted"))
        }
        Deleted::WrongPassword => again("The password is wrong. Check it and try again"),
    }
}

fn again(state: &WebState, user: &CurrentUser, problems: Problems) -> PageResult {
    let page = DeletePage {
        layout: Layout::new(state, Some(user), Here::Elsewhere),
        problems,
    };
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
