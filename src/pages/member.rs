//! What a moderator can do about one person.

use actix_web::web::{Data, Path};
use askama::Template;

use super::{Here, Layout, html, room_and_person};
use crate::app::AppState;
use crate::domain::{Role, RoomId, UserId};
use crate::error::PageResult;
use crate::services::moderation::Person;
use crate::services::rooms::Room;
use crate::session::CurrentUser;

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
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Moderator).await?;
    html(&MemberPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        is_owner: room.owner == user.user_id,
        room: &room,
        person,
    })
}
