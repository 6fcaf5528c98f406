//! The accessibility statement: the goal, what works, the known limitations, and how Mirage is tested.

use actix_web::web::Data;
use askama::Template;

use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Layout, NavPage};
use crate::web::session::Visitor;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "accessibility.html")]
struct AccessibilityPage<'a> {
    layout: Layout<'a>,
    contact: Option<&'a str>,
}

/// Shows the statement. **Who:** anyone. **Answers:** the statement.
pub async fn show(state: Data<WebState>, visitor: Visitor) -> PageResult {
    html(&AccessibilityPage {
        layout: Layout::new(&state, visitor.user.as_ref(), NavPage::Other),
        contact: state.core.config.contact.as_deref(),
    })
}
