//! Reports about the only moderator of a public room, for operators.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::services::reports::{self, OperatorsReport};
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::operator::Operator;
use crate::web::query::Query;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "site_reports.html")]
struct SiteReportsPage<'a> {
    layout: Layout<'a>,
    reports: Vec<OperatorsReport>,
    has_closed: bool,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SiteReportsQuery {
    done: String,
}

/// Shows the page. **Who:** operators. **Answers:** the open reports, except those of their own messages.
pub async fn show(
    state: Data<WebState>,
    operator: Operator,
    query: Query<SiteReportsQuery>,
) -> PageResult {
    html(&SiteReportsPage {
        layout: Layout::new(&state, Some(&operator.0), NavPage::Other),
        reports: reports::open_for_operators(&state.core, operator.0.user_id).await?,
        has_closed: query.done == "closed",
    })
}
