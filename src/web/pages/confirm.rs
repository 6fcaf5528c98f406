//! Pages that ask for confirmation before an action: one page with a table of questions.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::domain::{Role, RoomId, UserId};
use crate::live::rooms::Room;
use crate::services::{ignored, moderation, room_settings};
use crate::urls::{members_done_url, room_settings_done_url, room_settings_url};
use crate::web::answers::{end_once, html, see_other};
use crate::web::error::{AppError, PageResult};
use crate::web::forms::{EmptyForm, OwnForm};
use crate::web::guards::{room_and_person, room_with_role};
use crate::web::layout::{Layout, NavPage};
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// The question before an action. Title, heading and button have the same text: the verb, the name of the person
/// or room, and the rest.
pub struct Question {
    /// The route of the page and of its form.
    pub pattern: &'static str,
    action: Action,
    verb: &'static str,
    rest: &'static str,
    /// The consequences of the action, one paragraph each.
    consequences: &'static [&'static str],
}

/// The actions that need confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Ignore,
    HandOver,
    RemoveMember,
    DeleteMessages,
    MakePublic,
    ClearRoom,
    DeleteRoom,
}

/// The table of questions.
pub const QUESTIONS: [Question; 7] = [
    Question {
        pattern: "/rooms/{room}/members/{person}/ignore",
        action: Action::Ignore,
        verb: "Ignore",
        rest: "",
        consequences: &[
            "You no longer see their messages, in any room, and are not told of new ones. They do not learn of it.",
            "They can still see your messages. If they moderate a room, they still can.",
            "To undo this, open Ignored people in your account.",
        ],
    },
    Question {
        pattern: "/rooms/{room}/members/{person}/owner",
        action: Action::HandOver,
        verb: "Make",
        rest: " the owner",
        consequences: &[
            "They become the owner, and you become a moderator. Only they can make you the owner again.",
        ],
    },
    Question {
        pattern: "/rooms/{room}/members/{person}/remove",
        action: Action::RemoveMember,
        verb: "Remove",
        rest: " from the room",
        consequences: &[
            "They are removed from the room immediately. Their messages stay.",
            "They can join again. To keep them out, ban them instead.",
        ],
    },
    Question {
        pattern: "/rooms/{room}/members/{person}/messages",
        action: Action::DeleteMessages,
        verb: "Delete all messages from",
        rest: "",
        consequences: &["The messages disappear for everyone immediately. This cannot be undone."],
    },
    Question {
        pattern: "/rooms/{room}/settings/public",
        action: Action::MakePublic,
        verb: "Make",
        rest: " public",
        consequences: &[
            "Everyone can see it in the list of public rooms and join it with one click.",
            "All messages in it now are deleted, because they were written in private. This cannot be undone.",
            "Its password and invite links stop working. Banned people stay banned, and see the reason when they try to join.",
        ],
    },
    Question {
        pattern: "/rooms/{room}/settings/clear",
        action: Action::ClearRoom,
        verb: "Delete all messages in",
        rest: "",
        consequences: &[
            "The messages and all reports disappear for everyone immediately. This cannot be undone.",
        ],
    },
    Question {
        pattern: "/rooms/{room}/settings/delete",
        action: Action::DeleteRoom,
        verb: "Delete the room",
        rest: "",
        consequences: &[
            "The room and its messages disappear for everyone immediately. This cannot be undone.",
            "To keep the room for its other members, leave it instead. One of them then becomes the owner.",
        ],
    },
];

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    verb: &'static str,
    name: &'a str,
    rest: &'static str,
    consequences: &'static [&'static str],
    /// The page to go back to, as a path below the room's address.
    back: &'static str,
    /// The name of the page to go back to.
    back_name: &'static str,
    /// The address that the form is sent to, which is also the page's own.
    action: &'a str,
}

/// The path parameters.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Target {
    room: RoomId,
    person: Option<UserId>,
}

/// Shows the page. **Who:** the owner; for some questions also moderators, for people they may moderate, or members.
/// **Answers:** the question; 303 to the settings if the room is public already.
pub async fn show(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    target: Path<Target>,
) -> PageResult {
    let question = question(&request)?;
    let (room, person) = subject(&state, &user, question.action, *target).await?;
    if question.action == Action::MakePublic && !room.is_private {
        return Ok(see_other(room_settings_url(room.id)));
    }
    let (back, back_name) = match person {
        Some(_) => ("/members", "the members"),
        None => ("/settings", "the settings"),
    };
    html(&ConfirmPage {
        layout: Layout::new(&state, Some(&user), NavPage::Other),
        room: &room,
        verb: question.verb,
        name: person.as_ref().map_or(&room.name, |(_, name)| name),
        rest: question.rest,
        consequences: question.consequences,
        back,
        back_name,
        action: request.path(),
    })
}

