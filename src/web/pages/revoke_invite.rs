//! Revoke an invite link.

use actix_web::web::{Data, Path};

use crate::domain::{InviteId, Role, RoomId};
use crate::services::invites::{self, Revoked};
use crate::urls::invites_done_url;
use crate::web::answers::see_other;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::guards::room_with_role;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// Revokes the link. **Who:** the owner and moderators. **Answers:** 303 to the invite links, or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, InviteId)>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    let (room, invite) = address.into_inner();
    let room = room_with_role(&state, &user, room, Role::Moderator).await?;
    state.core.limits.change(user.user_id).await?;
    match invites::revoke(&state.core, room.id, user.user_id, invite).await? {
        // A link that is gone already counts as a success.
        Revoked::Done => Ok(see_other(invites_done_url(room.id, "revoked"))),
        Revoked::NotAllowed => Err(AppError::NotAllowed {
            room: room.id,
            needs: Role::Moderator,
        }),
    }
}
