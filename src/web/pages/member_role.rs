//! Change a member's role: appoint or remove a moderator.

use actix_web::web::{Data, Path};
use serde::Deserialize;

use crate::domain::{Role, RoomId, UserId};
use crate::services::moderation;
use crate::urls::members_done_url;
use crate::web::answers::see_other;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Fields, OwnForm};
use crate::web::guards::room_and_person;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoleForm {
    role: String,
}

impl Fields for RoleForm {}

/// Changes a member's role. **Who:** the owner. **Answers:** 303 to the members page, or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    form: OwnForm<RoleForm>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&state, &user, address, Role::Owner).await?;
    // The page's own buttons send only valid roles.
    let role = form.role.parse().ok().ok_or(AppError::BadRequest)?;
    state.core.limits.change(user.user_id).await?;
    let moderated =
        moderation::set_role(&state.core, room.id, user.user_id, person.user_id, role).await?;
    moderated.into_result(room.id, Role::Owner)?;
    Ok(see_other(members_done_url(room.id, role.as_str())))
}
