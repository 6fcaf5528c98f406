//! Manage one person in a room: the moderator's actions.

use actix_web::web::{Data, Path};
use askama::Template;

use crate::domain::{Role, RoomId, UserId};
use crate::live::rooms::Room;
use crate::services::moderation::Person;
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::guards::room_and_person;
use crate::web::layout::{Layout, NavPage};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "member.html")]
struct MemberPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    person: Person,
    is_owner: bool,
}

/// Shows the page. **Who:** moderators, for people they may moderate. **Answers:** the actions.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&state, &user, address, Role::Moderator).await?;
    html(&MemberPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        is_owner: room.owner == user.user_id,
        room: &room,
        person,
    })
}
