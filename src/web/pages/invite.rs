//! An invite link to a private room: shows the room's name and a button to join.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::security::tokens::Token;
use crate::services::invites::{self, Invitation};
use crate::services::members::Joined;
use crate::urls::{invite_url, with_next};
use crate::web::answers::{html, join_response};
use crate::web::client_address;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Fields, OwnForm};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::{CurrentUser, Visitor};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "invite.html")]
struct InvitePage<'a> {
    layout: Layout<'a>,
    invitation: Invitation,
    address: &'a str,
    nonce: String,
    register_url: String,
    login_url: String,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct InviteForm {
    nonce: String,
}

impl Fields for InviteForm {}

/// Shows the invitation.
///
/// **Who:** anyone with the link. **Answers:** the room's name and the Join button, or for visitors links to sign
/// in; for members a link to the room, also when all uses are spent; 404 if the link does not work for any other
/// reason, and for people banned from the room; 429.
pub async fn show(
    state: Data<WebState>,
    request: HttpRequest,
    visitor: Visitor,
    token: Path<String>,
) -> PageResult {
    state.core.limits.link(client_address::of(&request)).await?;
    let token = Token::received(token.into_inner());
    let user = visitor.user.as_ref();
    let invitation = invites::preview(&state.core, &token, user.map(|user| user.user_id)).await?;
    let Some(invitation) = invitation else {
        return Err(AppError::DeadLink);
    };
    let address = invite_url(token.as_str());
    html(&InvitePage {
        layout: Layout::new(&state, user, NavPage::Other),
        invitation,
        nonce: state
            .core
            .nonces
            .keep_or_make("", user.map(|user| user.user_id)),
        register_url: with_next("/register", Some(&address)),
        login_url: with_next("/login", Some(&address)),
        address: &address,
    })
}

/// Joins the room, and counts a use of the link. A form that is sent again leads to the room.
///
/// **Who:** signed-in users with the link. **Answers:** 303 to the room; 404 if the link does not work; 403 if the room
/// is full; 429.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    user: CurrentUser,
    token: Path<String>,
    form: OwnForm<InviteForm>,
) -> PageResult {
    state.core.limits.link(client_address::of(&request)).await?;
    state.core.limits.change(user.user_id).await?;
    let token = Token::received(token.into_inner());
    let turn = state
        .core
        .form_turn(&form.nonce, Some(user.user_id))
        .await?;
    match invites::accept(&state.core, &turn, &token, user.user_id).await? {
        Joined::Refused => Err(AppError::DeadLink),
        joined => join_response(joined),
    }
}
