//! Public rooms, for operators.

use actix_web::web::Data;
use askama::Template;

use crate::services::site_moderation::{self, Listed, PublicRoom};
use crate::urls::site_rooms_url;
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::operator::Operator;
use crate::web::query::{ListQuery, Query};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "site_rooms.html")]
struct SiteRoomsPage<'a> {
    layout: Layout<'a>,
    list: Listed<PublicRoom>,
    search: &'a str,
    has_deleted: bool,
}

impl SiteRoomsPage<'_> {
    fn page_url(&self, page: u64) -> String {
        site_rooms_url(self.search, page)
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
    html(&SiteRoomsPage {
        layout: Layout::new(&state, Some(&operator.0), NavPage::Other),
        list: site_moderation::rooms(&state.core, search, query.page()).await?,
        search,
        has_deleted: query.done == "deleted",
    })
}
