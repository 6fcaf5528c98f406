//! Join a public room.

use actix_web::web::{Data, Path};

use crate::domain::RoomId;
use crate::services::members;
use crate::web::answers::join_response;
use crate::web::error::PageResult;
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// Joins a public room. **Who:** signed-in users. **Answers:** 303 to the room, 403 with the reason if the user is
/// banned or the room is full, or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    state.core.limits.change(user.user_id).await?;
    join_response(members::join_public(&state.core, *room, user.user_id).await?)
}
