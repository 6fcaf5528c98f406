//! Delete a message: asks authors, and moderators who may delete it, for confirmation.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;

use crate::domain::{MessageId, Role, RoomId};
use crate::live::messages::Message;
use crate::live::rooms::Room;
use crate::services::messages;
use crate::urls::{room_done_url, room_moderated_url};
use crate::web::answers::{end_once, html, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::guards::room_with_role;
use crate::web::layout::{Layout, NavPage};
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

/// Shows the page. **Who:** the author, and members who may moderate the author. **Answers:** the question; 404
/// if the message is gone, or the user may not delete it.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
) -> PageResult {
    let (room, message) = address.into_inner();
    let room = room_with_role(&state, &user, room, Role::Member).await?;
    let Some(message) = messages::deletable(&state.core, user.user_id, &room, message).await?
    else {
        return Err(AppError::NoSuchMessage { room: room.id });
    };
    html(&DeleteMessagePage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        room: &room,
        is_own: message.author == user.user_id,
        message,
    })
}

/// Deletes the message.
///
/// **Who:** the author, and members who may moderate the author. **Answers:** 303 to the room, for moderators to its
/// moderation view; 404 if the message is gone, or the user may not delete it; or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    address: Path<(RoomId, MessageId)>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    let is_over = |error: &AppError| matches!(error, AppError::NoSuchMessage { .. });
    end_once(&request, is_over, delete(state, user, address.into_inner())).await
}

async fn delete(
    state: Data<WebState>,
    user: CurrentUser,
    (room, message): (RoomId, MessageId),
) -> PageResult {
    let room = room_with_role(&state, &user, room, Role::Member).await?;
    state.core.limits.change(user.user_id).await?;
    let Some(deleted) = messages::delete(&state.core, user.user_id, &room, message).await? else {
        return Err(AppError::NoSuchMessage { room: room.id });
    };
    if deleted.author == user.user_id {
        Ok(see_other(room_done_url(room.id, "deleted")))
    } else {
        Ok(see_other(room_moderated_url(room.id, "deleted")))
    }
}
