//! Reporting messages to the moderators of a room.
//!
//! Nobody is shown a report of their own message, or told who sent a report.

use std::sync::Arc;

use super::rooms::{self, Access};
use crate::core::{Core, Fault};
use crate::domain::{MessageId, Reason, Role, RoomId, UserId};
use crate::live::messages::{Message, Report, Reported};
use crate::live::rooms::Room;

/// Returns a live message of `room`, if the member `user` may report it: it is someone else's.
pub async fn reportable(
    core: &Core,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Option<Arc<Message>> {
    let now = core.clock.site_time();
    let message = core.messages.find(room.id, message, now).await?;
    (message.author != user).then_some(message)
}

/// The people who will see a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenBy {
    /// At least one other moderator, or the owner.
    Moderators,
    /// Only the person who reports.
    OnlyYou,
    /// Nobody: the author of the message is the only moderator.
    Nobody,
}

/// Returns who would see a report of the member `user` about a message of `author` in `room`.
#[must_use]
pub fn seen_by(room: &Room, user: UserId, author: UserId) -> SeenBy {
    let moderators = room
        .members
        .iter()
        .filter(|member| member.role >= Role::Moderator && member.user_id != author);
    let mut others = moderators.clone().filter(|member| member.user_id != user);
    match (others.next(), moderators.count()) {
        (Some(_), _) => SeenBy::Moderators,
        (None, 0) => SeenBy::Nobody,
        (None, _) => SeenBy::OnlyYou,
    }
}

/// Reports a message for which [`reportable`] returned a message. Callers count the report first.
pub async fn report(
    core: &Core,
    reporter: UserId,
    room: RoomId,
    message: MessageId,
    reason: Reason,
) -> Reported {
    let now = core.clock.site_time();
    let messages = &core.messages;
    messages.report(room, message, reporter, reason, now).await
}

/// An open report, as a moderator sees it.
#[derive(Debug)]
pub struct OpenReport {
    /// The report.
    pub report: Report,
    /// Whether the message is still in the room, and the moderator may delete it.
    pub may_delete: bool,
    /// Whether the moderator may remove the author from the room.
    pub may_remove: bool,
    /// Whether the moderator may ban the author from the room.
    pub may_ban: bool,
}

/// Returns the open reports that `user` may see: as a moderator of `room`, all but those of their own messages.
///
/// # Errors
/// When the database fails.
pub async fn open(core: &Core, user: UserId, room: RoomId) -> Result<Vec<OpenReport>, Fault> {
    let now = core.clock.site_time();
    let reports = core.messages.reports(room, now).await;
    let mut open = Vec::new();
    // The role is checked after the last wait: who has lost it is shown nothing.
    let Access::Member(room) = rooms::access(core, room, user).await? else {
        return Ok(open);
    };
    let Some(role) = room.role_of(user).filter(|role| *role >= Role::Moderator) else {
        return Ok(open);
    };
    for report in reports {
        let author = report.message.author;
        if author == user {
            continue;
        }
        let author_role = room.role_of(author);
        let may_ban = role.may_moderate(author_role);
        let is_there = core.messages.find(room.id, report.message.id, now).await;
        open.push(OpenReport {
            may_delete: may_ban && is_there.is_some(),
            may_remove: may_ban && author_role.is_some(),
            may_ban,
            report,
        });
    }
    Ok(open)
}

/// Closes the report of a message. Does nothing if there is no such report, or none that `user` may see.
///
/// # Errors
/// When the database fails.
pub async fn close(
    core: &Core,
    user: UserId,
    room: RoomId,
    message: MessageId,
) -> Result<(), Fault> {
    let open = open(core, user, room).await?;
    if open.iter().any(|open| open.report.message.id == message) {
        let now = core.clock.site_time();
        core.messages.close_report(room, message, now).await;
    }
    Ok(())
}
