//! Your sessions: the browsers one is signed in with, and a way to sign out each.

use std::collections::HashMap;

use actix_web::web::{Data, Form, Path, Query};
use askama::Template;
use serde::Deserialize;

use crate::security::tokens::TokenDigest;
use crate::services::sessions::{self, OwnSession};
use crate::web::answers::{html, see_other};
use crate::web::error::PageResult;
use crate::web::forms::Button;
use crate::web::layout::{Here, Layout};
use crate::web::session::{CurrentUser, KeyInCookie};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "account_sessions.html")]
struct SessionsPage<'a> {
    layout: Layout<'a>,
    sessions: Vec<ListedSession>,
    /// What was done, in words.
    done: Option<&'static str>,
}

struct ListedSession {
    session: OwnSession,
    is_this: bool,
    /// What the button says after the browser, so that no two say the same.
    since: String,
}

/// What the address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SessionsQuery {
    done: String,
}

/// **Who:** anyone signed in. **Answers:** their sessions.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    query: Query<SessionsQuery>,
) -> PageResult {
    let sessions = sessions::list(&state.core, user.user_id).await?;
    html(&SessionsPage {
        layout: Layout::new(&state, Some(&user), Here::Elsewhere),
        sessions: listed(sessions, user.digest),
        done: match query.done.as_str() {
            "ended" => Some("Browser signed out"),
            "others-ended" => Some("You are signed out everywhere else"),
            _ => None,
        },
    })
}

/// Ends one of one's own sessions. **Who:** anyone signed in. **Answers:** 303 back; to signing in when
/// it was the session of this browser.
pub async fn end(
    state: Data<WebState>,
    user: CurrentUser,
    cookie: KeyInCookie,
    session: Path<String>,
    _: Form<Button>,
) -> PageResult {
    if let Some(digest) = TokenDigest::from_hex(&session) {
        sessions::end_own(&state.core, user.user_id, digest).await?;
        if digest == user.digest {
            cookie.take_away();
            return Ok(see_other("/login?done=signed-out"));
        }
    }
    // Who has ended it in another tab meanwhile has what they wanted.
    Ok(see_other("/account/sessions?done=ended"))
}

/// Ends all one's sessions but that of this browser. **Who:** anyone signed in. **Answers:** 303 back.
pub async fn end_others(state: Data<WebState>, user: CurrentUser, _: Form<Button>) -> PageResult {
    sessions::end_others(&state.core, user.user_id, user.digest).await?;
    Ok(see_other("/account/sessions?done=others-ended"))
}

/// The sessions as they are listed. Of those with the same browser and minute, all but the first are
/// numbered.
fn listed(sessions: Vec<OwnSession>, this: TokenDigest) -> Vec<ListedSession> {
    let mut alike = HashMap::new();
    let listed = |session: OwnSession| {
        let created_at = session.created_at;
        let since = format!("{} {}", created_at.day(), created_at.time_of_day());
        let number = alike
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
