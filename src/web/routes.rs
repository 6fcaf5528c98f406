//! The table of routes: every address that the server answers.

use actix_web::error::PathError;
use actix_web::http::Method;
use actix_web::http::header::LOCATION;
use actix_web::middleware::from_fn;
use actix_web::web::{self, PathConfig, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, Route, guard};

use crate::web::body_limits::{self, BodyLimits};
use crate::web::cookie::CookieConfig;
use crate::web::error::{AppError, PageResult};
use crate::web::pages::{
    about, accessibility, account, account_delete, account_ignored, account_password,
    account_reset, account_sessions, asset, ban, close_report, confirm, delete_message, healthz,
    home, invite, invites, join, leave, lift_ban, login, logout, member, member_role, members,
    messages, my_rooms, new_room, poll, private_join, public_rooms, register, report_message,
    reset, revoke_invite, room, room_password, room_settings, site, site_act, site_close_report,
    site_people, site_person, site_reports, site_room, site_rooms,
};
use crate::web::session;
use crate::web::state::state;

/// The maximum size of a form in bytes.
const FORM_LIMIT: usize = 64 * 1024;
/// The maximum size in bytes of a form with a message, from a person who is signed in. A text that is far too long for
/// a message comes back with its length.
const MESSAGE_FORM_LIMIT: usize = 1024 * 1024;
/// The maximum size in bytes of a form with only names and passwords, which visitors may send without signing in.
const PASSWORD_FORM_LIMIT: usize = body_limits::SHORT;

/// A row of the table of routes.
pub struct Endpoint {
    /// `GET` (which includes `HEAD`) or `POST`.
    pub method: Method,
    /// The path, with `{names}` for its parameters.
    pub pattern: &'static str,
    /// Whether the route sets or clears the session cookie.
    sets_cookie: bool,
    route: Route,
}

impl Endpoint {
    /// Lets the route set and clear the session cookie.
    fn with_cookie(self) -> Self {
        Self {
            sets_cookie: true,
            ..self
        }
    }

    fn into_route(self, cookie: &CookieConfig) -> Route {
        if !self.sets_cookie {
            return self.route;
        }
        // The middleware registered last is the outermost.
        self.route
            .wrap(session::middleware(cookie))
            .wrap(from_fn(session::drop_foreign_cookies))
    }
}

/// Returns every address that the server answers. actix tries them in order, so the busiest come first, and
/// literal paths come before patterns that would match them.
#[must_use]
pub fn table() -> Vec<Endpoint> {
    let questions = confirm::QUESTIONS.iter().flat_map(|question| {
        let pattern = question.pattern;
        [get(pattern, confirm::show), post(pattern, confirm::submit)]
    });
    let acts = site_act::QUESTIONS.iter().flat_map(|question| {
        let pattern = question.pattern;
        [
            get(pattern, site_act::show),
            post(pattern, site_act::submit),
        ]
    });
    let mut table = vec![
        get(POLL, poll::show),
        get(MESSAGES, messages::show),
        post(MESSAGES, messages::submit),
        get("/", home::show),
        get(REGISTER, register::show),
        post(REGISTER, register::submit).with_cookie(),
        get(REGISTER_BY_LINK, register::show_by_link),
        post(REGISTER_BY_LINK, register::submit_by_link).with_cookie(),
        get(LOGIN, login::show),
        post(LOGIN, login::submit).with_cookie(),
        post("/logout", logout::submit).with_cookie(),
        get(RESET, reset::show),
        post(RESET, reset::submit).with_cookie(),
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
        get(BAN, ban::show),
        post(BAN, ban::submit),
        post("/rooms/{room}/members/{person}/lift", lift_ban::submit),
        get("/rooms/{room}/settings", room_settings::show),
        post("/rooms/{room}/settings", room_settings::submit),
        get("/rooms/{room}/settings/password", room_password::show),
        post("/rooms/{room}/settings/password", room_password::submit),
        get(DELETE_MESSAGE, delete_message::show),
        post(DELETE_MESSAGE, delete_message::submit),
        get(REPORT_MESSAGE, report_message::show),
        post(REPORT_MESSAGE, report_message::submit),
        post(CLOSE_REPORT, close_report::submit),
        get("/rooms/{room}/invites", invites::show),
        post("/rooms/{room}/invites", invites::submit),
        post(REVOKE_INVITE, revoke_invite::submit),
        get(INVITE, invite::show),
        post(INVITE, invite::submit),
        get("/accessibility", accessibility::show),
        get("/about", about::show),
        get("/account", account::show),
        post("/account", account::submit),
        get("/account/password", account_password::show),
        post("/account/password", account_password::submit).with_cookie(),
        get(CHANGE_PASSWORD, account_password::redirect),
        get("/account/sessions", account_sessions::show),
        post("/account/sessions/end-others", account_sessions::end_others),
        post("/account/sessions/{session}/end", account_sessions::end).with_cookie(),
        get("/account/ignored", account_ignored::show),
        post("/account/ignored/{person}/stop", account_ignored::stop),
        get("/account/delete", account_delete::show),
        post("/account/delete", account_delete::submit).with_cookie(),
        get("/account/reset", account_reset::show),
        get("/site", site::show),
        get("/site/people", site_people::show),
        get("/site/people/{person}", site_person::show),
        get("/site/rooms", site_rooms::show),
        get("/site/rooms/{room}", site_room::show),
        get("/site/reports", site_reports::show),
        post(
            "/site/reports/{room}/{message}/close",
            site_close_report::submit,
        ),
        get(HEALTHZ, healthz::show),
        get(ASSET, asset::show),
    ];
    table.extend(questions.chain(acts));
    table
}

