//! Report a message to the room's moderators: asks for the reason.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{MessageId, Reason, Role, RoomId};
use crate::live::messages::{Message, Reported};
use crate::live::rooms::Room;
use crate::services::reports::{self, SeenBy};
use crate::urls::room_done_url;
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::room_with_role;
use crate::web::layout::{Layout, NavPage};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "report_message.html")]
struct ReportMessagePage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    message: &'a Message,
    seen_by: SeenBy,
    reason: &'a str,
    problems: Problems,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReportForm {
    reason: String,
}

impl Fields for ReportForm {
    const TYPED: &'static [(&'static str, &'static str)] = &[("reason", "Reason")];
}

/// Shows the page. **Who:** members. **Answers:** the form; 404 if the message is gone, or the user's own.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
) -> PageResult {
    let subject = subject(&state, &user, *address).await?;
    let form = ReportForm::default();
    html(&page(&state, &user, &subject, &form, Problems::default()))
}

/// Reports the message. **Who:** members. **Answers:** 303 to the room; 404 if the message is gone, or the user's own;
/// or the form again with 422 or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, MessageId)>,
    form: OwnForm<ReportForm>,
) -> PageResult {
    let subject = subject(&state, &user, *address).await?;
    let (room, message) = (&subject.room, &subject.message);
    let show_again = |problems| {
        let page = page(&state, &user, &subject, &form, problems);
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let reason = match Reason::parse(&form.reason) {
        Ok(reason) => reason,
        Err(mistake) => return show_again(Problems::one("reason", mistake.0)),
    };
    if let Err(limited) = state.core.limits.report(user.user_id, room.id).await {
        return or_retry_form(Err(limited.into()), "reason", show_again);
    }
    match reports::report(&state.core, user.user_id, room.id, message.id, reason).await? {
        Reported::Done => Ok(see_other(room_done_url(room.id, "reported"))),
        Reported::NoSuchMessage => Err(AppError::NotReportable { room: room.id }),
        Reported::TooManyOpen => {
            const TOO_MANY: &str =
                "You have 20 open reports in this room. Wait until a moderator has closed some";
            show_again(Problems::one("reason", TOO_MANY))
        }
    }
}

/// What a report is about, and who will see it.
struct Subject {
    room: Arc<Room>,
    message: Arc<Message>,
    seen_by: SeenBy,
}

/// Returns the room and the message, if the user may report it.
async fn subject(
    state: &WebState,
    user: &CurrentUser,
    (room, message): (RoomId, MessageId),
) -> Result<Subject, AppError> {
    let room = room_with_role(state, user, room, Role::Member).await?;
    let message = reports::reportable(&state.core, user.user_id, &room, message).await?;
    let message = message.ok_or(AppError::NotReportable { room: room.id })?;
    let seen_by = reports::seen_by(&state.core, &room, user.user_id, message.author).await?;
    Ok(Subject {
        room,
        message,
        seen_by,
    })
}

fn page<'a>(
    state: &'a WebState,
    user: &'a CurrentUser,
    subject: &'a Subject,
    form: &'a ReportForm,
    problems: Problems,
) -> ReportMessagePage<'a> {
    ReportMessagePage {
        layout: Layout::new(state, Some(user), NavPage::Other),
        seen_by: subject.seen_by,
        room: &subject.room,
        message: &subject.message,
        reason: &form.reason,
        problems,
    }
}
