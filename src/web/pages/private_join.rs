//! Join a private room by its name and password.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::domain::{PlainPassword, RoomName};
use crate::services::members::{self, Joined};
use crate::web::answers::{html, html_with, join_response, or_retry_form};
use crate::web::error::PageResult;
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::layout::{Layout, NavPage};
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

impl Fields for PrivateJoinForm {
    const TYPED: &'static [(&'static str, &'static str)] = &[("name", "Room name")];
}

/// Shows the page. **Who:** signed-in users. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser) -> PageResult {
    let layout = Layout::new(&state, Some(&user), NavPage::PrivateJoin);
    html(&PrivateJoinPage {
        layout,
        name: "",
        problems: Problems::default(),
    })
}

/// Joins the room.
///
/// **Who:** signed-in users. **Answers:** 303 to the room; or the form again with 422 if a field is empty, with 403
/// if the password is wrong or the room does not exist, without revealing which, or with 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    form: OwnForm<PrivateJoinForm>,
) -> PageResult {
    let answer = join(&state, &user, &form).await;
    or_retry_form(answer, "name", |problems| {
        show_again(&state, &user, &form, StatusCode::FORBIDDEN, problems)
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
        return show_again(
            state,
            user,
            form,
            StatusCode::UNPROCESSABLE_ENTITY,
            problems,
        );
    }
    let name = RoomName::parse(&form.name).ok();
    let folded = name.as_ref().map(|name| name.keys().folded);
    let attempt = state.core.limits.join(user.user_id, folded).await?;
    let password = PlainPassword::typed(&form.password);
    match members::join_by_password(&state.core, name, password, user.user_id).await {
        Ok(Joined::Refused) => {
            attempt.count_as_wrong().await;
            const REFUSED: &str = "Wrong password, or there is no private room with that name";
            show_again(
                state,
                user,
                form,
                StatusCode::FORBIDDEN,
                Problems::one("name", REFUSED),
            )
        }
        joined => {
            // Also after an error, before it is answered: the next try may reach another process.
            attempt.give_back().await;
            join_response(joined?)
        }
    }
}

fn show_again(
    state: &WebState,
    user: &CurrentUser,
    form: &PrivateJoinForm,
    status: StatusCode,
    problems: Problems,
) -> PageResult {
    let layout = Layout::new(state, Some(user), NavPage::PrivateJoin);
    html_with(
        status,
        &PrivateJoinPage {
            layout,
            name: &form.name,
            problems,
        },
    )
}
