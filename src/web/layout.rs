//! What every page shows around its own part.

use crate::config::SignUp;
use crate::web::assets::Assets;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

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
    pub fn new(state: &'a WebState, user: Option<&'a CurrentUser>, here: Here) -> Self {
        Self {
            user: user.map(|user| &*user.user_name),
            assets: &state.assets,
            here,
            is_sign_up_open: state.core.config.sign_up == SignUp::Open,
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
