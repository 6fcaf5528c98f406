//! The room page: what is said, a box to write, and who is there.

use actix_web::web::{Data, Path, Query};
use askama::Template;
use serde::Deserialize;

use super::room_view::{Done, RoomPage};
use super::{Here, Layout, html};
use crate::app::AppState;
use crate::domain::{MessageId, RoomId};
use crate::error::{AppError, PageResult};
use crate::services::rooms::{self, Access, Room};
use crate::session::CurrentUser;

#[derive(Template)]
#[template(path = "room_outside.html")]
struct RoomOutsidePage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
}

/// What the address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoomQuery {
    before: String,
    after: String,
    sent: String,
    done: String,
}

impl RoomQuery {
    fn done(&self) -> Option<Done> {
        match self.done.as_str() {
            "created" => Some(Done::Created),
            "joined" => Some(Done::Joined),
            _ => (!self.sent.is_empty()).then_some(Done::Sent),
        }
    }
}

/// **Who:** members. **Answers:** the newest messages, or those before `before`; to others, the name of
/// a public room and a button to join it, and the 404 of a room that is not there for a private one.
pub async fn show(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    query: Query<RoomQuery>,
) -> PageResult {
    match rooms::access(&app, *room, user.user_id).await? {
        Access::Member(room) => {
            let message = |text: &str| text.parse().ok().map(MessageId);
            let (before, after) = (message(&query.before), message(&query.after));
            html(&RoomPage::new(&app, &user, &room, before, after).with_done(query.done()))
        }
        Access::Outside(room) => {
            let layout = Layout::new(&app, Some(&user), Here::Elsewhere);
            html(&RoomOutsidePage {
                layout,
                room: &room,
            })
        }
        Access::Hidden => Err(AppError::NoSuchRoom),
    }
}
