//! One person in a room: ignoring them, and the moderator's actions.

use actix_web::web::{Data, Path};
use askama::Template;

use crate::domain::{Role, RoomId, UserId};
use crate::live::rooms::Room;
use crate::services::accounts;
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
    is_reader: bool,
    is_ignored: bool,
    is_owner: bool,
    /// Whether the reader may moderate the person.
    may_manage: bool,
}

/// Shows the page. **Who:** members. **Answers:** the person's role; the actions of a moderator for people whom they may
/// moderate.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let settings = accounts::settings(&state.core, user.user_id).await?;
    let (room, person) = room_and_person(&state, &user, address, Role::Member).await?;
    let role = room.role_of(user.user_id);
    html(&MemberPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        is_reader: person.user_id == user.user_id,
        is_ignored: settings.ignored.has(person.user_id),
        is_owner: room.owner == user.user_id,
        may_manage: role.is_some_and(|role| role.may_moderate(person.role)),
        room: &room,
        person,
    })
}
