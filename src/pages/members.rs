//! Who is in a room.

use actix_web::web::{Data, Path};
use askama::Template;

use super::{Here, Layout, html};
use crate::app::AppState;
use crate::domain::{RoomId, UserId};
use crate::error::PageResult;
use crate::services::rooms::{self, Room};
use crate::session::CurrentUser;

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    reader: UserId,
}

/// **Who:** members. **Answers:** all members, those who have been there longest first.
pub async fn show(app: Data<AppState>, user: CurrentUser, room: Path<RoomId>) -> PageResult {
    let room = rooms::access(&app, *room, user.user_id).await?.member()?;
    html(&MembersPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        reader: user.user_id,
    })
}
