//! Leave a room: asks first.

use std::sync::Arc;

use actix_web::web::{Data, Form, Path};
use askama::Template;

use crate::domain::RoomId;
use crate::live::rooms::Room;
use crate::services::members::{self, Left};
use crate::services::rooms;
use crate::web::answers::{html, see_other};
use crate::web::error::PageResult;
use crate::web::forms::Button;
use crate::web::layout::{Here, Layout};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    is_owner: bool,
}

/// **Who:** members. **Answers:** the question.
pub async fn show(state: Data<WebState>, user: CurrentUser, room: Path<RoomId>) -> PageResult {
    let room: Arc<Room> = rooms::access(&state.core, *room, user.user_id)
        .await?
        .member()?;
    html(&LeavePage {
        layout: Layout::new(&state, Some(&user), Here::Elsewhere),
        is_owner: room.owner == user.user_id,
        room: &room,
    })
}

/// Leaves the room. **Who:** members. **Answers:** 303 to their rooms.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: Form<Button>,
) -> PageResult {
    let room = rooms::access(&state.core, *room, user.user_id)
        .await?
        .member()?;
    match members::leave(&state.core, room.id, user.user_id).await? {
        // Who has left in another tab meanwhile has what they wanted.
        Left::Now | Left::NotAMember => Ok(see_other("/rooms/mine?done=left")),
    }
}
