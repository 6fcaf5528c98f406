//! The pages, one file each: what a page reads from a request and what it answers.
//!
//! Pages know HTTP and the templates, and call services; they never call each other.

pub mod accessibility;
pub mod account;
pub mod account_delete;
pub mod account_password;
pub mod account_sessions;
pub mod asset;
pub mod ban;
pub mod clear_room;
pub mod delete_message;
pub mod delete_messages;
pub mod delete_room;
pub mod hand_over;
pub mod healthz;
pub mod home;
pub mod invite;
pub mod invites;
pub mod join;
pub mod leave;
pub mod lift_ban;
pub mod login;
pub mod logout;
pub mod make_public;
pub mod member;
pub mod member_role;
pub mod members;
pub mod messages;
pub mod my_rooms;
pub mod new_room;
pub mod poll;
pub mod private_join;
pub mod public_rooms;
pub mod register;
pub mod remove_member;
pub mod reset;
pub mod revoke_invite;
pub mod room;
pub mod room_password;
pub mod room_settings;

mod confirm;
mod form;
mod qr;
mod room_view;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use crate::app::AppState;
use crate::assets::Assets;
use crate::client_address::ClientAddress;
use crate::config::SignUp;
use crate::domain::{Lifespan, Role, RoomId, UserId, Username};
use crate::error::{AppError, PageResult};
use crate::limits::TooMany;
use crate::routes::{room_done_url, room_url};
use crate::services::members::Joined;
use crate::services::moderation::{self, Person};
use crate::services::rooms::{self, Room};
use crate::session::CurrentUser;

pub use confirm::ConfirmPage;
pub use form::{Button, Problems};

/// Which of the pages in the navigation is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// Your rooms.
    MyRooms,
    /// Public rooms.
    PublicRooms,
    /// Join a private room.
    PrivateJoin,
    /// Create a room.
    NewRoom,
    /// Your account.
    Account,
    /// Create an account.
    Register,
    /// Sign in.
    Login,
    /// None of them.
    Elsewhere,
}

/// What every page shows around its own part.
pub struct Layout<'a> {
    /// The name of whoever is signed in.
    pub user: Option<&'a str>,
    /// Where the style sheet, the script and the icon are.
    pub assets: &'a Assets,
    /// Which page of the navigation this is.
    pub here: Here,
    /// Whether anybody can create an account.
    pub is_sign_up_open: bool,
}

impl<'a> Layout<'a> {
    /// The layout for `user`.
    #[must_use]
    pub fn new(app: &'a AppState, user: Option<&'a CurrentUser>, here: Here) -> Self {
        Self {
            user: user.map(|user| &*user.user_name),
            assets: &app.assets,
            here,
            is_sign_up_open: app.config.sign_up == SignUp::Open,
        }
    }

    /// The navigation of whoever this is: where each link leads, what it says, and whether it leads here.
    #[must_use]
    pub fn navigation(&self) -> Vec<(&'static str, &'static str, bool)> {
        let signed_in = [
            ("/rooms/mine", "Your rooms", Here::MyRooms),
            ("/rooms", "Public rooms", Here::PublicRooms),
            ("/rooms/private", "Join a private room", Here::PrivateJoin),
            ("/rooms/new", "Create a room", Here::NewRoom),
            ("/account", "Your account", Here::Account),
        ];
        let signed_out = [
            ("/register", "Create an account", Here::Register),
            ("/login", "Sign in", Here::Login),
        ];
        let links = if self.user.is_some() {
            signed_in.as_slice()
        } else {
            &signed_out
        };
        let is_offered =
            |(_, _, page): &&(_, _, Here)| self.is_sign_up_open || *page != Here::Register;
        links
            .iter()
            .filter(is_offered)
            .map(|&(address, text, page)| (address, text, page == self.here))
            .collect()
    }
}

/// A page, with status 200.
fn html(page: &impl Template) -> PageResult {
    html_with(StatusCode::OK, page)
}

/// A page with another status.
fn html_with(status: StatusCode, page: &impl Template) -> PageResult {
    let body = page.render()?;
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(body))
}

/// Counts a try of somebody's password, wherever it is asked for: who finds an open browser must not guess
/// there what they may not guess at the sign-in page.
fn count_password(
    app: &AppState,
    request: &HttpRequest,
    name: Option<&Username>,
) -> Result<(), TooMany> {
    // All names that nobody can have are one.
    let folded = name.map(|name| name.keys().folded).unwrap_or_default();
    app.limits.password(&folded, ClientAddress::of(request))
}

/// What a page answers to a form. Where that is an error and all it takes is to wait, the form again
/// instead, with what was typed, the error's status, and when to try again; `field` is the first of its
/// fields.
fn or_form_for_later(
    answer: PageResult,
    field: &'static str,
    form: impl FnOnce(Problems) -> PageResult,
) -> PageResult {
    let error = match answer {
        Err(error) => error,
        answer => return answer,
    };
    let Some(wait_s) = error.wait_s() else {
        return Err(error);
    };
    error.log();
    let words = Lifespan(Duration::from_secs(wait_s));
    let sentence = format!("{error}. Wait {words}, then try again");
    let form = form(Problems::one(field, sentence))?;
    Ok(for_later(form, error.status_code(), wait_s))
}

/// A form that was given back for now, with the status that says why and when to send it again.
fn for_later(mut form: HttpResponse, status: StatusCode, wait_s: u64) -> HttpResponse {
    *form.status_mut() = status;
    form.headers_mut()
        .insert(header::RETRY_AFTER, wait_s.into());
    form
}

/// The room, for pages that are for those of its members who have at least the role `needs`.
///
/// # Errors
/// For everybody else, what they are to see instead.
async fn room_of(
    app: &AppState,
    user: &CurrentUser,
    room: RoomId,
    needs: Role,
) -> Result<Arc<Room>, AppError> {
    let access = rooms::access(app, room, user.user_id).await?;
    access.at_least(needs, user.user_id)
}

/// A room, and somebody there whom whoever asks may moderate.
///
/// # Errors
/// When they may not, or there is nobody of this number there.
async fn room_and_person(
    app: &AppState,
    user: &CurrentUser,
    (room, person): (RoomId, UserId),
    needs: Role,
) -> Result<(Arc<Room>, Person), AppError> {
    let room = room_of(app, user, room, needs).await?;
    let person = moderation::person(app, &room, person).await?;
    let person = person.ok_or(AppError::NoSuchPerson { room: room.id })?;
    let role = room.role_of(user.user_id);
    if role.is_some_and(|role| role.may_moderate(person.role)) {
        Ok((room, person))
    } else {
        let (room, needs) = (room.id, Role::Owner);
        Err(AppError::NotAllowed { room, needs })
    }
}

/// Leads into the room that somebody has joined, or says why they may not.
fn into_room(joined: Joined) -> PageResult {
    match joined {
        Joined::Now(room) => Ok(see_other(room_done_url(room, "joined"))),
        Joined::Before(room) => Ok(see_other(room_url(room))),
        Joined::Banned { name, reason } => Err(AppError::Banned { name, reason }),
        Joined::Full { name } => Err(AppError::Full { name }),
        Joined::Refused => Err(AppError::NoSuchRoom),
    }
}

/// Leads on to `address`, by GET whatever was sent.
fn see_other(address: impl AsRef<str>) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, address.as_ref()))
        .finish()
}

/// What the browser that sent a request calls itself.
fn user_agent(request: &actix_web::HttpRequest) -> String {
    let sent = request.headers().get(header::USER_AGENT);
    sent.and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}
