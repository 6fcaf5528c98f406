//! Lift a ban.

use actix_web::web::{Data, Form, Path};

use crate::domain::{Role, RoomId, UserId};
use crate::services::moderation;
use crate::urls::members_done_url;
use crate::web::answers::see_other;
use crate::web::error::PageResult;
use crate::web::forms::Button;
use crate::web::guards::room_of;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// Lets a banned person come back as anybody may. **Who:** moderators. **Answers:** 303 to the members.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    _: Form<Button>,
) -> PageResult {
    let (room, person) = address.into_inner();
    let room = room_of(&state, &user, room, Role::Moderator).await?;
    let moderated = moderation::lift_ban(&state.core, room.id, user.user_id, person).await?;
    moderated.done(room.id, Role::Moderator)?;
    Ok(see_other(members_done_url(room.id, "lifted")))
}
