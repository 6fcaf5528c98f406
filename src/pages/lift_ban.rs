//! Lift a ban.

use actix_web::web::{Data, Form, Path};

use super::{Button, room_of, see_other};
use crate::app::AppState;
use crate::domain::{Role, RoomId, UserId};
use crate::error::PageResult;
use crate::routes::members_done_url;
use crate::services::moderation;
use crate::session::CurrentUser;

/// Lets a banned person come back as anybody may. **Who:** moderators. **Answers:** 303 to the members.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    _: Form<Button>,
) -> PageResult {
    let (room, person) = address.into_inner();
    let room = room_of(&app, &user, room, Role::Moderator).await?;
    let moderated = moderation::lift_ban(&app, room.id, user.user_id, person).await?;
    moderated.done(room.id, Role::Moderator)?;
    Ok(see_other(members_done_url(room.id, "lifted")))
}
