//! Lift a ban.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};

use crate::domain::{Role, RoomId, UserId};
use crate::services::moderation;
use crate::urls::members_done_url;
use crate::web::answers::{end_once, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::guards::room_with_role;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// Lifts the ban, so that the person may join again. **Who:** moderators. **Answers:** 303 to the members page,
/// or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    address: Path<(RoomId, UserId)>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    let is_over = |error: &AppError| matches!(error, AppError::NoSuchPerson { .. });
    end_once(&request, is_over, lift(state, user, address.into_inner())).await
}

async fn lift(
    state: Data<WebState>,
    user: CurrentUser,
    (room, person): (RoomId, UserId),
) -> PageResult {
    let room = room_with_role(&state, &user, room, Role::Moderator).await?;
    state.core.limits.change(user.user_id).await?;
    let moderated = moderation::lift_ban(&state.core, room.id, user.user_id, person).await?;
    moderated.into_result(room.id, Role::Moderator)?;
    Ok(see_other(members_done_url(room.id, "lifted")))
}
