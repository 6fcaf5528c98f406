//! Who is in a room, and who must stay out.

use std::sync::Arc;

use actix_web::web::{Data, Path, Query};
use askama::Template;
use serde::Deserialize;

use crate::domain::{Role, RoomId, UserId};
use crate::live::rooms::{Member, Room};
use crate::services::moderation::{self, Banned};
use crate::web::answers::html;
use crate::web::error::PageResult;
use crate::web::guards::room_of;
use crate::web::layout::{Here, Layout};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

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
    state: Data<WebState>,
    user: CurrentUser,
    room: Path<RoomId>,
    query: Query<MembersQuery>,
) -> PageResult {
    let room = room_of(&state, &user, *room, Role::Member).await?;
    let (outside, banned) = if room.role_of(user.user_id) >= Some(Role::Moderator) {
        let banned = moderation::banned(&state.core, room.id).await?;
        let outside = moderation::authors_outside(&state.core, &room, &banned).await;
        (outside, banned)
    } else {
        (Vec::new(), Vec::new())
    };
    html(&MembersPage {
        layout: Layout::new(&state, Some(&user), Here::Elsewhere),
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
