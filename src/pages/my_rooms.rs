//! Your rooms: the public and the private ones a person is in.

use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;

use super::{Here, Layout, html};
use crate::app::AppState;
use crate::error::PageResult;
use crate::services::rooms::{self, OwnRoom};
use crate::session::CurrentUser;

#[derive(Template)]
#[template(path = "my_rooms.html")]
struct MyRoomsPage<'a> {
    layout: Layout<'a>,
    rooms: Vec<OwnRoom>,
    done: Option<&'static str>,
}

/// What the address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MyRoomsQuery {
    done: String,
}

/// **Who:** anyone signed in. **Answers:** their rooms.
pub async fn show(
    app: Data<AppState>,
    user: CurrentUser,
    query: Query<MyRoomsQuery>,
) -> PageResult {
    html(&MyRoomsPage {
        layout: Layout::new(&app, Some(&user), Here::MyRooms),
        rooms: rooms::own_list(&app, user.user_id).await?,
        done: match query.done.as_str() {
            "left" => Some("You have left the room"),
            "deleted" => Some("Room deleted"),
            "password-changed" => Some("Password changed"),
            _ => None,
        },
    })
}
