//! Ban somebody from a room: asks first, and for the reason.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use super::{
    Here, Layout, Problems, html, html_with, or_form_for_later, room_and_person, see_other,
};
use crate::app::AppState;
use crate::domain::{BanReason, Role, RoomId, UserId};
use crate::error::PageResult;
use crate::routes::members_done_url;
use crate::services::moderation::{self, Person};
use crate::services::rooms::Room;
use crate::session::CurrentUser;

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
}

/// **Who:** moderators, of people whom they may moderate. **Answers:** the question.
pub async fn show(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Moderator).await?;
    html(&BanPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        reason: person.ban.as_deref().unwrap_or_default(),
        person: &person,
        problems: Problems::default(),
    })
}

/// Bans the person. **Who:** moderators, of people whom they may moderate. **Answers:** 303 to the members,
/// or the question again with 422 or 503.
pub async fn submit(
    app: Data<AppState>,
    user: CurrentUser,
    address: Path<(RoomId, UserId)>,
    form: Form<BanForm>,
) -> PageResult {
    let address = address.into_inner();
    let (room, person) = room_and_person(&app, &user, address, Role::Moderator).await?;
    let again = |problems| {
        let page = BanPage {
            layout: Layout::new(&app, Some(&user), Here::Elsewhere),
            room: &room,
            person: &person,
            reason: &form.reason,
            problems,
        };
        html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let reason = match BanReason::parse(&form.reason) {
        Ok(reason) => reason,
        Err(mistake) => return again(Problems::one("reason", mistake.0)),
    };
    let ban = async {
        let moderated = moderation::ban(&app, room.id, user.user_id, person.user_id, reason);
        moderated.await?.done(room.id, Role::Moderator)?;
        Ok(see_other(members_done_url(room.id, "banned")))
    };
    or_form_for_later(ban.await, "reason", again)
}
