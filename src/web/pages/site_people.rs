//! People: the accounts of the site, for operators.

use actix_web::web::Data;
use askama::Template;

use crate::services::operators::Standing;
use crate::services::site_moderation::{self, Listed, Person};
use crate::urls::site_people_url;
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::operator::Operator;
use crate::web::query::{ListQuery, Query};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "site_people.html")]
struct SitePeoplePage<'a> {
    layout: Layout<'a>,
    list: Listed<Person>,
    search: &'a str,
    has_deleted: bool,
}

impl SitePeoplePage<'_> {
    fn page_url(&self, page: u64) -> String {
        site_people_url(self.search, page)
    }
}

/// Shows the page. **Who:** operators. **Answers:** a page of the list; for a page number out of range, the nearest
/// page.
pub async fn show(
    state: Data<WebState>,
    operator: Operator,
    query: Query<ListQuery>,
) -> PageResult {
    let search = query.search();
    html(&SitePeoplePage {
        layout: Layout::new(&state, Some(&operator.0), NavPage::Other),
        list: site_moderation::people(&state.core, search, query.page()).await?,
        search,
        has_deleted: query.done == "deleted",
    })
}
