//! The pages, one file each: what a page reads from a request and what it answers.
//!
//! Pages know HTTP and the templates, and call services; they never call each other.

pub mod accessibility;
pub mod account;
pub mod asset;
pub mod delete_message;
pub mod healthz;
pub mod home;
pub mod join;
pub mod leave;
pub mod login;
pub mod logout;
pub mod members;
pub mod messages;
pub mod my_rooms;
pub mod new_room;
pub mod poll;
pub mod private_join;
pub mod public_rooms;
pub mod register;
pub mod room;

mod form;
mod room_view;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use askama::Template;

use crate::app::AppState;
use crate::assets::Assets;
use crate::error::PageResult;
use crate::session::CurrentUser;

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
}

impl<'a> Layout<'a> {
    /// The layout for `user`.
    #[must_use]
    pub fn new(app: &'a AppState, user: Option<&'a CurrentUser>, here: Here) -> Self {
        Self {
            user: user.map(|user| &*user.user_name),
            assets: &app.assets,
            here,
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
        links
            .iter()
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
