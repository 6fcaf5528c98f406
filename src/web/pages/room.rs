//! The room page: what is said, a box to write, and who is there.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, REFRESH};
use actix_web::web::{Data, Path, Query};
use askama::Template;
use serde::Deserialize;

use super::room_view::{Opening, RELOADS, Range, RoomPage};
use crate::domain::{MessageId, Role, RoomId};
use crate::live::rooms::Room;
use crate::services::rooms::{self, Access};
use crate::services::{accounts, messages};
use crate::web::answers::html;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;
use crate::web::layout::{Here, Layout};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// The header by which browsers say that nobody looks at what they load.
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

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
    held: String,
    reload: String,
    done: String,
    moderate: String,
}

impl RoomQuery {
    fn opening(&self, role: Option<Role>) -> Opening {
        if !self.moderate.is_empty() && role >= Some(Role::Moderator) {
            let has_deleted = self.done == "deleted";
            return Opening::Moderate { has_deleted };
        }
        let reload = RELOADS
            .into_iter()
            .find(|minutes| self.reload == minutes.to_string());
        match (self.done.as_str(), reload) {
            ("created", _) => Opening::Created,
            ("joined", _) => Opening::Joined,
            ("deleted", _) => Opening::Deleted,
            (_, Some(minutes)) => Opening::Reload(minutes),
            _ if !self.sent.is_empty() => Opening::Sent,
            _ if !self.held.is_empty() => Opening::Held,
            _ if !self.after.is_empty() => Opening::Check,
            _ => Opening::Plain,
        }
    }
}

/// Shows a room.
///
/// **Who:** members. **Answers:** the newest messages, or those before `before`, with links to delete those
/// of others if a moderator asks for `moderate`; to others, the name of
/// a public room and a button to join it, and the 404 of a room that is not there for a private one.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    room: Path<RoomId>,
    query: Query<RoomQuery>,
) -> PageResult {
    let room = match rooms::access(&state.core, *room, user.user_id).await? {
        Access::Member(room) => room,
        Access::Outside(room) => {
            let layout = Layout::new(&state, Some(&user), Here::Elsewhere);
            return html(&RoomOutsidePage {
                layout,
                room: &room,
            });
        }
        Access::Hidden => return Err(AppError::NoSuchRoom),
    };
    let message = |text: &str| text.parse().ok().map(MessageId);
    let range = match message(&query.before) {
        Some(before) => Range::Before(before),
        None => {
            let read = state.core.read_marks.find(user.user_id, room.id);
            Range::Newest {
                seen: message(&query.after).or(read),
            }
        }
    };
    let settings = accounts::settings(&state.core, user.user_id).await?;
    let mut opening = query.opening(room.role_of(user.user_id));
    let held = messages::draft(&state.core, &user, room.id).filter(|_| opening == Opening::Held);
    if opening == Opening::Held && held.is_none() {
        opening = Opening::Plain;
    }
    let is_looked_at = !request.headers().contains_key(SEC_PURPOSE);
    if is_looked_at {
        messages::mark_seen(&state.core, &user, room.id, None);
    }
    let page = RoomPage::new(&state, &user, &room, range)
        .await
        .opened(opening, settings.announcements.as_str())
        .with_text(held.as_deref().unwrap_or_default(), Problems::default());
    if is_looked_at && matches!(range, Range::Newest { .. }) {
        messages::mark_seen(&state.core, &user, room.id, page.latest());
    }
    let mut answer = html(&page)?;
    if let Opening::Reload(minutes) = opening {
        answer.headers_mut().insert(REFRESH, (minutes * 60).into());
    }
    Ok(answer)
}
