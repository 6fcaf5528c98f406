//! Sending a message to a room.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::room_view::{Range, RoomPage};
use crate::domain::{MessageText, RoomId};
use crate::live::rate_limits::TooMany;
use crate::live::rooms::Room;
use crate::services::messages::{self, Sent};
use crate::services::rooms::{self, Access};
use crate::urls::{login_url, room_draft_url, room_sent_url, room_url};
use crate::web::answers::{for_later, html_with, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Problems;
use crate::web::layout::{Here, Layout};
use crate::web::session::{CurrentUser, Visitor};
use crate::web::state::WebState;

/// The header by which room.js says that it sends, not a form: no page follows then.
const SCRIPT: &str = "Mirage-Script";
/// The header that gives the script the next form's nonce.
const NONCE: &str = "Mirage-Nonce";

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MessageForm {
    text: String,
    nonce: String,
}

/// A message that was not sent, for a reason that the room page cannot show.
#[derive(Template)]
#[template(path = "message_refused.html")]
struct MessageRefusedPage<'a> {
    layout: Layout<'a>,
    refusal: Refusal<'a>,
    text: &'a str,
}

enum Refusal<'a> {
    /// They are not in this public room.
    NotAMember(&'a Room),
    /// Only the owner and the moderators write in it.
    ReadOnly(&'a Room),
    /// There is no such room, or it must not be seen.
    Hidden,
    /// Nobody is signed in.
    SignedOut,
    /// The database is away.
    Unavailable,
}

impl Refusal<'_> {
    /// The room, if they may know of it.
    fn room(&self) -> Option<&Room> {
        match self {
            Self::NotAMember(room) | Self::ReadOnly(room) => Some(room),
            Self::Hidden | Self::SignedOut | Self::Unavailable => None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotAMember(_) | Self::ReadOnly(_) => StatusCode::FORBIDDEN,
            Self::Hidden => StatusCode::NOT_FOUND,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Leads to the room, for a tab that is restored at the address its form was sent to.
pub async fn show(_: CurrentUser, room: Path<RoomId>) -> HttpResponse {
    see_other(room_url(*room))
}

/// Sends a message.
///
/// **Who:** members. **Answers:** 303 to the room, or 204 with the next nonce to the script. What is
/// refused comes back with its text: in the room with 422 or 429; with 403 from a public room one is not
/// in; with 404 from one that is not there or not to be seen; with 503 when the database is away. When
/// the session has ended the text is held, and signing in leads back to it; the script gets a 401.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    room: Path<RoomId>,
    form: Form<MessageForm>,
) -> PageResult {
    let is_script = request.headers().contains_key(SCRIPT);
    let user = match Visitor::of(&request).await {
        Ok(visitor) => visitor.user,
        Err(error) => return away(&state, None, &form, error),
    };
    match user {
        Some(user) => match send(&state, &user, *room, &form, is_script).await {
            Err(error) => away(&state, Some(&user), &form, error),
            answer => answer,
        },
        None if is_script => refused(&state, None, Refusal::SignedOut, &form),
        None if messages::keep_draft(&state.core, *room, &form.text, &form.nonce) => {
            Ok(see_other(login_url(Some(&room_draft_url(*room)))))
        }
        None => refused(&state, None, Refusal::SignedOut, &form),
    }
}

async fn send(
    state: &WebState,
    user: &CurrentUser,
    room: RoomId,
    form: &MessageForm,
    is_script: bool,
) -> PageResult {
    let text = match MessageText::parse(&form.text) {
        Ok(text) => text,
        Err(mistake) => {
            return match rooms::access(&state.core, room, user.user_id).await? {
                Access::Member(room) if room.may_post(user.user_id) => {
                    again(state, user, &room, form, mistake.0).await
                }
                Access::Member(room) => refused(state, Some(user), Refusal::ReadOnly(&room), form),
                Access::Outside(room) => {
                    refused(state, Some(user), Refusal::NotAMember(&room), form)
                }
                Access::Hidden => refused(state, Some(user), Refusal::Hidden, form),
            };
        }
    };
    match messages::send(&state.core, user, room, text, &form.nonce).await? {
        Sent::Message(_) if is_script => {
            let nonce = (NONCE, state.core.nonces.make(user.user_id, room));
            Ok(HttpResponse::NoContent().insert_header(nonce).finish())
        }
        Sent::Message(message) => Ok(see_other(room_sent_url(room, message))),
        Sent::StaleForm(room) => {
            const STALE: &str =
                "This form was used before. Your message is still here: send it again";
            again(state, user, &room, form, STALE).await
        }
        Sent::TooMany(room, wait) => {
            too_many(state, user, &room, form, "You are sending too fast", wait).await
        }
        Sent::TooSoon(room, wait) => {
            let rule = format!(
                "This room is in slow mode: one message every {}",
                room.slow_mode
            );
            too_many(state, user, &room, form, &rule, wait).await
        }
        Sent::ReadOnly(room) => refused(state, Some(user), Refusal::ReadOnly(&room), form),
        Sent::SignedOut => refused(state, None, Refusal::SignedOut, form),
        Sent::NotAMember(room) => refused(state, Some(user), Refusal::NotAMember(&room), form),
        Sent::Hidden => refused(state, Some(user), Refusal::Hidden, form),
    }
}

/// The room again, with 429 and how long to wait.
async fn too_many(
    state: &WebState,
    user: &CurrentUser,
    room: &Room,
    form: &MessageForm,
    rule: &str,
    wait: TooMany,
) -> PageResult {
    let sentence = format!("{rule}. Wait {wait}, then send your message again");
    let form = again(state, user, room, form, sentence).await?;
    Ok(for_later(form, StatusCode::TOO_MANY_REQUESTS, wait.wait_s))
}

/// The room again, with the text in the box and what was wrong with it.
async fn again(
    state: &WebState,
    user: &CurrentUser,
    room: &Room,
    form: &MessageForm,
    sentence: impl Into<Cow<'static, str>>,
) -> PageResult {
    let problems = Problems::one("message", sentence);
    let seen = state.core.read_marks.find(user.user_id, room.id);
    let page = RoomPage::new(state, user, room, Range::Newest { seen })
        .await
        .with_text(&form.text, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn refused(
    state: &WebState,
    user: Option<&CurrentUser>,
    refusal: Refusal<'_>,
    form: &MessageForm,
) -> PageResult {
    let layout = Layout::new(state, user, Here::Elsewhere);
    html_with(
        refusal.status(),
        &MessageRefusedPage {
            layout,
            refusal,
            text: &form.text,
        },
    )
}

/// Gives the text back when the database is away; other errors are passed on.
fn away(
    state: &WebState,
    user: Option<&CurrentUser>,
    form: &MessageForm,
    error: AppError,
) -> PageResult {
    match error {
        AppError::Unavailable { .. } => {
            error.log();
            refused(state, user, Refusal::Unavailable, form)
        }
        error => Err(error),
    }
}
