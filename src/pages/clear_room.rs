//! Clear all messages of a room: asks first.

use actix_web::web::{Data, Form, Path};

use super::{Button, ConfirmPage, Here, Layout, html, room_of, see_other};
use crate::app::AppState;
use crate::domain::{Role, RoomId};
use crate::error::PageResult;
use crate::routes::room_settings_done_url;
use crate::services::room_settings;
use crate::session::CurrentUser;

/// **Who:** the owner. **Answers:** the question.
pub async fn show(app: Data<AppState>, user: CurrentUser, room: Path<RoomId>) -> PageResult {
    let room = room_of(&app, &user, *room, Role::Owner).await?;
    html(&ConfirmPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        verb: "Delete all messages in",
        name: &room.name,
        rest: "",
        consequences: &["The messages disappear for everyone immediately. This cannot be undone."],
        back: "/settings",
        back_name: "the settings",
        action: "/settings/clear".to_owned(),
    })
}

/// Clears the room. **Who:** the owner. **Answers:** 303 to the settings.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    _: Form<Button>,
) -> PageResult {
    let room = room_of(&app, &user, *room, Role::Owner).await?;
    let changed = room_settings::clear(&app, room.id, user.user_id).await?;
    changed.done(room.id)?;
    Ok(see_other(room_settings_done_url(room.id, "cleared")))
}
