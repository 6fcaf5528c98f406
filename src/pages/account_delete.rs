//! Delete your account: says what goes with it, and asks for the password.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use askama::Template;
use serde::Deserialize;

use super::{
    Here, Layout, Problems, count_password, html, html_with, or_form_for_later, see_other,
};
use crate::app::AppState;
use crate::domain::{PlainPassword, Username};
use crate::error::PageResult;
use crate::services::accounts::{self, Deleted};
use crate::session::{CurrentUser, KeyInCookie};

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
pub async fn show(app: Data<AppState>, user: CurrentUser) -> PageResult {
    html(&DeletePage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        problems: Problems::default(),
    })
}

/// Deletes the account. **Who:** anyone signed in. **Answers:** 303 to the start page, signed out; or the
/// form again with 422, 429 or 503.
pub async fn submit(
    app: Data<AppState>,
    request: HttpRequest,
    user: CurrentUser,
    cookie: KeyInCookie,
    form: Form<DeleteForm>,
) -> PageResult {
    let answer = delete(&app, &request, &user, &cookie, &form).await;
    or_form_for_later(answer, "password", |problems| again(&app, &user, problems))
}

async fn delete(
    app: &Arc<AppState>,
    request: &HttpRequest,
    user: &CurrentUser,
    cookie: &KeyInCookie,
    form: &DeleteForm,
) -> PageResult {
    let again = |problem: &'static str| again(app, user, Problems::one("password", problem));
    if form.password.is_empty() {
        return again("Enter your password");
    }
    let name = Username::parse(&user.user_name).ok();
    count_password(app, request, name.as_ref())?;
    let password = PlainPassword::typed(&form.password);
    match accounts::delete_account(app, user.user_id, password).await? {
        Deleted::Done => {
            cookie.take_away();
            Ok(see_other("/?done=deleted"))
        }
        Deleted::WrongPassword => again("The password is wrong. Check it and try again"),
    }
}

fn again(app: &AppState, user: &CurrentUser, problems: Problems) -> PageResult {
    let page = DeletePage {
        layout: Layout::new(app, Some(user), Here::Elsewhere),
        problems,
    };
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
