//! The parts that all pages share: the head, the site's name, the navigation and the user's name.

use crate::config::SignUp;
use crate::domain::UserId;
use crate::web::assets::Assets;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// A page in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NavPage {
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
    /// Site moderation, for operators.
    Site,
    /// Create an account.
    Register,
    /// Sign in.
    Login,
    /// A page that the navigation does not list.
    Other,
}

/// The values for the parts that all pages share.
pub struct Layout<'a> {
    /// The name of the signed-in user.
    pub user: Option<&'a str>,
    /// The signed-in user's id, for the forms of the page.
    pub user_id: Option<UserId>,
    /// Whether the signed-in user is an operator.
    pub is_operator: bool,
    /// The name of the site.
    pub site_name: &'a str,
    /// Whether there is a page about the site.
    pub has_about: bool,
    /// The assets, for their URLs.
    pub assets: &'a Assets,
    /// The page of the navigation that is being shown.
    pub current: NavPage,
    /// Whether anyone can create an account.
    pub is_sign_up_open: bool,
}

impl<'a> Layout<'a> {
    /// Creates the layout for `user`.
    #[must_use]
    pub fn new(state: &'a WebState, user: Option<&'a CurrentUser>, current: NavPage) -> Self {
        Self {
            user: user.map(|user| &*user.user_name),
            user_id: user.map(|user| user.user_id),
            is_operator: user.is_some_and(|user| user.is_operator),
            site_name: state.core.config.site_name.as_str(),
            has_about: state.about.is_some(),
            assets: &state.assets,
            current,
            is_sign_up_open: state.core.config.sign_up == SignUp::Open,
        }
    }

    /// Returns the links of the navigation: address, text, and whether it is the current page.
    pub fn navigation(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        const SIGNED_IN: [(&str, &str, NavPage); 6] = [
            ("/rooms/mine", "Your rooms", NavPage::MyRooms),
            ("/rooms", "Public rooms", NavPage::PublicRooms),
            (
                "/rooms/private",
                "Join a private room",
                NavPage::PrivateJoin,
            ),
            ("/rooms/new", "Create a room", NavPage::NewRoom),
            ("/account", "Your account", NavPage::Account),
            ("/site", "Site moderation", NavPage::Site),
        ];
        const SIGNED_OUT: [(&str, &str, NavPage); 2] = [
            ("/register", "Create an account", NavPage::Register),
            ("/login", "Sign in", NavPage::Login),
        ];
        let links = if self.user.is_some() {
            SIGNED_IN.as_slice()
        } else {
            &SIGNED_OUT
        };
        let is_offered = move |(_, _, page): &&(_, _, NavPage)| match page {
            NavPage::Register => self.is_sign_up_open,
            NavPage::Site => self.is_operator,
            _ => true,
        };
        let offered = links.iter().filter(is_offered);
        offered.map(move |&(address, text, page)| (address, text, page == self.current))
    }
}
