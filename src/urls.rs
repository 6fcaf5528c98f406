//! The URLs of pages, for pages and for the operator's commands. The table of routes is in `web/routes.rs`.

use std::fmt::Display;

use crate::domain::{Audience, MessageId, RoomId, UserId};

/// The fragment of each link into a room: the first message that is new for the reader, or else the end of the list.
pub const NOW: &str = "#now";

/// Returns the URL of the sign-in page, which redirects to `next` afterwards.
#[must_use]
pub fn login_url(next: Option<&str>) -> String {
    with_next("/login", next)
}

/// Returns `path` with a `next` parameter, the URL to redirect to afterwards.
#[must_use]
pub fn with_next(path: &str, next: Option<&str>) -> String {
    match next {
        Some(next) => format!("{path}?next={}", percent_encode(next)),
        None => path.to_owned(),
    }
}

/// Returns the URL of the page for creating an account, with the token of a sign-up link or without one.
#[must_use]
pub fn register_url(token: Option<&str>) -> String {
    match token {
        Some(token) => format!("/register/{token}"),
        None => "/register".to_owned(),
    }
}

/// Returns the URL that a password reset link opens.
#[must_use]
pub fn reset_url(token: &str) -> String {
    format!("/reset/{token}")
}

/// Returns the URL of the page that tells a person of a reset link that changed their password, and leads on to `next`.
#[must_use]
pub fn account_reset_url(next: Option<&str>) -> String {
    with_next("/account/reset", next)
}

/// Returns the URL of one page of the list of public rooms whose names contain `search`. Pages are counted
/// from 1.
#[must_use]
pub fn public_rooms_url(search: &str, page: usize) -> String {
    listed_url("/rooms", search, page)
}

/// Returns the URL of one page of the operators' list of people whose names contain `search`. Pages are counted from 1.
#[must_use]
pub fn site_people_url(search: &str, page: u64) -> String {
    listed_url("/site/people", search, page)
}

/// Returns the URL of one page of the operators' list of public rooms whose names contain `search`. Pages are counted
/// from 1.
#[must_use]
pub fn site_rooms_url(search: &str, page: u64) -> String {
    listed_url("/site/rooms", search, page)
}

fn listed_url(path: &str, search: &str, page: impl Display) -> String {
    if search.is_empty() {
        format!("{path}?page={page}")
    } else {
        format!("{path}?search={}&page={page}", percent_encode(search))
    }
}

/// Returns the URL of an operator's page about a person.
#[must_use]
pub fn site_person_url(person: UserId) -> String {
    format!("/site/people/{person}")
}

/// Returns the URL of an operator's page about a person with the confirmation `done`.
#[must_use]
pub fn site_person_done_url(person: UserId, done: &str) -> String {
    format!("/site/people/{person}?done={done}")
}

/// Returns the URL of an operator's page about a public room.
#[must_use]
pub fn site_room_url(room: RoomId) -> String {
    format!("/site/rooms/{room}")
}

/// Returns the URL of a room, at what is new there for the reader.
#[must_use]
pub fn room_url(room: RoomId) -> String {
    format!("/rooms/{room}{NOW}")
}

/// Returns the URL of a room for people to share: where its messages begin is not the same for everybody.
#[must_use]
pub fn shared_room_url(room: RoomId) -> String {
    format!("/rooms/{room}")
}

/// Returns the URL of a room, showing the draft that was kept when its author was signed out. The draft was written
/// for `audience`.
#[must_use]
pub fn room_draft_url(room: RoomId, audience: Audience) -> String {
    format!("/rooms/{room}?held={}{NOW}", audience.as_str())
}

/// Returns the URL of a room with the messages after `seen` marked as new and, if there is one, the draft for `draft`
/// in the box.
#[must_use]
pub fn room_checked_url(room: RoomId, seen: MessageId, draft: Option<Audience>) -> String {
    let held = draft.map(|audience| format!("&held={}", audience.as_str()));
    let held = held.unwrap_or_default();
    format!("/rooms/{room}?after={seen}{held}{NOW}")
}

/// Returns `url`, which leads to what is new if it is the URL of a room's page.
#[must_use]
pub fn at_now(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let room = path.strip_prefix("/rooms/");
    let is_room = room.is_some_and(|room| room.bytes().all(|byte| byte.is_ascii_digit()));
    if is_room && !url.contains('#') {
        format!("{url}{NOW}")
    } else {
        url.to_owned()
    }
}

/// Returns the URL of a room with the confirmation `done`.
#[must_use]
pub fn room_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}?done={done}{NOW}")
}

/// Returns the URL of a room's moderation view with the confirmation `done`.
#[must_use]
pub fn room_moderated_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}?moderate=1&done={done}{NOW}")
}

/// Returns the URL of a room's member list with the confirmation `done`.
#[must_use]
pub fn members_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/members?done={done}")
}

/// Returns the URL of a room's settings.
#[must_use]
pub fn room_settings_url(room: RoomId) -> String {
    format!("/rooms/{room}/settings")
}

/// Returns the URL of a room's settings with the confirmation `done`.
#[must_use]
pub fn room_settings_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/settings?done={done}")
}

/// Returns the URL of a room after `message` was sent, at the box for the next message.
#[must_use]
pub fn room_sent_url(room: RoomId, message: MessageId) -> String {
    format!("/rooms/{room}?sent={message}#message")
}

/// Returns the URL of a room's invite links with the confirmation `done`.
#[must_use]
pub fn invites_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/invites?done={done}")
}

/// Returns the URL that an invite link opens.
#[must_use]
pub fn invite_url(token: &str) -> String {
    format!("/invite/{token}")
}

fn percent_encode(text: &str) -> String {
    let keep =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/');
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_in_url_carries_the_next_url_percent_encoded() {
        assert_eq!(
            login_url(Some("/rooms/7?before=3")),
            "/login?next=/rooms/7%3Fbefore%3D3"
        );
        assert_eq!(login_url(None), "/login");
    }
}
