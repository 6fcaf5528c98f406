//! The poll endpoint: returns what happened in a room since the last poll by `room.js`.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::{Audience, MessageId, RoomId, UserId};
use crate::live::messages::{Cursor, Message, Since};
use crate::services::messages::{self, News, Polled, Visibility, WaitMode};
use crate::web::connections::end_on_hang_up;
use crate::web::error::{AppError, StatusOnly};
use crate::web::forms::is_made_for_another;
use crate::web::session::ScriptUser;
use crate::web::state::WebState;
use crate::web::urlencoded;

/// The header with the cursor for the next poll.
const CURSOR: HeaderName = HeaderName::from_static("mirage-cursor");
/// The header that tells the page to replace its list with this one: `restart` if the server has restarted since the
/// cursor was made and has lost all earlier messages, or `1` otherwise.
const RESET: HeaderName = HeaderName::from_static("mirage-reset");
/// The header, always `1`, that tells the page that the room's name, settings or members have changed.
const CHANGED: HeaderName = HeaderName::from_static("mirage-changed");
/// The header, always `0`, that tells the page to poll without waiting, every few seconds.
const WAIT: HeaderName = HeaderName::from_static("mirage-wait");
/// The header `1` that tells the page that the room is public, so that what is written for its members alone must not
/// be sent without a word.
const PUBLIC: HeaderName = HeaderName::from_static("mirage-public");
/// The header with the number of new messages in each other room of the reader where it may have changed: `7=3, 9=0`.
const ROOMS: HeaderName = HeaderName::from_static("mirage-rooms");
/// The header with the server's site time in milliseconds, the clock of the messages' deadlines.
const TIME: HeaderName = HeaderName::from_static("mirage-time");

/// The length in bytes of the element for a message that went, at most.
const GONE_BYTES: usize = 48;

/// The query parameters.
#[derive(Debug, Default)]
struct PollQuery<'a> {
    after: Cow<'a, str>,
    wait: Cow<'a, str>,
    hidden: Cow<'a, str>,
    made_for: Cow<'a, str>,
}

impl<'a> PollQuery<'a> {
    /// Parses the part of an address after the question mark, without copying what is not encoded.
    fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in urlencoded::pairs(query.as_bytes()) {
            let parameter = match &*name {
                "after" => &mut parsed.after,
                "wait" => &mut parsed.wait,
                "hidden" => &mut parsed.hidden,
                "for" => &mut parsed.made_for,
                _ => continue,
            };
            if parameter.is_empty() {
                *parameter = value;
            }
        }
        parsed
    }
}

/// Returns whether a request is a poll that waits if nothing has happened.
#[must_use]
pub fn may_wait(request: &HttpRequest) -> bool {
    // As `room.js` writes them.
    let never = ["&wait=0", "&hidden=1"];
    let query = request.query_string();
    request.path().ends_with("/poll") && !never.iter().any(|how| query.ends_with(how))
}

/// Answers a poll.
///
/// **Who:** members. **Answers:** 200 with the messages added and removed after the cursor
/// `after`, as `<li>` elements; 204 if nothing happened, after waiting unless `wait` is 0; errors with status
/// only, 409 if the page was made `for` another person.
pub async fn show(
    state: Data<WebState>,
    user: ScriptUser,
    request: HttpRequest,
) -> Result<HttpResponse, StatusOnly> {
    let ScriptUser(user) = user;
    // Parsed here, not by extractors, because their errors would be answered with an error page.
    let room = request.match_info().get("room");
    let room = room.and_then(|room| room.parse().ok().map(RoomId));
    let room = room.ok_or(AppError::NoSuchRoom)?;
    let query = PollQuery::parse(request.query_string());
    if is_made_for_another(&query.made_for, user.user_id) {
        let name = user.user_name.to_string();
        let (typed, page) = (Vec::new(), None);
        return Err(AppError::AnotherPerson { name, typed, page }.into());
    }
    let cursor: Option<Cursor> = query.after.parse().ok();
    let wait_mode = if query.wait == "0" {
        WaitMode::Never
    } else {
        WaitMode::Wait
    };
    let visibility = if query.hidden == "1" {
        Visibility::Hidden
    } else {
        Visibility::Visible
    };
    let _ends_on_hang_up = end_on_hang_up(&request);
    match messages::poll(&state.core, &user, room, cursor, wait_mode, visibility).await? {
        Polled::News(news) => Ok(answer(&state, cursor, &news, user.user_id)),
        Polled::TooManyPolls(news) => {
            let mut response = answer(&state, cursor, &news, user.user_id);
            let headers = response.headers_mut();
            headers.insert(WAIT, HeaderValue::from_static("0"));
            Ok(response)
        }
        Polled::SignedOut => Err(AppError::SignedOut { next: None }.into()),
        Polled::NotAMember => Err(AppError::NotAMember {
            room,
            name: String::new(),
        }
        .into()),
        Polled::Hidden => Err(AppError::NoSuchRoom.into()),
    }
}

