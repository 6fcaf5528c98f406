//! The Join button of a public room.

use actix_web::web::{Data, Form, Path};

use super::{Button, see_other};
use crate::app::AppState;
use crate::domain::RoomId;
use crate::error::{AppError, PageResult};
use crate::routes::{room_done_url, room_url};
use crate::services::members::{self, Joined};
use crate::session::CurrentUser;

/// Joins a public room. **Who:** anyone signed in. **Answers:** 303 into the room.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: Form<Button>,
) -> PageResult {
    match members::join_public(&app, *room, user.user_id).await? {
        Joined::Now(room) => Ok(see_other(room_done_url(room, "joined"))),
        Joined::Before(room) => Ok(see_other(room_url(room))),
        Joined::Refused => Err(AppError::NoSuchRoom),
    }
}
