//! The start page: what this is, and the ways in.

use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;

use super::{Here, Layout, html, see_other};
use crate::app::AppState;
use crate::config::SignUp;
use crate::domain::Lifespan;
use crate::error::PageResult;
use crate::services::rooms;
use crate::session::Visitor;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    layout: Layout<'a>,
    lifespan: Lifespan,
    takes_link: bool,
    has_deleted_account: bool,
}

/// What the address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HomeQuery {
    done: String,
}

/// **Who:** anyone. **Answers:** the start page; to people who are signed in, 303 to their rooms, or to
/// the public rooms if they are in none.
pub async fn show(app: Data<AppState>, visitor: Visitor, query: Query<HomeQuery>) -> PageResult {
    match visitor.user {
        None => html(&HomePage {
            layout: Layout::new(&app, None, Here::Elsewhere),
            lifespan: Lifespan(app.config.message_lifespan),
            takes_link: app.config.sign_up == SignUp::Link,
            has_deleted_account: query.done == "deleted",
        }),
        Some(user) if rooms::has_any(&app, user.user_id).await? => Ok(see_other("/rooms/mine")),
        Some(_) => Ok(see_other("/rooms")),
    }
}
