//! Your password was reset: tells a person that a reset link has changed their password, after signing in and from the
//! account page.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::domain::Timestamp;
use crate::services::accounts;
use crate::web::answers::{html, see_other};
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account_reset.html")]
struct AccountResetPage<'a> {
    layout: Layout<'a>,
    at: Timestamp,
    /// The page to go on to.
    next: &'a str,
    contact: Option<&'a str>,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccountResetQuery {
    next: String,
}

/// Shows the page. **Who:** signed-in users. **Answers:** when a reset link changed their password, and a link to
/// `next`; 303 to `next` or the start page if none has lately.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<AccountResetQuery>,
) -> PageResult {
    let next = state.next_pages.safe(&query.next).unwrap_or("/");
    let Some(at) = accounts::recent_reset(&state.core, user.user_id).await? else {
        return Ok(see_other(next));
    };
    html(&AccountResetPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        at,
        next,
        contact: state.core.config.contact.as_deref(),
    })
}
