//! One account, for operators: what is known of it, and what they can do about it.

use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::UserId;
use crate::services::operators::Standing;
use crate::services::site_moderation::{self, Person, PublicRoom};
use crate::web::answers::html;
use crate::web::error::{AppError, OPERATORS_ARE_EQUAL, PageResult};
use crate::web::layout::{Layout, NavPage};
use crate::web::operator::Operator;
use crate::web::query::Query;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "site_person.html")]
struct SitePersonPage<'a> {
    layout: Layout<'a>,
    person: Person,
    owned: Vec<PublicRoom>,
    is_reader: bool,
    done: Option<&'static str>,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SitePersonQuery {
    done: String,
}

/// Shows the page. **Who:** operators. **Answers:** the account, and the public rooms that the person owns.
pub async fn show(
    state: Data<WebState>,
    operator: Operator,
    person: Path<UserId>,
    query: Query<SitePersonQuery>,
) -> PageResult {
    let person = site_moderation::person(&state.core, *person).await?;
    let person = person.ok_or(AppError::NotFound)?;
    html(&SitePersonPage {
        layout: Layout::new(&state, Some(&operator.0), NavPage::Other),
        owned: site_moderation::owned_rooms(&state.core, person.id).await?,
        is_reader: person.id == operator.0.user_id,
        person,
        done: match query.done.as_str() {
            "suspended" => Some("Account suspended"),
            "lifted" => Some("Suspension lifted"),
            _ => None,
        },
    })
}
