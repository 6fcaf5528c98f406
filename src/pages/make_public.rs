//! Make a private room public: asks first.

use actix_web::web::{Data, Form, Path};

use super::{Button, ConfirmPage, Here, Layout, html, room_of, see_other};
use crate::app::AppState;
use crate::domain::{Role, RoomId};
use crate::error::{AppError, PageResult};
use crate::routes::room_settings_done_url;
use crate::services::room_settings::{self, Changed};
use crate::session::CurrentUser;

/// **Who:** the owner. **Answers:** the question; 303 to the settings if the room is public.
pub async fn show(app: Data<AppState>, user: CurrentUser, room: Path<RoomId>) -> PageResult {
    let room = room_of(&app, &user, *room, Role::Owner).await?;
    if !room.is_private {
        return Ok(see_other(format!("/rooms/{}/settings", room.id)));
    }
    html(&ConfirmPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        verb: "Make",
        name: &room.name,
        rest: " public",
        consequences: &[
            "Everyone can see it in the list of public rooms and join it with one click.",
            "All messages in it now are deleted, because they were written in private. This cannot be undone.",
            "Its password and invite links stop working. Banned people stay banned.",
        ],
        back: "/settings",
        back_name: "the settings",
        action: "/settings/public".to_owned(),
    })
}

/// Makes the room public. **Who:** the owner. **Answers:** 303 to the settings; 403 when there are as many
/// public rooms as there may be.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: Form<Button>,
) -> PageResult {
    let room = room_of(&app, &user, *room, Role::Owner).await?;
    match room_settings::make_public(&app, room.id, user.user_id).await? {
        Changed::TooManyPublic => Err(AppError::TooManyPublic { room: room.id }),
        changed => {
            changed.done(room.id)?;
            Ok(see_other(room_settings_done_url(room.id, "public")))
        }
    }
}
