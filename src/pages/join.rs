//! The Join button of a public room.

use actix_web::web::{Data, Form, Path};

use super::{Button, into_room};
use crate::app::AppState;
use crate::domain::RoomId;
use crate::error::PageResult;
use crate::services::members;
use crate::session::CurrentUser;

/// Joins a public room. **Who:** anyone signed in. **Answers:** 303 into the room, or
/// 403 with the reason if they are banned or the room is full.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: Form<Button>,
) -> PageResult {
    into_room(members::join_public(&app, *room, user.user_id).await?)
}