/// Performs the action. **Who:** as for the question. **Answers:** 303 to a page that confirms it; 403 if it is not
/// allowed, or the server has the maximum number of public rooms; or 429.
pub async fn submit(
    state: Data<WebState>,
    user: CurrentUser,
    request: HttpRequest,
    target: Path<Target>,
    _: OwnForm<EmptyForm>,
) -> PageResult {
    let action = question(&request)?.action;
    let is_over = move |error: &AppError| match action {
        Action::HandOver => matches!(error, AppError::NotAllowed { .. }),
        Action::RemoveMember | Action::DeleteMessages => {
            matches!(error, AppError::NoSuchPerson { .. })
        }
        Action::DeleteRoom => matches!(error, AppError::NoSuchRoom),
        Action::Ignore | Action::MakePublic | Action::ClearRoom => false,
    };
    end_once(&request, is_over, perform(state, user, action, *target)).await
}

async fn perform(
    state: Data<WebState>,
    user: CurrentUser,
    action: Action,
    target: Target,
) -> PageResult {
    let (room, person) = subject(&state, &user, action, target).await?;
    state.core.limits.change(user.user_id).await?;
    let (core, room, actor) = (&state.core, room.id, user.user_id);
    // Every route of a question about a person has this parameter.
    let person = || person.map(|(id, _)| id).ok_or(AppError::NotFound);
    let address = match action {
        Action::Ignore => {
            ignored::ignore(core, actor, person()?).await?;
            members_done_url(room, "ignored")
        }
        Action::HandOver => {
            let moderated = moderation::hand_over(core, room, actor, person()?).await?;
            moderated.into_result(room, action.needs())?;
            members_done_url(room, "owner")
        }
        Action::RemoveMember => {
            let moderated = moderation::remove(core, room, actor, person()?).await?;
            moderated.into_result(room, action.needs())?;
            members_done_url(room, "removed")
        }
        Action::DeleteMessages => {
            let moderated = moderation::delete_messages(core, room, actor, person()?).await?;
            moderated.into_result(room, action.needs())?;
            members_done_url(room, "messages")
        }
        Action::MakePublic => {
            let changed = room_settings::make_public(core, room, actor).await?;
            changed.into_result(room)?;
            room_settings_done_url(room, "public")
        }
        Action::ClearRoom => {
            let changed = room_settings::clear(core, room, actor).await?;
            changed.into_result(room)?;
            room_settings_done_url(room, "cleared")
        }
        Action::DeleteRoom => {
            let changed = room_settings::delete(core, room, actor).await?;
            changed.into_result(room)?;
            "/rooms/mine?done=deleted".to_owned()
        }
    };
    Ok(see_other(address))
}

impl Action {
    /// Returns the lowest role that may do this.
    fn needs(self) -> Role {
        match self {
            Self::Ignore => Role::Member,
            Self::RemoveMember | Self::DeleteMessages => Role::Moderator,
            Self::HandOver | Self::MakePublic | Self::ClearRoom | Self::DeleteRoom => Role::Owner,
        }
    }
}

fn question(request: &HttpRequest) -> Result<&'static Question, AppError> {
    const ALL: &[Question] = &QUESTIONS;
    let pattern = request.match_pattern();
    let mut matching = ALL
        .iter()
        .filter(|question| Some(question.pattern) == pattern.as_deref());
    matching.next().ok_or(AppError::NotFound)
}

/// Returns the room and, for a question about a person, the person's id and name.
async fn subject(
    state: &WebState,
    user: &CurrentUser,
    action: Action,
    target: Target,
) -> Result<(Arc<Room>, Option<(UserId, String)>), AppError> {
    match target.person {
        Some(person) => {
            let address = (target.room, person);
            let (room, person) = room_and_person(state, user, address, action.needs()).await?;
            if action == Action::Ignore && person.user_id == user.user_id {
                return Err(AppError::NoSuchPerson { room: room.id });
            }
            Ok((room, Some((person.user_id, person.name))))
        }
        None => {
            let room = room_with_role(state, user, target.room, action.needs()).await?;
            Ok((room, None))
        }
    }
}
