//! Take a link into a private room back.

use actix_web::web::{Data, Form, Path};

use super::{Button, see_other};
use crate::app::AppState;
use crate::domain::{InviteId, Role, RoomId};
use crate::error::{AppError, PageResult};
use crate::routes::invites_done_url;
use crate::services::invites::{self, Revoked};
use crate::services::rooms;
use crate::session::CurrentUser;

/// Takes the link back. **Who:** the owner and the moderators. **Answers:** 303 to the links.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, InviteId)>,
    _: Form<Button>,
) -> PageResult {
    let (room, invite) = address.into_inner();
    let room = rooms::access(&app, room, user.user_id)
        .await?
        .at_least(Role::Moderator, user.user_id)?;
    match invites::revoke(&app, room.id, user.user_id, invite).await? {
        // A link that is gone already is as they wanted it.
        Revoked::Done => Ok(see_other(invites_done_url(room.id, "revoked"))),
        Revoked::NotAllowed => Err(AppError::NotAllowed {
            room: room.id,
            needs: Role::Moderator,
        }),
    }
}