/// Returns the patterns of the pages that may follow signing in: all except those for scripts and monitors.
pub fn page_patterns() -> impl Iterator<Item = &'static str> {
    let endpoints = table().into_iter();
    let pages = endpoints.filter(|e| e.method == Method::GET && !is_quiet(e.pattern));
    pages.map(|endpoint| endpoint.pattern)
}

const REGISTER: &str = "/register";
const REGISTER_BY_LINK: &str = "/register/{token}";
const LOGIN: &str = "/login";
const RESET: &str = "/reset/{token}";
const POLL: &str = "/rooms/{room}/poll";
const MESSAGES: &str = "/rooms/{room}/messages";
const DELETE_MESSAGE: &str = "/rooms/{room}/messages/{message}/delete";
const REPORT_MESSAGE: &str = "/rooms/{room}/messages/{message}/report";
const CLOSE_REPORT: &str = "/rooms/{room}/reports/{message}/close";
const BAN: &str = "/rooms/{room}/members/{person}/ban";
const REVOKE_INVITE: &str = "/rooms/{room}/invites/{invite}/revoke";
const INVITE: &str = "/invite/{token}";
const CHANGE_PASSWORD: &str = "/.well-known/change-password";
const HEALTHZ: &str = "/healthz";
const ASSET: &str = "/assets/{file}";

/// Returns how many bytes a request's body may have for a route.
#[must_use]
pub fn body_limits(pattern: Option<&str>) -> BodyLimits {
    let (everybody, signed_in) = match pattern {
        Some(LOGIN | REGISTER | REGISTER_BY_LINK | RESET) => {
            (PASSWORD_FORM_LIMIT, PASSWORD_FORM_LIMIT)
        }
        Some(MESSAGES) => (FORM_LIMIT, MESSAGE_FORM_LIMIT),
        _ => (FORM_LIMIT, FORM_LIMIT),
    };
    BodyLimits {
        everybody,
        signed_in,
    }
}

/// Returns whether scripts or monitors request this route all the time. Its requests are logged at debug level.
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
    Endpoint {
        method: Method::GET,
        pattern,
        sets_cookie: false,
        route: route(READ).to(handler),
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
        sets_cookie: false,
        route: route(WRITE).to(handler),
    }
}

const READ: &[Method] = &[Method::GET, Method::HEAD];
const WRITE: &[Method] = &[Method::POST];

/// Makes a route for these methods. actix's own guards note in each request which methods they were asked for.
fn route(methods: &'static [Method]) -> Route {
    web::route().guard(guard::fn_guard(move |request| {
        methods.contains(&request.head().method)
    }))
}

/// Registers the table, and error pages for requests that match no route or cannot be parsed.
pub fn configure(service: &mut ServiceConfig, cookie: &CookieConfig) {
    service.app_data(PathConfig::default().error_handler(path_error));
    let mut endpoints = table().into_iter().peekable();
    while let Some(first) = endpoints.next() {
        let pattern = first.pattern;
        let mut allowed = methods(&first.method);
        let mut resource = web::resource(pattern).route(first.into_route(cookie));
        while let Some(next) = endpoints.next_if(|next| next.pattern == pattern) {
            allowed = format!("{allowed}, {}", methods(&next.method));
            resource = resource.route(next.into_route(cookie));
        }
        let method_not_allowed = move || {
            let allowed = allowed.clone();
            async { Err::<String, _>(AppError::MethodNotAllowed { allowed }) }
        };
        service.service(resource.default_service(web::to(method_not_allowed)));
    }
    service.default_service(web::to(no_route));
}

/// Redirects from the address of a page with a slash at its end to the page. Returns 404 for everything else.
async fn no_route(request: HttpRequest) -> PageResult {
    without_slash(&request)
        .ok_or(AppError::NotFound)
        .map(|page| {
            HttpResponse::PermanentRedirect()
                .insert_header((LOCATION, page))
                .finish()
        })
}

fn without_slash(request: &HttpRequest) -> Option<String> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = request.uri().path().strip_suffix('/')?;
    let page = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    state(request).next_pages.safe(&page).map(str::to_owned)
}

fn methods(method: &Method) -> String {
    if *method == Method::GET {
        "GET, HEAD".to_owned()
    } else {
        method.to_string()
    }
}

/// Returns the error for a path parameter that cannot be parsed: no such link, no such page of operators, or no such
/// room.
fn path_error(_: PathError, request: &HttpRequest) -> actix_web::Error {
    match request.match_pattern().as_deref() {
        Some(REGISTER_BY_LINK | RESET | INVITE) => AppError::DeadLink,
        Some(pattern) if pattern.starts_with("/site/") => AppError::NotFound,
        _ => AppError::NoSuchRoom,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::next::NextPages;

    fn next_pages() -> NextPages {
        NextPages::at(page_patterns())
    }

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
            assert_eq!(next_pages().safe(page), Some(page));
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
            assert_eq!(next_pages().safe(other), None, "{other:?}");
        }
    }

    #[test]
    fn signing_in_after_sending_a_form_leads_to_the_page_with_the_form() {
        let pages = next_pages();

        let page = "/rooms/7?before=3";
        assert_eq!(pages.page_at_or_above(page), Some(page));
        assert_eq!(pages.page_at_or_above("/rooms/7/join"), Some("/rooms/7"));
        assert_eq!(pages.page_at_or_above("//example.org"), Some("/"));
        let deep = format!("/rooms?{0}\\{0}", "/a".repeat(16_000));
        assert_eq!(pages.page_at_or_above(&deep), None);
    }
}
