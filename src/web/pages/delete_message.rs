//! Delete a message, of one's own or, as a moderator, of another's: asks first.

use std::sync::Arc;

use actix_web::web::{Data, Form, Path};
use askama::Template;

use crate::domain::{MessageId, Role, RoomId};
use crate::live::messages::Message;
use crate::live::rooms::Room;
use crate::services::messages;
use crate::urls::{room_done_url, room_moderated_url};
use crate::web::answers::{html, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Button;
use crate::web::guards::room_of;
use crate::web::layout::{Here, Layout};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

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
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
) -> PageResult {
    let (room, message) = address.into_inner();
    let room = room_of(&state, &user, room, Role::Member).await?;
    let Some(message) = messages::deletable(&state.core, user.user_id, &room, message).await else {
        return Err(AppError::NoSuchMessage { room: room.id });
    };
    html(&DeleteMessagePage {
        layout: Layout::new(&state, Some(&user), Here::Elsewhere),
        room: &room,
        is_own: message.author == user.user_id,
        message,
    })
}

/// Deletes the message. **Who:** the author, and who may moderate them. **Answers:** 303 to the room, or to
/// its view to moderate; 404 for a message that is gone, or not theirs to delete.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
    _: Form<Button>,
) -> PageResult {
    let (room, message) = address.into_inner();
    let room = room_of(&state, &user, room, Role::Member).await?;
    let Some(deleted) = messages::delete(&state.core, user.user_id, &room, message).await else {
        return Err(AppError::NoSuchMessage { room: room.id });
    };
    if deleted.author == user.user_id {
        Ok(see_other(room_done_url(room.id, "deleted")))
    } else {
        Ok(see_other(room_moderated_url(room.id)))
    }
}
