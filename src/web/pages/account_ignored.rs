//! Ignored people: the people whose messages a person is not shown, each with a button to undo it.

use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::UserId;
use crate::services::ignored::{self, IgnoredPerson};
use crate::web::answers::{html, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account_ignored.html")]
struct IgnoredPage<'a> {
    layout: Layout<'a>,
    people: Vec<IgnoredPerson>,
    is_done: bool,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct IgnoredQuery {
    done: String,
}

/// Shows the page. **Who:** signed-in users. **Answers:** the people whom they ignore.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<IgnoredQuery>,
) -> PageResult {
    html(&IgnoredPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        people: ignored::list(&state.core, user.user_id).await?,
        is_done: query.done == "stopped",
    })
}

/// Stops ignoring a person. **Who:** signed-in users. **Answers:** 303 to the page, even if they did not ignore the
/// person; or 429.
pub async fn stop(
    state: Data<WebState>,
    user: CurrentUser,
    person: Path<UserId>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    state.core.limits.change(user.user_id).await?;
    ignored::stop_ignoring(&state.core, user.user_id, *person).await?;
    Ok(see_other("/account/ignored?done=stopped"))
}