fn answer(state: &WebState, asked: Option<Cursor>, news: &News, reader: UserId) -> HttpResponse {
    let since = &news.since;
    let body = match since {
        Since::Nothing(_) => None,
        Since::News { added, removed, .. } => Some(fragment(added, removed, reader)),
        Since::Reset(page) => Some(fragment(&page.messages, &[], reader)),
    };
    let status = if body.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NO_CONTENT
    };
    let cursor = since.cursor();
    let mut response = HttpResponse::build(status);
    let mut position = String::with_capacity(Cursor::MAX_LENGTH);
    // Writing to a string does not fail.
    let _ = write!(position, "{cursor}");
    response.insert_header((CURSOR, header(position)));
    response.insert_header((TIME, HeaderValue::from(state.core.clock.site_time().0)));
    if news.audience == Audience::Everyone {
        response.insert_header((PUBLIC, HeaderValue::from_static("1")));
    }
    if !news.elsewhere.is_empty() {
        response.insert_header((ROOMS, header(listed(&news.elsewhere))));
    }
    if matches!(since, Since::Reset(_)) {
        let is_restart = asked.is_some_and(|asked| !asked.is_of_life_of(cursor));
        let why = if is_restart { "restart" } else { "1" };
        response.insert_header((RESET, HeaderValue::from_static(why)));
    }
    if matches!(
        since,
        Since::News {
            is_changed: true,
            ..
        }
    ) {
        response.insert_header((CHANGED, HeaderValue::from_static("1")));
    }
    match body {
        Some(body) => response.content_type("text/html; charset=utf-8").body(body),
        None => response.finish(),
    }
}

/// Returns a header's value that consists of visible characters, without a copy.
fn header(value: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(value)).unwrap_or(HeaderValue::from_static(""))
}

fn listed(rooms: &[(RoomId, usize)]) -> String {
    let mut list = String::new();
    for (room, new) in rooms {
        let comma = if list.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(list, "{comma}{room}={new}");
    }
    list
}

/// Returns the elements for these messages. All answers with a single message share its bytes.
fn fragment(added: &[Arc<Message>], removed: &[MessageId], reader: UserId) -> Bytes {
    if let ([message], []) = (added, removed) {
        return message.shared_html_for(reader).into_bytes();
    }
    let length = added.iter().map(|message| message.html_for(reader).len());
    let mut html = String::with_capacity(length.sum::<usize>() + removed.len() * GONE_BYTES);
    for message in removed {
        // Writing to a string does not fail.
        let _ = write!(html, r#"<li id="m{message}" data-gone></li>"#);
    }
    for message in added {
        html.push_str(message.html_for(reader));
    }
    html.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_repeated_parameters_counts() {
        let query = PollQuery::parse("after=1-2%2D3&wait=0&other=&for=7&after=4-5-6&wait");

        assert_eq!((&*query.after, &*query.wait), ("1-2-3", "0"));
        assert_eq!((&*query.made_for, &*query.hidden), ("7", ""));
    }
}
