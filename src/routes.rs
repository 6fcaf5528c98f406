//! The whole URL table, and how addresses of pages are written.

use std::sync::LazyLock;

use actix_web::dev::ResourceDef;
use actix_web::error::{PathError, QueryPayloadError, UrlencodedError};
use actix_web::http::Method;
use actix_web::http::header::HOST;
use actix_web::web::{self, FormConfig, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, Responder, Route, guard};

use crate::domain::{MessageId, RoomId};
use crate::error::AppError;
use crate::pages::{
    accessibility, account, account_delete, account_password, account_sessions, asset, ban,
    clear_room, delete_message, delete_messages, delete_room, hand_over, healthz, home, invite,
    invites, join, leave, lift_ban, login, logout, make_public, member, member_role, members,
    messages, my_rooms, new_room, poll, private_join, public_rooms, register, remove_member, reset,
    revoke_invite, room, room_password, room_settings,
};
use crate::services::tokens::Token;
use crate::session;

/// The most bytes of a form that are read.
const FORM_LIMIT: usize = 64 * 1024;
/// The same for a form that has no more than names and passwords, which may come from anybody.
const PASSWORD_FORM_LIMIT: usize = 8 * 1024;

/// A row of the URL table.
pub struct Endpoint {
    /// `GET` (which answers `HEAD` too) or `POST`.
    pub method: Method,
    /// The path, with `{names}` for its parts that vary.
    pub pattern: &'static str,
    route: Route,
}

/// Every address the server answers. Literal paths come before those with a name in the same place, and
/// before all of them those that are asked for most: each is tried in turn.
#[must_use]
pub fn table() -> Vec<Endpoint> {
    vec![
        get(POLL, poll::show),
        get("/rooms/{room}/messages", messages::show),
        post("/rooms/{room}/messages", messages::submit),
        get("/", home::show),
        get(REGISTER, register::show),
        post(REGISTER, register::submit),
        get(REGISTER_BY_LINK, register::show_by_link),
        post(REGISTER_BY_LINK, register::submit_by_link),
        get(LOGIN, login::show),
        post(LOGIN, login::submit),
        post("/logout", logout::submit),
        get(RESET, reset::show),
        post(RESET, reset::submit),
        get("/rooms", public_rooms::show),
        get("/rooms/mine", my_rooms::show),
        get("/rooms/private", private_join::show),
        post("/rooms/private", private_join::submit),
        get("/rooms/new", new_room::show),
        post("/rooms/new", new_room::submit),
        get("/rooms/{room}", room::show),
        post("/rooms/{room}/join", join::submit),
        get("/rooms/{room}/leave", leave::show),
        post("/rooms/{room}/leave", leave::submit),
        get("/rooms/{room}/members", members::show),
        get("/rooms/{room}/members/{person}", member::show),
        post("/rooms/{room}/members/{person}/role", member_role::submit),
        get(HAND_OVER, hand_over::show),
        post(HAND_OVER, hand_over::submit),
        get(REMOVE_MEMBER, remove_member::show),
        post(REMOVE_MEMBER, remove_member::submit),
        get(BAN, ban::show),
        post(BAN, ban::submit),
        post("/rooms/{room}/members/{person}/lift", lift_ban::submit),
        get(DELETE_MESSAGES, delete_messages::show),
        post(DELETE_MESSAGES, delete_messages::submit),
        get("/rooms/{room}/settings", room_settings::show),
        post("/rooms/{room}/settings", room_settings::submit),
        get("/rooms/{room}/settings/password", room_password::show),
        post("/rooms/{room}/settings/password", room_password::submit),
        get("/rooms/{room}/settings/public", make_public::show),
        post("/rooms/{room}/settings/public", make_public::submit),
        get("/rooms/{room}/settings/clear", clear_room::show),
        post("/rooms/{room}/settings/clear", clear_room::submit),
        get("/rooms/{room}/settings/delete", delete_room::show),
        post("/rooms/{room}/settings/delete", delete_room::submit),
        get(DELETE_MESSAGE, delete_message::show),
        post(DELETE_MESSAGE, delete_message::submit),
        get("/rooms/{room}/invites", invites::show),
        post("/rooms/{room}/invites", invites::submit),
        post(REVOKE_INVITE, revoke_invite::submit),
        get(INVITE, invite::show),
        post(INVITE, invite::submit),
        get("/accessibility", accessibility::show),
        get("/account", account::show),
        post("/account", account::submit),
        get("/account/password", account_password::show),
        post("/account/password", account_password::submit),
        get("/account/sessions", account_sessions::show),
        post("/account/sessions/end-others", account_sessions::end_others),
        post("/account/sessions/{session}/end", account_sessions::end),
        get("/account/delete", account_delete::show),
        post("/account/delete", account_delete::submit),
        get(HEALTHZ, healthz::show),
        get(ASSET, asset::show),
    ]
}

