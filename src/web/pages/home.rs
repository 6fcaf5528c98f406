//! The start page: what Mirage is, and links to create an account and to sign in.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::config::SignUp;
use crate::domain::Lifespan;
use crate::services::rooms;
use crate::web::answers::{html, see_other};
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::Visitor;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    layout: Layout<'a>,
    lifespan: Lifespan,
    takes_link: bool,
    has_deleted_account: bool,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HomeQuery {
    done: String,
}

/// Shows the page. **Who:** anyone. **Answers:** the start page; for signed-in users, 303 to their rooms, or to
/// the public rooms if they are in none.
pub async fn show(state: Data<WebState>, visitor: Visitor, query: Query<HomeQuery>) -> PageResult {
    match visitor.user {
        None => html(&HomePage {
            layout: Layout::new(&state, None, NavPage::Other),
            lifespan: Lifespan(state.core.config.message_lifespan),
            takes_link: state.core.config.sign_up == SignUp::Link,
            has_deleted_account: query.done == "deleted",
        }),
        Some(user) if rooms::is_in_any(&state.core, user.user_id).await? => {
            Ok(see_other("/rooms/mine"))
        }
        Some(_) => Ok(see_other("/rooms")),
    }
}
