//! The addresses of pages, for pages and commands alike. The table of routes is in `web/routes.rs`.

use crate::domain::{MessageId, RoomId};

/// Returns the address of the page for signing in, which leads on to `next`.
#[must_use]
pub fn login_url(next: Option<&str>) -> String {
    with_next("/login", next)
}

/// Returns the address `path`, carrying where to go on to.
#[must_use]
pub fn with_next(path: &str, next: Option<&str>) -> String {
    match next {
        Some(next) => format!("{path}?next={}", in_query(next)),
        None => path.to_owned(),
    }
}

/// Returns the address of the page for creating an account, by a link or without one.
#[must_use]
pub fn register_url(token: Option<&str>) -> String {
    match token {
        Some(token) => format!("/register/{token}"),
        None => "/register".to_owned(),
    }
}

/// Returns the address of the page for a new password.
#[must_use]
pub fn reset_url(token: &str) -> String {
    format!("/reset/{token}")
}

/// Returns the address of a page of the public rooms whose names contain `search`.
#[must_use]
pub fn public_rooms_url(search: &str, page: usize) -> String {
    if search.is_empty() {
        format!("/rooms?page={page}")
    } else {
        format!("/rooms?search={}&page={page}", in_query(search))
    }
}

/// Returns the address of a room.
#[must_use]
pub fn room_url(room: RoomId) -> String {
    format!("/rooms/{room}")
}

/// Returns the address of a room, showing the draft that was kept when its author was signed out.
#[must_use]
pub fn room_draft_url(room: RoomId) -> String {
    format!("/rooms/{room}?held=1")
}

/// Returns the address of a room, saying what was done there.
#[must_use]
pub fn room_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}?done={done}")
}

/// Returns the address of a room's view to moderate, saying that a message was deleted.
#[must_use]
pub fn room_moderated_url(room: RoomId) -> String {
    format!("/rooms/{room}?moderate=1&done=deleted")
}

/// Returns the address of a room's members, saying what was done.
#[must_use]
pub fn members_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/members?done={done}")
}

/// Returns the address of a room's settings, saying what was done.
#[must_use]
pub fn room_settings_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/settings?done={done}")
}

/// Returns the address of a room after sending a message, at the box to write the next.
#[must_use]
pub fn room_sent_url(room: RoomId, message: MessageId) -> String {
    format!("/rooms/{room}?sent={message}#message")
}

/// Returns the address of the links into a room, saying what was done there.
#[must_use]
pub fn invites_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/invites?done={done}")
}

/// Returns the address that an invite's token opens.
#[must_use]
pub fn invite_url(token: &str) -> String {
    format!("/invite/{token}")
}

fn in_query(text: &str) -> String {
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
    fn the_sign_in_page_carries_where_to_go_on_to() {
        assert_eq!(
            login_url(Some("/rooms/7?before=3")),
            "/login?next=/rooms/7%3Fbefore%3D3"
        );
        assert_eq!(login_url(None), "/login");
    }
}
