//! Who is in a room, and who must stay out.

use std::sync::Arc;

use actix_web::web::{Data, Path, Query};
use askama::Template;
use serde::Deserialize;

use super::{Here, Layout, html};
use crate::app::AppState;
use crate::domain::{Role, RoomId, UserId};
use crate::error::PageResult;
use crate::services::moderation::{self, Banned};
use crate::services::rooms::{self, Member, Room};
use crate::session::CurrentUser;

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    reader: UserId,
    done: Option<&'static str>,
    /// Of these, members who do not moderate are told nothing.
    outside: Vec<(UserId, Arc<str>)>,
    banned: Vec<Banned>,
}

impl MembersPage<'_> {
    /// Whether the reader can do anything about a member.
    fn may_manage(&self, member: &Member) -> bool {
        let role = self.room.role_of(self.reader);
        role.is_some_and(|role| role.may_moderate(Some(member.role)))
    }
}

/// What the address can say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MembersQuery {
    done: String,
}

/// **Who:** members. **Answers:** all members, those who have been there longest first; to moderators also
/// who is banned, and who has left messages behind.
pub async fn show(
    app: Data<AppState>,
    user: CurrentUser,
    room: Path<RoomId>,
    query: Query<MembersQuery>,
) -> PageResult {
    let room = rooms::access(&app, *room, user.user_id).await?.member()?;
    let (outside, banned) = if room.role_of(user.user_id) >= Some(Role::Moderator) {
        let banned = moderation::banned(&app, room.id).await?;
        (moderation::authors_outside(&app, &room, &banned), banned)
    } else {
        (Vec::new(), Vec::new())
    };
    html(&MembersPage {
        layout: Layout::new(&app, Some(&user), Here::Elsewhere),
        room: &room,
        reader: user.user_id,
        done: match query.done.as_str() {
            "moderator" => Some("Moderator added"),
            "member" => Some("Moderator removed"),
            "owner" => Some("Owner changed"),
            "removed" => Some("Member removed"),
            "banned" => Some("Ban saved"),
            "lifted" => Some("Ban lifted"),
            "messages" => Some("Messages deleted"),
            _ => None,
        },
        outside,
        banned,
    })
}