const REGISTER: &str = "/register";
const REGISTER_BY_LINK: &str = "/register/{token}";
const LOGIN: &str = "/login";
const RESET: &str = "/reset/{token}";
const POLL: &str = "/rooms/{room}/poll";
const DELETE_MESSAGE: &str = "/rooms/{room}/messages/{message}/delete";
const HAND_OVER: &str = "/rooms/{room}/members/{person}/owner";
const REMOVE_MEMBER: &str = "/rooms/{room}/members/{person}/remove";
const BAN: &str = "/rooms/{room}/members/{person}/ban";
const DELETE_MESSAGES: &str = "/rooms/{room}/members/{person}/messages";
const REVOKE_INVITE: &str = "/rooms/{room}/invites/{invite}/revoke";
const INVITE: &str = "/invite/{token}";
const HEALTHZ: &str = "/healthz";
const ASSET: &str = "/assets/{file}";

/// The most bytes of a request's body that are read at the address of this pattern.
#[must_use]
pub fn body_limit(pattern: Option<&str>) -> usize {
    match pattern {
        Some(LOGIN | REGISTER | REGISTER_BY_LINK | RESET) => PASSWORD_FORM_LIMIT,
        _ => FORM_LIMIT,
    }
}

/// Whether machines ask for this pattern all the time, so that its log lines are for debugging.
#[must_use]
pub fn is_quiet(pattern: &str) -> bool {
    matches!(pattern, POLL | HEALTHZ | ASSET)
}

fn get<F, Args>(pattern: &'static str, handler: F) -> Endpoint
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let guard = guard::Any(guard::Get()).or(guard::Head());
    Endpoint {
        method: Method::GET,
        pattern,
        route: web::route().guard(guard).to(handler),
    }
}

fn post<F, Args>(pattern: &'static str, handler: F) -> Endpoint
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Endpoint {
        method: Method::POST,
        pattern,
        route: web::post().to(handler),
    }
}

/// Registers the table, and our pages for what does not fit it.
pub fn configure(service: &mut ServiceConfig) {
    service
        .app_data(
            FormConfig::default()
                .limit(FORM_LIMIT)
                .error_handler(form_error),
        )
        .app_data(QueryConfig::default().error_handler(query_error))
        .app_data(PathConfig::default().error_handler(path_error));
    let mut endpoints = table().into_iter().peekable();
    while let Some(first) = endpoints.next() {
        let mut resource = web::resource(first.pattern).route(first.route);
        let mut allowed = methods(&first.method);
        while let Some(next) = endpoints.next_if(|next| next.pattern == first.pattern) {
            allowed = format!("{allowed}, {}", methods(&next.method));
            resource = resource.route(next.route);
        }
        let refused = move || {
            let allowed = allowed.clone();
            async { Err::<String, _>(AppError::MethodNotAllowed { allowed }) }
        };
        service.service(resource.default_service(web::to(refused)));
    }
    service.default_service(web::to(async || Err::<String, _>(AppError::NotFound)));
}

fn methods(method: &Method) -> String {
    if *method == Method::GET {
        "GET, HEAD".to_owned()
    } else {
        method.to_string()
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that actix asks for"
)]
fn form_error(error: UrlencodedError, _: &HttpRequest) -> actix_web::Error {
    match error {
        UrlencodedError::Overflow { .. } => AppError::TooLarge,
        _ => AppError::BadRequest,
    }
    .into()
}

fn query_error(_: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    AppError::BadRequest.into()
}

/// The parts that vary are rooms, what is in them, files and links: one that cannot be read is one that is
/// not there.
fn path_error(_: PathError, request: &HttpRequest) -> actix_web::Error {
    match request.match_pattern().as_deref() {
        Some(REGISTER_BY_LINK | RESET | INVITE) => AppError::DeadLink,
        _ => AppError::NoSuchRoom,
    }
    .into()
}

/// The address of the page for signing in, which leads on to `next` if that is a page.
#[must_use]
pub fn login_url(next: &str) -> String {
    with_next("/login", page_at_or_above(next))
}

/// The address `path`, carrying where to go on to.
#[must_use]
pub fn with_next(path: &str, next: Option<&str>) -> String {
    match next {
        Some(next) => format!("{path}?next={}", in_query(next)),
        None => path.to_owned(),
    }
}

/// `next` as typed in an address, if it leads to a page of this site.
///
/// Only paths that the table answers pass, so nothing that a browser could take for another site.
#[must_use]
pub fn safe_next(next: &str) -> Option<&str> {
    static PAGES: LazyLock<Vec<ResourceDef>> = LazyLock::new(|| {
        let pages = table()
            .into_iter()
            .filter(|e| e.method == Method::GET && !is_quiet(e.pattern));
        pages
            .map(|endpoint| ResourceDef::new(endpoint.pattern))
            .collect()
    });
    let path = next.split_once(['?', '#']).map_or(next, |(path, _)| path);
    let is_plain = next
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_plain && PAGES.iter().any(|page| page.is_match(path))).then_some(next)
}

