//! Ban a person from a room: asks for confirmation and the reason.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{Audience, Reason, Role, RoomId, UserId};
use crate::live::rooms::Room;
use crate::services::moderation::{self, Moderated, Person};
use crate::urls::members_done_url;
use crate::web::answers::{html, html_with, or_retry_form, see_other};
use crate::web::error::PageResult;
use crate::web::forms::{Fields, OwnForm, Problems};
use crate::web::guards::room_and_person;
use crate::web::layout::{Layout, NavPage};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "ban.html")]
struct BanPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    person: &'a Person,
    reason: &'a str,
    problems: Problems,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BanForm {
    reason: String,
    audience: String,
}

impl Fields for BanForm {
    const TYPED: &'static [(&'static str, &'static str)] = &[("reason", "Reason")];
}

/// Shows the page. **Who:** moderators, for people they may moderate. **Answers:** the form.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&state, &user, address, Role::Moderator).await?;
    html(&BanPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        room: &room,
        reason: person.ban.as_deref().unwrap_or_default(),
        person: &person,
        problems: Problems::default(),
    })
}

/// Bans the person. **Who:** moderators, for people they may moderate. **Answers:** 303 to the members page, or
/// the form again with 422, 429 or 503.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    form: OwnForm<BanForm>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&state, &user, address, Role::Moderator).await?;
    let show_in = |room: &Room, problems| {
        let page = BanPage {
            layout: Layout::new(&state, Some(&user), NavPage::Other),
            room,
            person: &person,
            reason: &form.reason,
            problems,
        };
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let show_again = |problems| show_in(&room, problems);
    let reason = match Reason::parse(&form.reason) {
        Ok(reason) => reason,
        Err(mistake) => return show_again(Problems::one("reason", mistake.0)),
    };
    let ban = async {
        state.core.limits.change(user.user_id).await?;
        let (room_id, audience) = (room.id, Audience::parse(&form.audience));
        let (actor, person) = (user.user_id, person.user_id);
        match moderation::ban(&state.core, room_id, actor, person, reason, audience).await? {
            Moderated::PublicNow => {
                const PUBLIC: &str = "This room is public now: they see the reason when they try to join. Check it, then ban them again";
                let (room, _) = room_and_person(&state, &user, address, Role::Moderator).await?;
                show_in(&room, Problems::one("reason", PUBLIC))
            }
            moderated => {
                moderated.into_result(room_id, Role::Moderator)?;
                Ok(see_other(members_done_url(room_id, "banned")))
            }
        }
    };
    or_retry_form(ban.await, "reason", show_again)
}
