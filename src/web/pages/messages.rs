//! Send a message to a room.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::room_view::{Arrival, Range, RoomPage};
use crate::domain::{Audience, MessageId, MessageText, Mistake, RoomId};
use crate::live::rooms::Room;
use crate::live::too_many::TooMany;
use crate::security::nonces::OpenedNonce;
use crate::services::messages::{self, Sent};
use crate::services::rooms::{self, Access};
use crate::urls::{login_url, room_checked_url, room_draft_url, room_sent_url, room_url};
use crate::web::answers::{html_with, see_other, with_retry_after};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Form, Problems, is_made_for_another};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::{CurrentUser, Visitor};
use crate::web::state::WebState;

/// The request header by which `room.js` asks for an answer without a page.
const SCRIPT: HeaderName = HeaderName::from_static("mirage-script");
/// The header with the nonce for the script's next message.
const NONCE: HeaderName = HeaderName::from_static("mirage-nonce");

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MessageForm {
    text: String,
    nonce: String,
    #[serde(rename = "for")]
    made_for: String,
    audience: String,
    /// Present if the button "Check for new messages" was pressed.
    #[serde(deserialize_with = "is_sent")]
    check: bool,
    /// The latest message on the page.
    seen: String,
}

impl MessageForm {
    /// Returns for whom the text was written.
    fn audience(&self) -> Audience {
        Audience::parse(&self.audience)
    }

    fn is_check(&self) -> bool {
        self.check
    }

    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Reads a field of which only its presence counts.
fn is_sent<'de, D: Deserializer<'de>>(field: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(field).map(|_| true)
}

/// The page for a refused message when the room page cannot be shown. Gives the text back.
#[derive(Template)]
#[template(path = "message_refused.html")]
struct MessageRefusedPage<'a> {
    layout: Layout<'a>,
    refusal: Refusal<'a>,
    text: &'a str,
}

