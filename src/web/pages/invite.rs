//! A link into a private room, as whoever was given it opens it: says where it leads, and joins by a
//! button.

use actix_web::HttpRequest;
use actix_web::web::{Data, Form, Path};
use askama::Template;

use crate::security::tokens::Token;
use crate::services::invites::{self, Invitation};
use crate::services::members::Joined;
use crate::urls::{invite_url, with_next};
use crate::web::answers::{html, into_room};
use crate::web::client_address;
use crate::web::error::{AppError, PageResult};
use crate::web::forms::Button;
use crate::web::layout::{Here, Layout};
use crate::web::session::{CurrentUser, Visitor};
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "invite.html")]
struct InvitePage<'a> {
    layout: Layout<'a>,
    invitation: Invitation,
    address: &'a str,
    register_url: String,
    login_url: String,
}

/// Where the link leads.
///
/// **Who:** anyone with the link. **Answers:** the room's name, and the button or how to get to it; 404
/// for a link that does not work, whatever the cause, and for people who are banned from the room; 429.
pub async fn show(
    state: Data<WebState>,
    request: HttpRequest,
    visitor: Visitor,
    token: Path<String>,
) -> PageResult {
    state.core.limits.link(client_address::of(&request))?;
    let token = Token::received(token.into_inner());
    let user = visitor.user.as_ref();
    let invitation = invites::preview(&state.core, &token, user.map(|user| user.user_id)).await?;
    let Some(invitation) = invitation else {
        return Err(AppError::DeadLink);
    };
    let address = invite_url(token.as_str());
    html(&InvitePage {
        layout: Layout::new(&state, user, Here::Elsewhere),
        invitation,
        register_url: with_next("/register", Some(&address)),
        login_url: with_next("/login", Some(&address)),
        address: &address,
    })
}

/// Joins the room, and spends a use of the link. **Who:** anyone signed in who has it. **Answers:** 303 to
/// the room; 404 for a link that does not work; 403 when the room is full; 429.
pub async fn submit(
    state: Data<WebState>,
    request: HttpRequest,
    user: CurrentUser,
    token: Path<String>,
    _: Form<Button>,
) -> PageResult {
    state.core.limits.link(client_address::of(&request))?;
    let token = Token::received(token.into_inner());
    match invites::accept(&state.core, &token, user.user_id).await? {
        Joined::Refused => Err(AppError::DeadLink),
        joined => into_room(joined),
    }
}
