//! Take a link into a private room back.

use actix_web::web::{Data, Form, Path};

use crate::domain::{InviteId, Role, RoomId};
use crate::services::invites::{self, Revoked};
use crate::urls::invites_done_url;
use crate::web::answers::see_other;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Button;
use crate::web::guards::room_of;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// Takes the link back. **Who:** the owner and the moderators. **Answers:** 303 to the links.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, InviteId)>,
    _: Form<Button>,
) -> PageResult {
    let (room, invite) = address.into_inner();
    let room = room_of(&state, &user, room, Role::Moderator).await?;
    match invites::revoke(&state.core, room.id, user.user_id, invite).await? {
        // A link that is gone already is as they wanted it.
        Revoked::Done => Ok(see_other(invites_done_url(room.id, "revoked"))),
        Revoked::NotAllowed => Err(AppError::NotAllowed {
            room: room.id,
            needs: Role::Moderator,
        }),
    }
}
