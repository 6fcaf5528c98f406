//! Your sessions: the browsers that a person is signed in with, each with a button to sign it out.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::security::tokens::TokenDigest;
use crate::services::sessions::{self, OwnSession};
use crate::web::answers::{html, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::{CurrentUser, SessionCookie};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account_sessions.html")]
struct SessionsPage<'a> {
    layout: Layout<'a>,
    sessions: Vec<ListedSession>,
    /// What was just done, in words.
    done: Option<&'static str>,
}

struct ListedSession {
    session: OwnSession,
    is_this: bool,
    /// The sign-in time as part of the button's name, numbered so that no two buttons have the same name.
    since: String,
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SessionsQuery {
    done: String,
}

/// Shows the page. **Who:** signed-in users. **Answers:** their sessions.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<SessionsQuery>,
) -> PageResult {
    let sessions = sessions::list(&state.core, &user).await?;
    html(&SessionsPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        sessions: listed(sessions, user.digest),
        done: match query.done.as_str() {
            "ended" => Some("Browser signed out"),
            "others-ended" => Some("Signed out everywhere else"),
            _ => None,
        },
    })
}

/// Ends one session. **Who:** signed-in users, for their own sessions. **Answers:** 303 to the page, or to the
/// sign-in page if it was the session of this browser; or 429.
pub async fn end(
    state: Data<WebState>,
    user: CurrentUser,
    cookie: SessionCookie,
    session: Path<String>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    state.core.limits.change(user.user_id).await?;
    if let Some(digest) = TokenDigest::from_hex(&session) {
        sessions::end_own(&state.core, user.user_id, digest).await?;
        if digest == user.digest {
            cookie.clear();
            return Ok(see_other("/login?done=signed-out"));
        }
    }
    // A session that was ended already, such as in another tab, counts as a success.
    Ok(see_other("/account/sessions?done=ended"))
}

/// Ends all sessions except this browser's. **Who:** signed-in users, for their own sessions. **Answers:** 303
/// to the page, or 429.
pub async fn end_others(
    state: Data<WebState>,
    user: CurrentUser,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    state.core.limits.change(user.user_id).await?;
    sessions::end_others(&state.core, user.user_id, user.digest).await?;
    Ok(see_other("/account/sessions?done=others-ended"))
}

/// Prepares the sessions for the list. Numbers those with the same browser and minute, from the second on.
fn listed(sessions: Vec<OwnSession>, this: TokenDigest) -> Vec<ListedSession> {
    let mut counts = HashMap::new();
    let listed = |session: OwnSession| {
        let created_at = session.created_at;
        let since = format!("{} {}", created_at.day(), created_at.time_of_day());
        let number = counts
            .entry((session.browser.to_string(), since.clone()))
            .and_modify(|number| *number += 1)
            .or_insert(1);
        ListedSession {
            is_this: session.digest == this,
            since: match number {
                1 => since,
                number => format!("{since}, number {number}"),
            },
            session,
        }
    };
    sessions.into_iter().map(listed).collect()
}
