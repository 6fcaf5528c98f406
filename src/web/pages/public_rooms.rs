//! Public rooms: the list of all public rooms, each with a button to join.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::services::rooms::{self, RoomList};
use crate::urls::public_rooms_url;
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "public_rooms.html")]
struct PublicRoomsPage<'a> {
    layout: Layout<'a>,
    list: RoomList,
    search: &'a str,
    /// Whether the reader comes from creating an account.
    has_registered: bool,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PublicRoomsQuery {
    page: String,
    search: String,
    done: String,
}

/// Shows the page. **Who:** signed-in users. **Answers:** a page of the list; for a page number out of range, the
/// nearest page.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<PublicRoomsQuery>,
) -> PageResult {
    let page = query.page.parse().unwrap_or(1);
    let search = query.search.trim();
    let list = rooms::public_list(&state.core, user.user_id, search, page).await?;
    html(&PublicRoomsPage {
        layout: Layout::new(&state, Some(&user), NavPage::PublicRooms),
        list,
        search,
        has_registered: query.done == "registered",
    })
}

impl PublicRoomsPage<'_> {
    fn page_url(&self, page: usize) -> String {
        public_rooms_url(self.search, page)
    }
}
