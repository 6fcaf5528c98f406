//! One public room, for operators.

use actix_web::web::{Data, Path};
use askama::Template;

use crate::domain::RoomId;
use crate::services::site_moderation::{self, PublicRoom};
use crate::web::answers::html;
use crate::web::error::{AppError, PageResult};
use crate::web::layout::{Layout, NavPage};
use crate::web::operator::Operator;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "site_room.html")]
struct SiteRoomPage<'a> {
    layout: Layout<'a>,
    room: PublicRoom,
}

/// Shows the page. **Who:** operators. **Answers:** the room; 404 for a private room, as for one that does not exist.
pub async fn show(state: Data<WebState>, operator: Operator, room: Path<RoomId>) -> PageResult {
    let room = site_moderation::room(&state.core, *room).await?;
    html(&SiteRoomPage {
        layout: Layout::new(&state, Some(&operator.0), NavPage::Other),
        room: room.ok_or(AppError::NotFound)?,
    })
}
