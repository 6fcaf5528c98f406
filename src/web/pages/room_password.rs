//! Set a room's password: makes a public room private, and changes the password of a private room.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{Role, RoomId, RoomPassword};
use crate::live::rooms::Room;
use crate::services::room_settings::{self, Others};
use crate::urls::room_settings_done_url;
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::room_with_role;
use crate::web::layout::{Layout, NavPage};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "room_password.html")]
struct RoomPasswordPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    others: &'a str,
    problems: Problems,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoomPasswordForm {
    password: String,
    /// `stay` or `go`: whether the other members stay. Only for private rooms.
    others: String,
}

impl Fields for RoomPasswordForm {}

/// Shows the page. **Who:** the owner. **Answers:** the form.
pub async fn show(state: Data<WebState>, user: CurrentUser, room: Path<RoomId>) -> PageResult {
    let room = room_with_role(&state, &user, *room, Role::Owner).await?;
    html(&RoomPasswordPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        room: &room,
        others: "",
        problems: Problems::default(),
    })
}

/// Sets the password. **Who:** the owner. **Answers:** 303 to the settings, or the form again with 422, 429 or
/// 503.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    form: OwnForm<RoomPasswordForm>,
) -> PageResult {
    let room = room_with_role(&state, &user, *room, Role::Owner).await?;
    let mut problems = Problems::default();
    let password = problems.take("password", RoomPassword::parse(&form.password));
    // The form of a public room has no choice. When it is sent again, the room is private already.
    let was_public = !room.is_private || form.others == "all";
    let others = match form.others.as_str() {
        _ if was_public => Some(Others::Stay),
        "go" => Some(Others::Remove),
        "stay" => Some(Others::Stay),
        _ => {
            problems.add("others-stay", "Choose what happens to the other members");
            None
        }
    };
    let show_again = |problems| {
        let page = RoomPasswordPage {
            layout: Layout::new(&state, Some(&user), NavPage::Other),
            room: &room,
            others: &form.others,
            problems,
        };
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    // Only the form of a private room asks about the others.
    if !room.is_private && matches!(form.others.as_str(), "stay" | "go") {
        const PUBLIC: &str = "This room is public now. Setting a password makes it private again: enter it once more";
        return show_again(Problems::one("password", PUBLIC));
    }
    let Some((password, others)) = password.zip(others) else {
        return show_again(problems);
    };
    let set = async {
        state.core.limits.room_password(user.user_id).await?;
        let changed =
            room_settings::set_password(&state.core, room.id, user.user_id, password, others);
        changed.await?.into_result(room.id)?;
        let done = if was_public { "private" } else { "password" };
        Ok(see_other(room_settings_done_url(room.id, done)))
    };
    or_retry_form(set.await, "password", show_again)
}
