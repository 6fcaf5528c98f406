//! Reporting messages to the moderators of a room, and to the site's operators if the author is the only moderator of a
//! public room.
//!
//! Nobody is shown a report of their own message, or told who sent a report. Operators are shown no report of a private
//! room.

use std::sync::Arc;

use super::rooms::{self, Access};
use super::site_moderation::{self, Acted, Actor, Subject};
use crate::core::{Core, Fault};
use crate::domain::{MessageId, Reason, Role, RoomId, UserId};
use crate::live::messages::{Message, Report, Reported};
use crate::live::rooms::Room;

/// Returns a live message of `room`, if the member `user` may report it: it is someone else's.
///
/// # Errors
/// When Redis does not answer.
pub async fn reportable(
    core: &Core,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Result<Option<Arc<Message>>, Fault> {
    let now = core.clock.site_time();
    core.messages.catch_up(room.id).await?;
    let message = core.messages.find(room.id, message, now).await?;
    Ok(message.filter(|message| message.author != user))
}

/// The people who will see a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenBy {
    /// At least one other moderator, or the owner.
    Moderators,
    /// The operators of the site: the author of the message is the only moderator, and the room is public.
    Operators,
    /// Only the person who reports.
    OnlyYou,
    /// Nobody: the author of the message is the only moderator, and the room is private or has no operator who could see it.
    Nobody,
}

/// Returns who would see a report of the member `user` about a message of `author` in `room`.
///
/// # Errors
/// When the database fails.
pub async fn seen_by(
    core: &Core,
    room: &Room,
    user: UserId,
    author: UserId,
) -> Result<SeenBy, Fault> {
    let mut moderators: Vec<UserId> = moderators(room).filter(|id| *id != author).collect();
    let mut seers = SeenBy::Moderators;
    if goes_to_operators(room, author) {
        moderators = site_moderation::operators(core).await?;
        moderators.retain(|operator| *operator != author);
        seers = SeenBy::Operators;
    }
    Ok(match moderators.as_slice() {
        [] => SeenBy::Nobody,
        [only] if *only == user => SeenBy::OnlyYou,
        _ => seers,
    })
}

fn moderators(room: &Room) -> impl Iterator<Item = UserId> {
    let members = room.members.iter();
    let moderators = members.filter(|member| member.role >= Role::Moderator);
    moderators.map(|member| member.user_id)
}

/// Returns whether reports of `author`'s messages in `room` are for the site's operators.
fn goes_to_operators(room: &Room, author: UserId) -> bool {
    !room.is_private && moderators(room).all(|moderator| moderator == author)
}

/// Reports a message for which [`reportable`] returned a message. Callers count the report first.
///
/// # Errors
/// When Redis does not answer.
pub async fn report(
    core: &Core,
    reporter: UserId,
    room: RoomId,
    message: MessageId,
    reason: Reason,
) -> Result<Reported, Fault> {
    let now = core.clock.site_time();
    let messages = &core.messages;
    Ok(messages
        .report(room, message, reporter, reason, now)
        .await?)
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
    let reports = core.messages.reports(room, now).await?;
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
        let is_there = core.messages.find(room.id, report.message.id, now).await?;
        open.push(OpenReport {
            may_delete: may_ban && is_there.is_some(),
            may_remove: may_ban && author_role.is_some(),
            may_ban,
            report,
        });
    }
    Ok(open)
}

/// An open report in a public room, as an operator sees it.
#[derive(Debug)]
pub struct OperatorsReport {
    /// The room.
    pub room: Arc<Room>,
    /// The report.
    pub report: Report,
}

/// Returns the open reports that the operator `user` may see: those about the only moderator of a public room, unless
/// that is they. Callers check that `user` is an operator.
///
/// # Errors
/// When the database fails.
pub async fn open_for_operators(core: &Core, user: UserId) -> Result<Vec<OperatorsReport>, Fault> {
    let now = core.clock.site_time();
    let mut open = Vec::new();
    for (room, reports) in core.messages.reported(now).await? {
        open.extend(for_operators(core, user, room, reports).await?);
    }
    Ok(open)
}

/// Returns those of a room's `reports` that the operator `user` may see.
async fn for_operators(
    core: &Core,
    user: UserId,
    room: RoomId,
    reports: Vec<Report>,
) -> Result<Vec<OperatorsReport>, Fault> {
    // The room is looked at after its reports: of one that has become private, nothing is shown.
    let Some(room) = rooms::find(core, room).await? else {
        return Ok(Vec::new());
    };
    let may_see = |report: &Report| {
        let author = report.message.author;
        author != user && goes_to_operators(&room, author)
    };
    let seen = reports.into_iter().filter(may_see);
    let open = seen.map(|report| OperatorsReport {
        room: Arc::clone(&room),
        report,
    });
    Ok(open.collect())
}

/// Closes the report of a message for the operator `actor`, which is an act as each other ([`site_moderation`]) except
/// that it asks for no password.
///
/// Does nothing if there is no such report, or none that the operator may see. Callers check that they are an operator.
///
/// # Errors
/// When the database fails.
pub async fn close_for_operators(
    core: &Arc<Core>,
    actor: Actor,
    (room, message): (RoomId, MessageId),
) -> Result<(), Fault> {
    let (core, operator) = (Arc::clone(core), actor.id);
    let close = async move {
        let now = core.clock.site_time();
        let reports = core.messages.reports(room, now).await?;
        let open = for_operators(&core, operator, room, reports).await?;
        let is_it = |open: &&OperatorsReport| open.report.message.id == message;
        let Some(found) = open.iter().find(is_it) else {
            return Ok(Acted::Done(None));
        };
        core.messages.close_report(room, message, now).await?;
        let reported = &found.report.message;
        let author = (reported.author, Arc::clone(&reported.author_name));
        let room = (room, found.room.name.clone());
        Ok(Acted::Done(Some(Subject::Report(author, room))))
    };
    site_moderation::logged(actor, "close-report", close).await?;
    Ok(())
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
        core.messages.close_report(room, message, now).await?;
    }
    Ok(())
}
