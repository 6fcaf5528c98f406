//! Remove a member from a room: asks first.

use actix_web::web::{Data, Form, Path};

use super::{Button, ConfirmPage, Here, Layout, html, room_and_person, see_other};
use crate::app::AppState;
use crate::domain::{Role, RoomId, UserId};
use crate::error::PageResult;
use crate::routes::members_done_url;
use crate::services::moderation;
use crate::session::CurrentUser;

/// **Who:** moderators, of people whom they may moderate. **Answers:** the question.
pub async fn show(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Moderator).await?;
    html(&ConfirmPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        verb: "Remove",
        name: &person.name,
        rest: " from the room",
        consequences: &[
            "They are removed from the room immediately. Their messages stay.",
            "They can join again. To keep them out, ban them instead.",
        ],
        back: "/members",
        back_name: "the members",
        action: format!("/members/{}/remove", person.user_id),
    })
}

/// Takes the member out. **Who:** moderators, of people whom they may moderate. **Answers:** 303 to the members.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    _: Form<Button>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Moderator).await?;
    let moderated = moderation::remove(&app, room.id, user.user_id, person.user_id).await?;
    moderated.done(room.id, Role::Moderator)?;
    Ok(see_other(members_done_url(room.id, "removed")))
}
