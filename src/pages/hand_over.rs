//! Hand over a room to a member: asks first.

use actix_web::web::{Data, Form, Path};

use super::{Button, ConfirmPage, Here, Layout, html, room_and_person, see_other};
use crate::app::AppState;
use crate::domain::{Role, RoomId, UserId};
use crate::error::PageResult;
use crate::routes::members_done_url;
use crate::services::moderation;
use crate::session::CurrentUser;

/// **Who:** the owner. **Answers:** the question.
pub async fn show(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Owner).await?;
    html(&ConfirmPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        verb: "Make",
        name: &person.name,
        rest: " the owner",
        consequences: &[
            "They become the owner, and you become a moderator. Only they can make you the owner again.",
        ],
        back: "/members",
        back_name: "the members",
        action: format!("/members/{}/owner", person.user_id),
    })
}

/// Makes a member the owner. **Who:** the owner. **Answers:** 303 to the members.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    _: Form<Button>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Owner).await?;
    let moderated = moderation::hand_over(&app, room.id, user.user_id, person.user_id).await?;
    moderated.done(room.id, Role::Owner)?;
    Ok(see_other(members_done_url(room.id, "owner")))
}
