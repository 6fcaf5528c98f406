//! Leave a room: asks for confirmation.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;

use crate::domain::{Role, RoomId};
use crate::live::rooms::Room;
use crate::services::members::{self, Left};
use crate::web::answers::{end_once, html, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::guards::room_with_role;
use crate::web::layout::{Layout, NavPage};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    is_owner: bool,
}

/// Shows the page. **Who:** members. **Answers:** the question.
pub async fn show(state: Data<WebState>, user: CurrentUser, room: Path<RoomId>) -> PageResult {
    let room = room_with_role(&state, &user, *room, Role::Member).await?;
    html(&LeavePage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        is_owner: room.owner == user.user_id,
        room: &room,
    })
}

/// Leaves the room. **Who:** members. **Answers:** 303 to the member's rooms, or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    room: Path<RoomId>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    let is_over =
        |error: &AppError| matches!(error, AppError::NotAMember { .. } | AppError::NoSuchRoom);
    end_once(&request, is_over, leave(state, user, *room)).await
}

async fn leave(state: Data<WebState>, user: CurrentUser, room: RoomId) -> PageResult {
    let room = room_with_role(&state, &user, room, Role::Member).await?;
    state.core.limits.change(user.user_id).await?;
    match members::leave(&state.core, room.id, user.user_id).await? {
        // Having left already, such as in another tab, counts as a success.
        Left::Now | Left::NotAMember => Ok(see_other("/rooms/mine?done=left")),
    }
}
