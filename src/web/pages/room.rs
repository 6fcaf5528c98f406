//! The room page: the messages, a form to send one, and the members.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, REFRESH};
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use super::room_view::{Arrival, Invitation, RELOADS, Range, RoomPage};
use crate::domain::{Audience, MessageId, Role, RoomId};
use crate::live::rooms::Room;
use crate::services::messages;
use crate::services::rooms::{self, Access};
use crate::urls::shared_room_url;
use crate::web::answers::html;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::{WebState, absolute_url};

/// The header by which browsers announce a prefetch, which nobody may ever look at.
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

#[derive(Template)]
#[template(path = "room_outside.html")]
struct RoomOutsidePage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
}

/// The query parameters.
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
    report: String,
}

impl RoomQuery {
    fn arrival(&self, role: Option<Role>) -> Arrival {
        if !self.moderate.is_empty() && role >= Some(Role::Moderator) {
            let done = match self.done.as_str() {
                "deleted" => Some("Message deleted"),
                "closed" => Some("Report closed"),
                _ => None,
            };
            return Arrival::Moderate { done };
        }
        if !self.report.is_empty() {
            return Arrival::Report;
        }
        let minutes = self.reload.parse().ok();
        let reload = RELOADS
            .into_iter()
            .find(|(every, _)| minutes == Some(*every));
        match (self.done.as_str(), reload) {
            ("created", _) => Arrival::Created,
            ("joined", _) => Arrival::Joined,
            ("deleted", _) => Arrival::Deleted,
            ("reported", _) => Arrival::Reported,
            (_, Some(reload)) => Arrival::Reload(reload),
            _ if !self.sent.is_empty() => Arrival::Sent,
            _ if !self.after.is_empty() => Arrival::Check,
            _ if !self.held.is_empty() => Arrival::Draft,
            _ => Arrival::Plain,
        }
    }
}

/// Shows a room.
///
/// **Who:** members. **Answers:** the newest messages, or the messages before `before`; with `moderate`, moderators
/// see reports and get links to delete other people's messages; with `report`, members get links to report them. Everybody else gets the name and a Join button for a public room,
/// and for a private room the same 404 as if it did not exist.
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
            let layout = Layout::new(&state, Some(&user), NavPage::Other);
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
            let read = messages::last_read(&state.core, &user, room.id).await?;
            Range::Newest {
                seen: message(&query.after).or(read),
            }
        }
    };
    let mut arrival = query.arrival(room.role_of(user.user_id));
    let draft = if query.held.is_empty() {
        None
    } else {
        messages::draft(&state.core, &user, room.id).await?
    };
    if arrival == Arrival::Draft && draft.is_none() {
        arrival = Arrival::Plain;
    }
    let is_viewed = !request.headers().contains_key(SEC_PURPOSE);
    if is_viewed {
        let seen = messages::mark_seen(&state.core, &user, room.id, None);
        state.core.written(seen).await?;
    }
    let page = RoomPage::new(&state, &user, &room, range, arrival)
        .await?
        .with_text(
            draft.as_deref().unwrap_or_default(),
            Audience::parse(&query.held),
            Problems::default(),
        )
        .with_invitation(|| Invitation {
            address: absolute_url(&request, &shared_room_url(room.id)),
            nonce: state.core.nonces.keep_or_make("", Some(user.user_id)),
        });
    if is_viewed && matches!(range, Range::Newest { .. }) {
        let seen = messages::mark_seen(&state.core, &user, room.id, page.latest());
        state.core.written(seen).await?;
    }
    let mut answer = html(&page)?;
    if let Arrival::Reload((minutes, _)) = arrival {
        answer.headers_mut().insert(REFRESH, (minutes * 60).into());
    }
    Ok(answer)
}
