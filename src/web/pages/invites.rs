//! The invite links of a private room: the active links, and a form to create another.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::qr::Qr;
use crate::domain::{InviteId, InviteLifetime, InviteUses, Role, RoomId};
use crate::live::rooms::Room;
use crate::services::invites::{self, Created, Invite};
use crate::urls::{invite_url, shared_room_url};
use crate::web::answers::{html, html_with};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::room_with_role;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;
use crate::web::state::absolute_url;

#[derive(Template)]
#[template(path = "invites.html")]
struct InvitesPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    invites: Vec<Invite>,
    new_link: Option<NewLink>,
    nonce: String,
    /// The absolute URL of a public room, which people share instead of an invite link.
    address: Option<String>,
    life: &'a str,
    uses: &'a str,
    has_revoked: bool,
    problems: Problems,
}

/// A link that was just created.
struct NewLink {
    id: InviteId,
    address: String,
    qr: Option<Qr>,
}

impl<'a> InvitesPage<'a> {
    async fn new(
        state: &'a WebState,
        user: &'a CurrentUser,
        room: &'a Room,
        request: &HttpRequest,
    ) -> Result<Self, AppError> {
        let invites = invites::list(&state.core, room.id).await?;
        // The role may have changed while the database was asked.
        room_with_role(state, user, room.id, Role::Moderator).await?;
        Ok(Self {
            layout: Layout::new(state, Some(user), NavPage::Other),
            room,
            invites,
            new_link: None,
            nonce: state.core.nonces.keep_or_make("", Some(user.user_id)),
            address: (!room.is_private).then(|| absolute_url(request, &shared_room_url(room.id))),
            life: "",
            uses: "",
            has_revoked: false,
            problems: Problems::default(),
        })
    }

    /// Returns what was just done, for the title.
    fn done(&self) -> Option<String> {
        match &self.new_link {
            Some(link) => Some(format!("Link {} created", link.id)),
            None => self.has_revoked.then(|| "Link revoked".to_owned()),
        }
    }
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct InvitesForm {
    life: String,
    uses: String,
    nonce: String,
}

impl Fields for InvitesForm {}

impl InvitesForm {
    fn parse(&self) -> Result<(InviteLifetime, InviteUses), Problems> {
        let mut problems = Problems::default();
        let life = InviteLifetime::parse(&self.life);
        if life.is_none() {
            problems.add("life-hour", "Choose how long the link should work");
        }
        let uses = InviteUses::parse(&self.uses);
        if uses.is_none() {
            problems.add("uses-one", "Choose how many people can use the link");
        }
        life.zip(uses).ok_or(problems)
    }
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct InvitesQuery {
    done: String,
}

/// Shows the page. **Who:** the owner and moderators. **Answers:** the links and the form; for a public room, its
/// URL and a sentence that it needs no links.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    room: Path<RoomId>,
    query: Query<InvitesQuery>,
) -> PageResult {
    let room = room_with_role(&state, &user, *room, Role::Moderator).await?;
    html(&InvitesPage {
        has_revoked: query.done == "revoked",
        ..InvitesPage::new(&state, &user, &room, &request).await?
    })
}

/// Creates a link. A form that is sent again shows the link that it has created.
///
/// **Who:** the owner and moderators. **Answers:** the page with the link, which is shown only once; or the form again
/// with 422; for a public room 403, with a sentence that it needs no links; or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    room: Path<RoomId>,
    form: OwnForm<InvitesForm>,
) -> PageResult {
    let room = room_with_role(&state, &user, *room, Role::Moderator).await?;
    if !room.is_private {
        return no_links_page(&state, &user, &room, &request).await;
    }
    let show_again = async |problems| {
        let page = InvitesPage {
            life: &form.life,
            uses: &form.uses,
            problems,
            ..InvitesPage::new(&state, &user, &room, &request).await?
        };
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let choice = match form.parse() {
        Ok(parsed) => parsed,
        Err(problems) => return show_again(problems).await,
    };
    state.core.limits.change(user.user_id).await?;
    let turn = state
        .core
        .form_turn(&form.nonce, Some(user.user_id))
        .await?;
    match invites::create(&state.core, &turn, room.id, user.user_id, choice).await? {
        Created::Link(id, token) => {
            let address = absolute_url(&request, &invite_url(token.as_str()));
            let new_link = NewLink {
                id,
                qr: Qr::of(&address),
                address,
            };
            html(&InvitesPage {
                new_link: Some(new_link),
                ..InvitesPage::new(&state, &user, &room, &request).await?
            })
        }
        Created::Public => no_links_page(&state, &user, &room, &request).await,
        Created::TooMany => {
            let most = invites::MAX_LINKS;
            let sentence = format!("{most} links is the maximum. Revoke one first");
            show_again(Problems::one("life-hour", sentence)).await
        }
        Created::NotAllowed => Err(AppError::NotAllowed {
            room: room.id,
            needs: Role::Moderator,
        }),
    }
}

async fn no_links_page(
    state: &WebState,
    user: &CurrentUser,
    room: &Room,
    request: &HttpRequest,
) -> Result<HttpResponse, AppError> {
    let page = InvitesPage::new(state, user, room, request).await?;
    html_with(StatusCode::FORBIDDEN, &page)
}
