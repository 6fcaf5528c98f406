//! Private join: give a room's name and password, become a member.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use askama::Template;
use serde::Deserialize;

use crate::domain::{PlainPassword, RoomName};
use crate::services::members::{self, Joined};
use crate::web::answers::{html, html_with, into_room, or_form_for_later};
use crate::web::error::PageResult;
use crate::web::forms::Problems;
use crate::web::layout::{Here, Layout};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "private_join.html")]
struct PrivateJoinPage<'a> {
    layout: Layout<'a>,
    name: &'a str,
    problems: Problems,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PrivateJoinForm {
    name: String,
    password: String,
}

/// **Who:** anyone signed in. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    let layout = Layout::new(&state, Some(&user), Here::PrivateJoin);
    html(&PrivateJoinPage {
        layout,
        name: "",
        problems: Problems::default(),
    })
}

/// Joins the room of this name.
///
/// **Who:** anyone signed in. **Answers:** 303 to the room; or the form
/// again, with 422 when a field is empty, with 403 when the password is wrong or there is no such
/// room, without telling which, and with 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    form: Form<PrivateJoinForm>,
) -> PageResult {
    let answer = join(&state, &user, &form).await;
    or_form_for_later(answer, "name", |problems| {
        again(&state, &user, &form, StatusCode::FORBIDDEN, problems)
    })
}

async fn join(state: &WebState, user: &CurrentUser, form: &PrivateJoinForm) -> PageResult {
    let mut problems = Problems::default();
    if form.name.trim().is_empty() {
        problems.add("name", "Enter the room name");
    }
    if form.password.is_empty() {
        problems.add("password", "Enter the room password");
    }
    if !problems.is_empty() {
        return again(
            state,
            user,
            form,
            StatusCode::UNPROCESSABLE_ENTITY,
            problems,
        );
    }
    let name = RoomName::parse(&form.name).ok();
    let folded = name.as_ref().map(|name| name.keys().folded);
    state.core.limits.join(user.user_id, folded)?;
    let password = PlainPassword::typed(&form.password);
    match members::join_by_password(&state.core, name, password, user.user_id).await? {
        Joined::Refused => {
            const REFUSED: &str = "Wrong password, or there is no private room with that name";
            again(
                state,
                user,
                form,
                StatusCode::FORBIDDEN,
                Problems::one("name", REFUSED),
            )
        }
        joined => into_room(joined),
    }
}

fn again(
    state: &WebState,
    user: &CurrentUser,
    form: &PrivateJoinForm,
    status: StatusCode,
    problems: Problems,
) -> PageResult {
    let layout = Layout::new(state, Some(user), Here::PrivateJoin);
    html_with(
        status,
        &PrivateJoinPage {
            layout,
            name: &form.name,
            problems,
        },
    )
}
