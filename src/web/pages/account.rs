//! Your account: how much of what is said is announced, and the ways to the rest.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Query};
use askama::Template;
use serde::Deserialize;

use crate::domain::Announcements;
use crate::services::accounts;
use crate::web::answers::{html, html_with, see_other};
use crate::web::error::PageResult;
use crate::web::forms::Problems;
use crate::web::layout::{Here, Layout};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    layout: Layout<'a>,
    announcements: &'a str,
    /// What was done, in words.
    done: Option<&'static str>,
    problems: Problems,
}

impl AccountPage<'_> {
    /// What was done, for the title: the first sentence of it.
    fn outcome(&self) -> Option<&str> {
        self.done?.split('.').next()
    }
}

/// What the address can say.
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

/// **Who:** anyone signed in. **Answers:** their settings.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<AccountQuery>,
) -> PageResult {
    let settings = accounts::settings(&state.core, user.user_id).await?;
    html(&AccountPage {
        layout: Layout::new(&state, Some(&user), Here::Account),
        announcements: settings.announcements.as_str(),
        done: match query.done.as_str() {
            "saved" => Some("Settings saved."),
            "password" => Some("Password changed. You are signed out everywhere else."),
            _ => None,
        },
        problems: Problems::default(),
    })
}

/// Saves the settings. **Who:** anyone signed in. **Answers:** 303 back, or the form again with 422.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    form: Form<AccountForm>,
) -> PageResult {
    let Ok(announcements) = form.announcements.parse::<Announcements>() else {
        const CHOOSE: &str = "Choose what to announce";
        let page = AccountPage {
            layout: Layout::new(&state, Some(&user), Here::Account),
            announcements: &form.announcements,
            done: None,
            problems: Problems::one("announcements-each", CHOOSE),
        };
        return html_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    accounts::set_announcements(&state.core, user.user_id, announcements).await?;
    Ok(see_other("/account?done=saved"))
}