enum Refusal<'a> {
    /// The form was made for another person than this one, who is signed in now.
    AnotherPerson(&'a str),
    /// The author is not a member of this public room.
    NotAMember(&'a Room),
    /// Only the owner and moderators may write in this room.
    ReadOnly(&'a Room),
    /// The room does not exist, or the author must not learn that it does.
    Hidden,
    /// The author is not signed in any more.
    SignedOut,
    /// The database is unreachable.
    Unavailable,
}

impl Refusal<'_> {
    /// Returns the room, if the author may know of it.
    fn room(&self) -> Option<&Room> {
        match self {
            Self::NotAMember(room) | Self::ReadOnly(room) => Some(room),
            Self::AnotherPerson(_) | Self::Hidden | Self::SignedOut | Self::Unavailable => None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::AnotherPerson(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotAMember(_) | Self::ReadOnly(_) => StatusCode::FORBIDDEN,
            Self::Hidden => StatusCode::NOT_FOUND,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Redirects to the room, for a browser that restores a tab at the form's URL. **Who:** signed-in users. **Answers:**
/// 303 to the room.
pub async fn show(_: CurrentUser, room: Path<RoomId>) -> HttpResponse {
    see_other(room_url(*room))
}

/// Sends a message, or loads the room again with the text in the box if the button "Check for new messages" was
/// pressed.
///
/// **Who:** members who may post. **Answers:** 303 to the room, or 204 with the next nonce for the script. All
/// refusals give the text back: the room page with 422 or 429; 422 if the form was made for another person; 403 if the
/// author is not a member of the public room, or may not post in the room; 404 if the room does not exist or is hidden;
/// 503 if the database is unreachable. If the session has ended, the text is kept as a draft, with 303 to the sign-in
/// page, which leads back to the room with the draft; 401 with the text if it is longer than a message, or not from
/// the author's own form; the script gets 401. Checking for new messages keeps the text as a draft, too, with
/// 303 to the room with the draft.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    room: Path<RoomId>,
    form: Form<MessageForm>,
) -> PageResult {
    let is_script = request.headers().contains_key(SCRIPT);
    let user = match Visitor::of(&request).await {
        Ok(visitor) => visitor.user,
        Err(error) => return or_unavailable_page(&state, None, &form, error),
    };
    match user {
        Some(user) => match send(&state, &user, *room, &form, is_script).await {
            Err(error) => or_unavailable_page(&state, Some(&user), &form, error),
            answer => answer,
        },
        None if is_script => refusal_page(&state, None, Refusal::SignedOut, &form),
        None if form.is_check() && form.is_blank() => {
            Ok(see_other(login_url(Some(&room_url(*room)))))
        }
        None => match keep_draft(&state, *room, &form).await {
            Err(error) => or_unavailable_page(&state, None, &form, error),
            answer => answer,
        },
    }
}

/// Keeps the text for its author and redirects to the sign-in page, or gives the text back if it cannot be kept.
async fn keep_draft(state: &WebState, room: RoomId, form: &MessageForm) -> PageResult {
    if let Ok(text) = MessageText::parse(&form.text)
        && messages::keep_draft(&state.core, room, text, &form.nonce).await?
    {
        let draft = room_draft_url(room, form.audience());
        return Ok(see_other(login_url(Some(&draft))));
    }
    refusal_page(state, None, Refusal::SignedOut, form)
}

async fn send(
    state: &WebState,
    user: &CurrentUser,
    room: RoomId,
    form: &MessageForm,
    is_script: bool,
) -> PageResult {
    let nonce = state.core.nonces.open(&form.nonce, room);
    if is_of_another(user, form, nonce) {
        return another_person(state, user, room, form, is_script).await;
    }
    let text = match MessageText::parse(&form.text) {
        Ok(text) if !form.is_check() => text,
        text => return keep_in_box(state, user, room, form, text).await,
    };
    match messages::send(&state.core, user, room, text, form.audience(), nonce).await? {
        Sent::Message(_) if is_script => {
            let nonce = (NONCE, state.core.nonces.make(user.user_id, room));
            Ok(HttpResponse::NoContent().insert_header(nonce).finish())
        }
        Sent::Message(message) => Ok(see_other(room_sent_url(room, message))),
        Sent::StaleForm(room) => {
            const STALE: &str =
                "This form was already used. Your message is still here: send it again";
            show_again(state, user, &room, form, STALE).await
        }
        Sent::PublicNow(room) => {
            const PUBLIC: &str =
                "This room is public now. Your message is still here: send it again to publish it";
            show_for(state, user, &room, form, Audience::Everyone, PUBLIC).await
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
        Sent::ReadOnly(room) => refusal_page(state, Some(user), Refusal::ReadOnly(&room), form),
        Sent::SignedOut => refusal_page(state, None, Refusal::SignedOut, form),
        Sent::NotAMember(room) => refusal_page(state, Some(user), Refusal::NotAMember(&room), form),
        Sent::Hidden => refusal_page(state, Some(user), Refusal::Hidden, form),
    }
}

/// Shows the room again with the text in the box, which is not sent: the text is no message, or the person checks for
/// new messages.
async fn keep_in_box(
    state: &WebState,
    user: &CurrentUser,
    room: RoomId,
    form: &MessageForm,
    text: Result<MessageText, Mistake>,
) -> PageResult {
    let seen = form.seen.parse().map_or(MessageId(0), MessageId);
    if form.is_check() && form.is_blank() {
        messages::hold_draft(&state.core, user, room, None).await?;
        return Ok(see_other(room_checked_url(room, seen, None)));
    }
    match rooms::access(&state.core, room, user.user_id).await? {
        Access::Member(room) if room.may_post(user.user_id) => match text {
            Ok(text) => {
                messages::hold_draft(&state.core, user, room.id, Some(text)).await?;
                Ok(see_other(room_checked_url(
                    room.id,
                    seen,
                    Some(form.audience()),
                )))
            }
            Err(mistake) => show_again(state, user, &room, form, mistake.0).await,
        },
        Access::Member(room) => refusal_page(state, Some(user), Refusal::ReadOnly(&room), form),
        Access::Outside(room) => refusal_page(state, Some(user), Refusal::NotAMember(&room), form),
        Access::Hidden => refusal_page(state, Some(user), Refusal::Hidden, form),
    }
}

/// Shows the room again with 429 and `Retry-After`.
async fn too_many(
    state: &WebState,
    user: &CurrentUser,
    room: &Room,
    form: &MessageForm,
    rule: &str,
    wait: TooMany,
) -> PageResult {
    let sentence = format!("{rule}. Wait {wait}, then send your message again");
    let form = show_again(state, user, room, form, sentence).await?;
    Ok(with_retry_after(
        form,
        StatusCode::TOO_MANY_REQUESTS,
        wait.wait_s,
    ))
}

/// Returns whether the form was made for another person. Its nonce says so under a signature, its field `for` even if the
/// nonce is unreadable.
fn is_of_another(user: &CurrentUser, form: &MessageForm, nonce: Option<OpenedNonce>) -> bool {
    is_made_for_another(&form.made_for, user.user_id)
        || nonce.is_some_and(|nonce| nonce.owner != user.user_id)
}

/// Gives the text back to the person who is signed in now: in the box of their own form if they may write in the room.
/// The script gets no form, so that its page, which was made for another person, sends nothing as this one.
async fn another_person(
    state: &WebState,
    user: &CurrentUser,
    room: RoomId,
    form: &MessageForm,
    is_script: bool,
) -> PageResult {
    let name = &user.user_name;
    match rooms::access(&state.core, room, user.user_id).await? {
        Access::Member(room) if room.may_post(user.user_id) && !is_script => {
            let sentence = format!(
                "You are now signed in as {name}. The message is still here: send it again to send it as {name}"
            );
            show_again(state, user, &room, form, sentence).await
        }
        _ => refusal_page(state, Some(user), Refusal::AnotherPerson(name), form),
    }
}

/// Shows the room again, with the text in the message box and the problem with it. If the text was written for fewer
/// people than can read it now, its form still says so.
async fn show_again(
    state: &WebState,
    user: &CurrentUser,
    room: &Room,
    form: &MessageForm,
    sentence: impl Into<Cow<'static, str>>,
) -> PageResult {
    show_for(state, user, room, form, form.audience(), sentence).await
}

/// Shows the room again like [`show_again`], with a form that says for whom the text is.
async fn show_for(
    state: &WebState,
    user: &CurrentUser,
    room: &Room,
    form: &MessageForm,
    audience: Audience,
    sentence: impl Into<Cow<'static, str>>,
) -> PageResult {
    let problems = Problems::one("message", sentence);
    let seen = messages::last_read(&state.core, user, room.id).await?;
    let range = Range::Newest { seen };
    let page = RoomPage::new(state, user, room, range, Arrival::Plain)
        .await?
        .with_text(&form.text, audience, problems);
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn refusal_page(
    state: &WebState,
    user: Option<&CurrentUser>,
    refusal: Refusal<'_>,
    form: &MessageForm,
) -> PageResult {
    let layout = Layout::new(state, user, NavPage::Other);
    html_with(
        refusal.status(),
        &MessageRefusedPage {
            layout,
            refusal,
            text: &form.text,
        },
    )
}

/// Gives the text back if the database is unreachable or the author has just been removed, and returns all other
/// errors.
fn or_unavailable_page(
    state: &WebState,
    user: Option<&CurrentUser>,
    form: &MessageForm,
    error: AppError,
) -> PageResult {
    match error {
        AppError::Unavailable { .. } => {
            error.log();
            refusal_page(state, user, Refusal::Unavailable, form)
        }
        // They were removed while the room was being shown to them.
        AppError::NoSuchRoom => refusal_page(state, user, Refusal::Hidden, form),
        error => Err(error),
    }
}
