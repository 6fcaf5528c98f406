//! Leave a room: asks first.

use std::sync::Arc;

use actix_web::web::{Data, Form, Path};
use askama::Template;

use super::{Button, Here, Layout, html, see_other};
use crate::app::AppState;
use crate::domain::RoomId;
use crate::error::PageResult;
use crate::services::members::{self, Left};
use crate::services::rooms::{self, Room};
use crate::session::CurrentUser;

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    is_owner: bool,
}

/// **Who:** members. **Answers:** the question.
pub async fn show(app: Data<AppState>, user: CurrentUser, room: Path<RoomId>) -> PageResult {
    let room: Arc<Room> = rooms::access(&app, *room, user.user_id).await?.member()?;
    html(&LeavePage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        is_owner: room.owner == user.user_id,
        room: &room,
    })
}

/// Leaves the room. **Who:** members. **Answers:** 303 to their rooms.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: Form<Button>,
) -> PageResult {
    let room = rooms::access(&app, *room, user.user_id).await?.member()?;
    match members::leave(&app, room.id, user.user_id).await? {
        // Who has left in another tab meanwhile has what they wanted.
        Left::Now | Left::Before => Ok(see_other("/rooms/mine?done=left")),
    }
}
