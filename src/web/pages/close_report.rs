//! Close the report of a message.

use actix_web::web::{Data, Path};

use crate::domain::{MessageId, Role, RoomId};
use crate::services::reports;
use crate::urls::room_moderated_url;
use crate::web::answers::see_other;
use crate::web::error::PageResult;
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::guards::room_with_role;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// Closes the report. **Who:** moderators, except for reports of their own messages. **Answers:** 303 to the
/// moderation view, even if there is no such report; or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    let (room, message) = address.into_inner();
    let room = room_with_role(&state, &user, room, Role::Moderator).await?;
    state.core.limits.change(user.user_id).await?;
    reports::close(&state.core, user.user_id, room.id, message).await?;
    Ok(see_other(room_moderated_url(room.id, "closed")))
}
