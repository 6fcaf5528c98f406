//! What a moderator can do about one person.

use actix_web::web::{Data, Path};
use askama::Template;

use crate::domain::{Role, RoomId, UserId};
use crate::live::rooms::Room;
use crate::services::moderation::Person;
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::guards::room_and_person;
use crate::web::layout::{Here, Layout};
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

/// **Who:** moderators, of people whom they may moderate. **Answers:** what they can do.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&state, &user, address, Role::Moderator).await?;
    html(&MemberPage {
        layout: Layout::new(&state, Some(&user), Here::Elsewhere),
        is_owner: room.owner == user.user_id,
        room: &room,
        person,
    })
}
