//! The members of a room and, for moderators, the banned people.

use std::sync::Arc;

use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{Role, RoomId, UserId};
use crate::live::rooms::{Member, Room};
use crate::live::settings::Settings;
use crate::services::accounts;
use crate::services::moderation::{self, Banned};
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::guards::room_with_role;
use crate::web::layout::{Layout, NavPage};
use crate::web::query::Query;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    reader: UserId,
    settings: Arc<Settings>,
    done: Option<&'static str>,
    /// People who have left, but whose messages are still there. Empty unless the reader is a moderator.
    outside: Vec<(UserId, Arc<str>)>,
    banned: Vec<Banned>,
}

impl MembersPage<'_> {
    /// Returns whether the reader may moderate a member.
    fn may_manage(&self, member: &Member) -> bool {
        let role = self.room.role_of(self.reader);
        role.is_some_and(|role| role.may_moderate(Some(member.role)))
    }

    fn is_ignored(&self, member: &Member) -> bool {
        self.settings.ignored.has(member.user_id)
    }
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MembersQuery {
    done: String,
}

/// Shows the page. **Who:** members. **Answers:** all members, the longest-standing first; for moderators also the
/// banned people, and former members whose messages are still there.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    query: Query<MembersQuery>,
) -> PageResult {
    let settings = accounts::settings(&state.core, user.user_id).await?;
    let room = room_with_role(&state, &user, *room, Role::Member).await?;
    let is_moderator = room.role_of(user.user_id) >= Some(Role::Moderator);
    let (room, outside, banned) = if is_moderator {
        let banned = moderation::banned(&state.core, room.id).await?;
        // The role may have changed while the database was asked.
        let room = room_with_role(&state, &user, room.id, Role::Moderator).await?;
        let outside = moderation::authors_outside(&state.core, &room, &banned).await?;
        (room, outside, banned)
    } else {
        (room, Vec::new(), Vec::new())
    };
    html(&MembersPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        room: &room,
        reader: user.user_id,
        settings,
        done: match query.done.as_str() {
            "moderator" => Some("Moderator added"),
            "member" => Some("Moderator removed"),
            "owner" => Some("Owner changed"),
            "removed" => Some("Member removed"),
            "banned" => Some("Ban saved"),
            "ignored" => Some("Person ignored"),
            "lifted" => Some("Ban lifted"),
            "messages" => Some("Messages deleted"),
            _ => None,
        },
        outside,
        banned,
    })
}
