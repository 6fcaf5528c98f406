//! Delete a message, of one's own or, as a moderator, of another's: asks first.

use std::sync::Arc;

use actix_web::web::{Data, Form, Path};
use askama::Template;

use super::{Button, Here, Layout, html, see_other};
use crate::app::AppState;
use crate::domain::{MessageId, RoomId};
use crate::error::{AppError, PageResult};
use crate::messages::Message;
use crate::routes::{room_done_url, room_moderated_url};
use crate::services::messages;
use crate::services::rooms::{self, Room};
use crate::session::CurrentUser;

#[derive(Template)]
#[template(path = "delete_message.html")]
struct DeleteMessagePage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    message: Arc<Message>,
    is_own: bool,
}

/// **Who:** the author, and who may moderate them. **Answers:** the question; 404 for a message that is
/// gone, or not theirs to delete.
pub async fn show(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
) -> PageResult {
    let (room, message) = address.into_inner();
    let room = rooms::access(&app, room, user.user_id).await?.member()?;
    let Some(message) = messages::deletable(&app, user.user_id, &room, message) else {
        return Err(AppError::NoSuchMessage { room: room.id });
    };
    html(&DeleteMessagePage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        is_own: message.author == user.user_id,
        message,
    })
}

/// Deletes the message. **Who:** the author, and who may moderate them. **Answers:** 303 to the room, or to
/// its view to moderate; 404 for a message that is gone, or not theirs to delete.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
    _: Form<Button>,
) -> PageResult {
    let (room, message) = address.into_inner();
    let room = rooms::access(&app, room, user.user_id).await?.member()?;
    let Some(deleted) = messages::delete(&app, user.user_id, &room, message) else {
        return Err(AppError::NoSuchMessage { room: room.id });
    };
    if deleted.author == user.user_id {
        Ok(see_other(room_done_url(room.id, "deleted")))
    } else {
        Ok(see_other(room_moderated_url(room.id)))
    }
}
