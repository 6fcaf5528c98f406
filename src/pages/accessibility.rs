//! The accessibility statement: what is met, what is not, and how that was found out.

use actix_web::web::Data;
use askama::Template;

use super::{Here, Layout, html};
use crate::app::AppState;
use crate::error::PageResult;
use crate::session::Visitor;

#[derive(Template)]
#[template(path = "accessibility.html")]
struct AccessibilityPage<'a> {
    layout: Layout<'a>,
    contact: Option<&'a str>,
}

/// **Who:** anyone. **Answers:** the statement.
pub async fn show(app: Data<AppState>, visitor: Visitor) -> PageResult {
    html(&AccessibilityPage {
        layout: Layout::new(&app, visitor.user.as_ref(), Here::Elsewhere),
        contact: app.config.contact.as_deref(),
    })
}
