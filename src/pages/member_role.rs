//! Make a member a moderator, and a moderator a member like the others.

use actix_web::web::{Data, Form, Path};
use serde::Deserialize;

use super::{room_and_person, see_other};
use crate::app::AppState;
use crate::domain::{Role, RoomId, UserId};
use crate::error::{AppError, PageResult};
use crate::routes::members_done_url;
use crate::services::moderation;
use crate::session::CurrentUser;

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoleForm {
    role: String,
}

/// Gives a member another role. **Who:** the owner. **Answers:** 303 to the members.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    form: Form<RoleForm>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Owner).await?;
    // Only our own buttons send this.
    let role = Role::parse(&form.role).ok_or(AppError::BadRequest)?;
    let moderated = moderation::set_role(&app, room.id, user.user_id, person.user_id, role).await?;
    moderated.done(room.id, Role::Owner)?;
    Ok(see_other(members_done_url(room.id, role.word())))
}
