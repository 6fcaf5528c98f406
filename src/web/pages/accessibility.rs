//! The accessibility statement: what is met, what is not, and how that was found out.

use actix_web::web::Data;
use askama::Template;

use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::layout::{Here, Layout};
use crate::web::session::Visitor;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "accessibility.html")]
struct AccessibilityPage<'a> {
    layout: Layout<'a>,
    contact: Option<&'a str>,
}

/// **Who:** anyone. **Answers:** the statement.
pub async fn show(state: Data<WebState>, visitor: Visitor) -> PageResult {
    html(&AccessibilityPage {
        layout: Layout::new(&state, visitor.user.as_ref(), Here::Elsewhere),
        contact: state.core.config.contact.as_deref(),
    })
}
