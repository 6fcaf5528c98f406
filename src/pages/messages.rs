//! Sending a message to a room.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use super::room_view::RoomPage;
use super::{Here, Layout, Problems, html_with, see_other};
use crate::app::AppState;
use crate::domain::{MessageText, Mistake, RoomId};
use crate::error::PageResult;
use crate::routes::{room_sent_url, room_url};
use crate::services::messages::{self, Sent};
use crate::services::rooms::{self, Access, Room};
use crate::session::CurrentUser;

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MessageForm {
    text: String,
    nonce: String,
}

/// A message to a room one is not in.
#[derive(Template)]
#[template(path = "message_refused.html")]
struct MessageRefusedPage<'a> {
    layout: Layout<'a>,
    /// The public room to join; none where there is no room to be seen.
    room: Option<&'a Room>,
    text: &'a str,
}

/// Leads to the room, for a tab that is restored at the address its form was sent to.
pub async fn show(_: CurrentUser, room: Path<RoomId>) -> HttpResponse {
    see_other(room_url(*room))
}

/// Sends a message.
///
/// **Who:** members. **Answers:** 303 to the room; the room with the text in the box
/// and 422 when it cannot be sent as it is; 403 with the text for a public room one is not in, and 404
/// with the text for a room that is not there or not to be seen.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    form: Form<MessageForm>,
) -> PageResult {
    let text = match MessageText::parse(&form.text) {
        Ok(text) => text,
        Err(mistake) => {
            return match rooms::access(&app, *room, user.user_id).await? {
                Access::Member(room) => again(&app, &user, &room, &form, mistake),
                Access::Outside(room) => refused(&app, &user, Some(&room), &form),
                Access::Hidden => refused(&app, &user, None, &form),
            };
        }
    };
    match messages::send(&app, &user, *room, text, &form.nonce).await? {
        Sent::Message(message) => Ok(see_other(room_sent_url(*room, message))),
        Sent::StaleForm(room) => {
            const STALE: Mistake =
                Mistake("This form could not be used. Your message is still here: send it again");
            again(&app, &user, &room, &form, STALE)
        }
        Sent::NotAMember(room) => refused(&app, &user, Some(&room), &form),
        Sent::Hidden => refused(&app, &user, None, &form),
    }
}

fn again(
    app: &AppState,
    user: &CurrentUser,
    room: &Room,
    form: &MessageForm,
    mistake: Mistake,
) -> PageResult {
    let problems = Problems::one("message", mistake.0);
    let page = RoomPage::new(app, user, room, None, None).with_refused(&form.text, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn refused(
    app: &AppState,
    user: &CurrentUser,
    room: Option<&Room>,
    form: &MessageForm,
) -> PageResult {
    let status = if room.is_some() {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::NOT_FOUND
    };
    let layout = Layout::new(app, Some(user), Here::Elsewhere);
    html_with(
        status,
        &MessageRefusedPage {
            layout,
            room,
            text: &form.text,
        },
    )
}
