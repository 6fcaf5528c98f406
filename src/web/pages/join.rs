//! The Join button of a public room.

use actix_web::web::{Data, Form, Path};

use crate::domain::RoomId;
use crate::services::members;
use crate::web::answers::into_room;
use crate::web::error::PageResult;
use crate::web::forms::Button;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// Joins a public room. **Who:** anyone signed in. **Answers:** 303 into the room, or
/// 403 with the reason if they are banned or the room is full.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: Form<Button>,
) -> PageResult {
    into_room(members::join_public(&state.core, *room, user.user_id).await?)
}
