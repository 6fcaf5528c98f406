//! Site moderation: the start page of operators.

use actix_web::web::Data;
use askama::Template;

use crate::services::reports;
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::operator::Operator;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "site.html")]
struct SitePage<'a> {
    layout: Layout<'a>,
    /// The number of open reports.
    reports: usize,
}

/// Shows the page. **Who:** operators. **Answers:** links to what they can do, and the number of open reports.
pub async fn show(state: Data<WebState>, operator: Operator) -> PageResult {
    let reports = reports::open_for_operators(&state.core, operator.0.user_id).await?;
    html(&SitePage {
        reports: reports.len(),
        layout: Layout::new(&state, Some(&operator.0), NavPage::Site),
    })
}
