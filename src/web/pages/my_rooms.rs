//! Your rooms: the public and private rooms that a person is a member of.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::services::rooms::{self, OwnRoom};
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "my_rooms.html")]
struct MyRoomsPage<'a> {
    layout: Layout<'a>,
    rooms: Vec<OwnRoom>,
    done: Option<&'static str>,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MyRoomsQuery {
    done: String,
}

/// Shows the page. **Who:** signed-in users. **Answers:** their rooms.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<MyRoomsQuery>,
) -> PageResult {
    html(&MyRoomsPage {
        layout: Layout::new(&state, Some(&user), NavPage::MyRooms),
        rooms: rooms::own_list(&state.core, user.user_id).await?,
        done: match query.done.as_str() {
            "left" => Some("You have left the room"),
            "deleted" => Some("Room deleted"),
            "password-changed" => Some("Password changed"),
            _ => None,
        },
    })
}
