//! Your account: the setting for announcements, and links to the other account pages.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::domain::{Announcements, Timestamp};
use crate::services::accounts;
use crate::web::answers::{html, html_with, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    layout: Layout<'a>,
    announcements: &'a str,
    /// When a reset link changed the password, if that was lately.
    reset_at: Option<Timestamp>,
    /// What was just done, in words.
    done: Option<&'static str>,
    problems: Problems,
}

impl AccountPage<'_> {
    /// Returns the first sentence of `done`, for the title.
    fn outcome(&self) -> Option<&str> {
        self.done?.split('.').next()
    }
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccountQuery {
    done: String,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccountForm {
    announcements: String,
}

impl Fields for AccountForm {}

/// Shows the page. **Who:** signed-in users. **Answers:** their settings.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<AccountQuery>,
) -> PageResult {
    let settings = accounts::settings(&state.core, user.user_id).await?;
    let reset_at = accounts::recent_reset(&state.core, user.user_id).await?;
    html(&AccountPage {
        layout: Layout::new(&state, Some(&user), NavPage::Account),
        announcements: settings.announcements.as_str(),
        reset_at,
        done: match query.done.as_str() {
            "saved" => Some("Settings saved."),
            "password" => Some("Password changed. You are signed out everywhere else."),
            _ => None,
        },
        problems: Problems::default(),
    })
}

/// Saves the settings. **Who:** signed-in users. **Answers:** 303 to the page, or the form again with 422;
/// or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    form: OwnForm<AccountForm>,
) -> PageResult {
    let Ok(announcements) = form.announcements.parse::<Announcements>() else {
        const CHOOSE: &str = "Choose what to announce";
        let page = AccountPage {
            layout: Layout::new(&state, Some(&user), NavPage::Account),
            announcements: &form.announcements,
            reset_at: accounts::recent_reset(&state.core, user.user_id).await?,
            done: None,
            problems: Problems::one("announcements-each", CHOOSE),
        };
        return html_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    state.core.limits.change(user.user_id).await?;
    accounts::set_announcements(&state.core, user.user_id, announcements).await?;
    Ok(see_other("/account?done=saved"))
}