/// `next`, or the page above it: what led to signing in may have been sending a form to it.
fn page_at_or_above(next: &str) -> Option<&str> {
    safe_next(next).or_else(|| {
        let path = next.split_once(['?', '#']).map_or(next, |(path, _)| path);
        let (above, _) = path.rsplit_once('/')?;
        safe_next(above)
    })
}

/// The address of the page for creating an account, by a link or without one.
#[must_use]
pub fn register_url(link: Option<&Token>) -> String {
    match link {
        Some(link) => REGISTER_BY_LINK.replace("{token}", link.as_str()),
        None => "/register".to_owned(),
    }
}

/// The address of the page for a new password.
#[must_use]
pub fn reset_url(link: &Token) -> String {
    RESET.replace("{token}", link.as_str())
}

/// The address of a page of the public rooms whose names contain `search`.
#[must_use]
pub fn public_rooms_url(search: &str, page: usize) -> String {
    if search.is_empty() {
        format!("/rooms?page={page}")
    } else {
        format!("/rooms?search={}&page={page}", in_query(search))
    }
}

/// The address of a room.
#[must_use]
pub fn room_url(room: RoomId) -> String {
    format!("/rooms/{room}")
}

/// The address of a room, showing the message that was held while its author was signed out.
#[must_use]
pub fn room_held_url(room: RoomId) -> String {
    format!("/rooms/{room}?held=1")
}

/// The address of a room, saying what was done there.
#[must_use]
pub fn room_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}?done={done}")
}

/// The address of a room's view to moderate, saying that a message was deleted.
#[must_use]
pub fn room_moderated_url(room: RoomId) -> String {
    format!("/rooms/{room}?moderate=1&done=deleted")
}

/// The address of a room's members, saying what was done.
#[must_use]
pub fn members_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/members?done={done}")
}

/// The address of a room's settings, saying what was done.
#[must_use]
pub fn room_settings_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/settings?done={done}")
}

/// The address of a room after sending a message, at the box to write the next.
#[must_use]
pub fn room_sent_url(room: RoomId, message: MessageId) -> String {
    format!("/rooms/{room}?sent={message}#message")
}

/// The address of the links into a room, saying what was done there.
#[must_use]
pub fn invites_done_url(room: RoomId, done: &str) -> String {
    format!("/rooms/{room}/invites?done={done}")
}

/// The address that an invite's token opens.
#[must_use]
pub fn invite_url(token: &Token) -> String {
    format!("/invite/{}", token.as_str())
}

/// The whole address of `path`, to be given to people: at the address people reach the server by, or else
/// the one that whoever asks reached it by.
#[must_use]
pub fn whole_url(request: &HttpRequest, path: &str) -> String {
    let address = &session::state(request).config.address;
    if address.public_url.is_some() {
        return address.url(path);
    }
    let host = request.headers().get(HOST);
    match host.and_then(|host| host.to_str().ok()) {
        Some(host) => format!("http://{host}{path}"),
        None => address.url(path),
    }
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
    fn next_leads_only_to_pages_of_this_site() {
        for page in [
            "/",
            "/rooms",
            "/rooms/mine",
            "/rooms/7",
            "/rooms/7?before=3",
            "/rooms/7/leave",
            "/rooms/7/invites",
            "/invite/Zm9yIGFkYQ-_",
        ] {
            assert_eq!(safe_next(page), Some(page));
        }
        for other in [
            "",
            "rooms",
            "//example.org",
            "//example.org/rooms",
            "/\\example.org",
            "\\\\example.org",
            "https://example.org/rooms",
            "javascript:alert(1)",
            "/rooms/7/poll",
            "/rooms/7/join",
            "/rooms/7/invites/1/revoke",
            "/invite/a/b",
            "/logout",
            "/healthz",
            "/nowhere",
            "/rooms\r\nSet-Cookie: a=b",
            "/%0d%0a",
            " /rooms",
            "/rooms/7/../../x",
            "/\t/example.org",
        ] {
            assert_eq!(safe_next(other), None, "{other:?}");
        }
    }

    #[test]
    fn signing_in_leads_back_to_the_page_of_the_form() {
        assert_eq!(
            login_url("/rooms/7?before=3"),
            "/login?next=/rooms/7%3Fbefore%3D3"
        );
        assert_eq!(login_url("/rooms/7/join"), "/login?next=/rooms/7");
        assert_eq!(login_url("//example.org"), "/login?next=/");
        let deep = format!("/rooms?{0}\\{0}", "/a".repeat(16_000));
        assert_eq!(login_url(&deep), "/login");
    }
}
