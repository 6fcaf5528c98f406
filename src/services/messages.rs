//! Sending, deleting and following messages.

use std::sync::Arc;

use super::accounts;
use super::rooms::{self, Access};
use super::sessions;
use crate::core::{Core, Fault};
use crate::database::link::LinkState;
use crate::domain::{
    Audience, MessageId, MessageText, NonceId, Role, RoomId, SlowMode, Timestamp, UserId,
};
use crate::live::messages::{Appended, Cursor, Ignored, Message, NewMessage, Page, Since, Wish};
use crate::live::outbox::Ticket;
use crate::live::redis::Unavailable;
use crate::live::rooms::Room;
use crate::live::sessions::LiveSession;
use crate::live::too_many::TooMany;
use crate::security::nonces::OpenedNonce;

/// How often posting is attempted when the room changes at the same time.
const MAX_ATTEMPTS: usize = 3;

/// The outcome of sending a message.
#[derive(Debug)]
pub enum Sent {
    /// The message was posted, by this request or by an earlier one with the same form.
    Message(MessageId),
    /// The form was made for another room, or has already posted a different text. The page puts the text into a new
    /// form.
    StaleForm(Arc<Room>),
    /// The person or the room has sent too many messages.
    TooMany(Arc<Room>, TooMany),
    /// The room is in slow mode, and the person's last message is too recent.
    TooSoon(Arc<Room>, TooMany),
    /// The room was made public after the form was shown. The text was written for fewer people, so it is published
    /// only if its author sends it again.
    PublicNow(Arc<Room>),
    /// Only the owner and the moderators may post in this room.
    ReadOnly(Arc<Room>),
    /// The person is not a member of this public room.
    NotAMember(Arc<Room>),
    /// The room does not exist, or it is private and the person is not a member.
    Hidden,
    /// The session ended in the meantime.
    SignedOut,
}

/// Posts a message, if its author may post in the room, and wrote it for everyone who can read it there. `nonce` is the
/// form's, if it is one that was made for the room.
///
/// # Errors
/// When the database fails, or the room keeps changing.
pub async fn send(
    core: &Core,
    author: &LiveSession,
    room: RoomId,
    text: MessageText,
    audience: Audience,
    nonce: Option<OpenedNonce>,
) -> Result<Sent, Fault> {
    let room = match may_post(core, author, room, audience).await? {
        Ok(room) => room,
        Err(refused) => return Ok(refused),
    };
    let Some(nonce) = nonce.and_then(|nonce| nonce.id_for(author.user_id)) else {
        return Ok(Sent::StaleForm(room));
    };
    post(core, author, room, text, audience, nonce).await
}

/// Posts a message whose author was allowed to post when the room was read. If the log refuses the message
/// because the rights have changed since, reads the room and checks again.
async fn post(
    core: &Core,
    author: &LiveSession,
    mut room: Arc<Room>,
    text: MessageText,
    audience: Audience,
    nonce: NonceId,
) -> Result<Sent, Fault> {
    let mut wish = Wish {
        version: room.version,
        message: NewMessage {
            author: author.user_id,
            author_name: Arc::clone(&author.user_name),
            text,
            nonce,
            lifespan: room.lifespan,
            sent_at: core.clock.now(),
        },
        session: author.digest,
        session_ended: author.end_flag(),
        quota: core.limits.of_message(slow_mode_of(&room, author.user_id)),
    };
    for _ in 0..MAX_ATTEMPTS {
        let now = core.clock.site_time();
        let appended = core.messages.append(room.id, &wish, now).await?;
        core.limits.note_message(appended);
        match appended {
            Appended::New(message) | Appended::Repeated(message) => {
                let seen = core.presence.mark_seen(room.id, author.user_id, now);
                tokio::join!(
                    core.drafts.discard(author.user_id, room.id),
                    core.outbox.written(seen)
                );
                return Ok(Sent::Message(message));
            }
            Appended::NonceReused => return Ok(Sent::StaleForm(room)),
            Appended::SessionEnded => return Ok(Sent::SignedOut),
            Appended::TooMany(wait) => return Ok(Sent::TooMany(room, wait)),
            Appended::TooSoon(wait) => return Ok(Sent::TooSoon(room, wait)),
            Appended::Stale => {}
        }
        // Reading the room again also tells the log the room's version.
        core.rooms.forget(room.id);
        room = match may_post(core, author, room.id, audience).await? {
            Ok(room) => room,
            Err(refused) => return Ok(refused),
        };
        wish.version = room.version;
        wish.message.lifespan = room.lifespan;
        wish.quota = core.limits.of_message(slow_mode_of(&room, author.user_id));
    }
    Err(Fault::Contended)
}

/// Returns the slow mode that applies to a member of a room. The owner and the moderators do not wait.
fn slow_mode_of(room: &Room, member: UserId) -> SlowMode {
    match room.role_of(member) {
        Some(Role::Member) => room.slow_mode,
        _ => SlowMode::OFF,
    }
}

/// Returns the room if `author` may post there now what was written for `audience`, and the outcome of sending
/// otherwise.
async fn may_post(
    core: &Core,
    author: &LiveSession,
    room: RoomId,
    audience: Audience,
) -> Result<Result<Arc<Room>, Sent>, Fault> {
    Ok(match rooms::access(core, room, author.user_id).await? {
        Access::Member(room) if !room.may_post(author.user_id) => Err(Sent::ReadOnly(room)),
        Access::Member(room) if audience < room.audience() => Err(Sent::PublicNow(room)),
        Access::Member(room) => Ok(room),
        Access::Outside(room) => Err(Sent::NotAMember(room)),
        Access::Hidden => Err(Sent::Hidden),
    })
}

/// Keeps a text that was sent without a session as a draft of the person whom the form was made for.
///
/// Returns whether the text was kept. A form with an invalid nonce belongs to nobody, and a person whose account was
/// deleted cannot come back for a draft.
///
/// # Errors
/// When the database fails. The text is not kept then.
pub async fn keep_draft(
    core: &Core,
    room: RoomId,
    text: MessageText,
    nonce: &str,
) -> Result<bool, Fault> {
    let Some(author) = core.nonces.owner(nonce, room) else {
        return Ok(false);
    };
    if !accounts::exists(core, author).await? {
        return Ok(false);
    }
    let now = core.clock.site_time();
    core.drafts.keep(author, room, text, now).await?;
    // The account may have been deleted, and its drafts forgotten, since it was looked up.
    let exists = accounts::exists(core, author).await;
    if !matches!(exists, Ok(true)) {
        core.drafts.forget(author).await;
    }
    exists
}

/// Holds the text of the box for `author`, who loads the room again. Drops the draft if the box is empty.
///
/// # Errors
/// When the drafts cannot be reached. The text is not kept then.
pub async fn hold_draft(
    core: &Core,
    author: &LiveSession,
    room: RoomId,
    text: Option<MessageText>,
) -> Result<(), Unavailable> {
    match text {
        Some(text) => {
            let now = core.clock.site_time();
            core.drafts.keep(author.user_id, room, text, now).await
        }
        None => {
            core.drafts.discard(author.user_id, room).await;
            Ok(())
        }
    }
}

/// Returns the draft of `author` in `room`.
///
/// # Errors
/// When the drafts cannot be reached.
pub async fn draft(
    core: &Core,
    author: &LiveSession,
    room: RoomId,
) -> Result<Option<String>, Unavailable> {
    let now = core.clock.site_time();
    core.drafts.find(author.user_id, room, now).await
}

/// Returns the last message of `room` that `reader` has read, on any page until now.
///
/// # Errors
/// When the read marks cannot be reached.
pub async fn last_read(
    core: &Core,
    reader: &LiveSession,
    room: RoomId,
) -> Result<Option<MessageId>, Unavailable> {
    let now = core.clock.site_time();
    core.read_marks.refresh(reader.user_id, now).await?;
    Ok(core.read_marks.find(reader.user_id, room))
}

/// Marks `reader` as present in `room`, and the room's messages up to `latest` as read. Pages wait until the others
/// know it; a poll that has news does not.
pub fn mark_seen(
    core: &Core,
    reader: &LiveSession,
    room: RoomId,
    latest: Option<MessageId>,
) -> Ticket {
    let now = core.clock.site_time();
    let seen = core.presence.mark_seen(room, reader.user_id, now);
    let read = latest.map(|latest| core.read_marks.mark_read(reader.user_id, room, latest, now));
    seen.max(read.unwrap_or(Ticket::NONE))
}

/// The messages that a page of a room shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Those of people whom the reader does not ignore.
    Unignored,
    /// All, to be moderated.
    All,
}

/// Returns the newest messages of `room`, or those before `before`, if `reader` is a member.
///
/// Membership is checked after the last wait: a person who is removed meanwhile is shown nothing that was posted
/// after that.
///
/// # Errors
/// When the database fails.
pub async fn page(
    core: &Core,
    reader: &LiveSession,
    room: RoomId,
    before: Option<MessageId>,
    shown: Shown,
) -> Result<Option<Page>, Fault> {
    let settings = accounts::settings(core, reader.user_id).await?;
    let ignored = match shown {
        Shown::Unignored => &settings.ignored,
        Shown::All => &Ignored::NOBODY,
    };
    let now = core.clock.site_time();
    core.messages.catch_up(room).await?;
    let page = core.messages.page(room, before, ignored, now).await?;
    let access = rooms::access(core, room, reader.user_id).await?;
    let is_member = matches!(access, Access::Member(_)) && !reader.has_ended();
    Ok(is_member.then_some(page))
}

/// Counts the live messages of `room` after `seen` that others than `reader` wrote.
///
/// # Errors
/// When the database fails.
pub async fn new_count(
    core: &Core,
    reader: &LiveSession,
    room: RoomId,
    seen: Option<MessageId>,
) -> Result<usize, Fault> {
    let settings = accounts::settings(core, reader.user_id).await?;
    let now = core.clock.site_time();
    let count = core
        .messages
        .new_for(room, reader.user_id, &settings.ignored, seen, now);
    Ok(count.await?)
}

/// Returns a live message of `room`, if the member `user` may delete it: authors may delete their own
/// messages, and moderators those of people whom they may moderate.
///
/// # Errors
/// When Redis does not answer.
pub async fn deletable(
    core: &Core,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Result<Option<Arc<Message>>, Fault> {
    let now = core.clock.site_time();
    core.messages.catch_up(room.id).await?;
    let Some(message) = core.messages.find(room.id, message, now).await? else {
        return Ok(None);
    };
    let may_moderate = || {
        room.role_of(user)
            .is_some_and(|role| role.may_moderate(room.role_of(message.author)))
    };
    Ok((message.author == user || may_moderate()).then_some(message))
}

/// Deletes a live message of `room`, if the member `user` may delete it. Returns the deleted message, if
/// there was one.
///
/// # Errors
/// When Redis does not answer.
pub async fn delete(
    core: &Core,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Result<Option<Arc<Message>>, Fault> {
    let Some(deleted) = deletable(core, user, room, message).await? else {
        return Ok(None);
    };
    let now = core.clock.site_time();
    let was_there = core.messages.delete(room.id, message, now).await?;
    Ok(was_there.then_some(deleted))
}

/// The outcome of a poll.
#[derive(Debug)]
pub enum Polled {
    /// What happened.
    News(News),
    /// The session has too many waiting polls: what happened until now. The page polls again later, without waiting.
    TooManyPolls(News),
    /// The session has ended.
    SignedOut,
    /// The person is not a member of this public room.
    NotAMember,
    /// The room does not exist, or it is private and the person is not a member.
    Hidden,
}

/// What a poll tells.
#[derive(Debug)]
pub struct News {
    /// What happened in the room after the cursor, possibly nothing.
    pub since: Since,
    /// Who can read what is written in the room now.
    pub audience: Audience,
    /// The number of new messages in each other room of the reader where it may have changed since the cursor.
    pub elsewhere: Vec<(RoomId, usize)>,
}

/// Whether the page that polls is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The page is visible, so its reader counts as present and as having read its messages.
    Visible,
    /// The page is in a hidden tab.
    Hidden,
}

/// Whether a poll waits when nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitMode {
    /// The poll is answered at once.
    Never,
    /// The poll waits for the time in the server's settings.
    Wait,
}

/// Returns what happened in `room` after `cursor`, without the messages of people whom `reader` ignores now.
async fn since(
    core: &Core,
    reader: &LiveSession,
    room: RoomId,
    cursor: Option<Cursor>,
) -> Result<Since, Fault> {
    let settings = accounts::settings(core, reader.user_id).await?;
    let now = core.clock.site_time();
    let messages = &core.messages;
    Ok(messages.since(room, cursor, &settings.ignored, now).await?)
}

/// Returns the time before which messages of `room` were lost before their time was up, because the server has restarted;
/// `None` if none can have been, or if the time of all of them would be up by now.
#[must_use]
pub fn lost_before(core: &Core, room: &Room) -> Option<Timestamp> {
    let since = core.remembers_since()?;
    let is_within_lifespan = core.clock.now() < since.plus(room.lifespan.0);
    (room.created_at < since && is_within_lifespan).then_some(since)
}

/// Returns what happened in `room` after `cursor`, as soon as something happens.
///
/// The reader's access is checked each time before anything is returned: a reader who signs out, leaves or is
/// removed while waiting receives that outcome and no messages.
///
/// # Errors
/// When the database fails.
pub async fn poll(
    core: &Core,
    reader: &LiveSession,
    room: RoomId,
    mut cursor: Option<Cursor>,
    mut wait_mode: WaitMode,
    visibility: Visibility,
) -> Result<Polled, Fault> {
    let wait_is_over = tokio::time::sleep(core.config.poll_wait);
    tokio::pin!(wait_is_over);
    let mut permit = None;
    let mut told = Ticket::NONE;
    let told_at = cursor.map(Cursor::made_at);
    // Checked before the messages are read, because a stranger who joins a room that is made public meanwhile
    // must not receive its private messages.
    if let Err(refused) = may_read(core, reader, room).await? {
        return Ok(refused);
    }
    let asks_once = wait_mode == WaitMode::Never;
    let mut subscription = match wait_mode {
        WaitMode::Never => None,
        WaitMode::Wait => {
            // Read before the wait, so that a message that reaches all who wait at once reads nothing.
            rooms::hold_own(core, reader.user_id).await?;
            // Before the messages are read, so that no event between the two is missed.
            Some(core.messages.subscribe(room).await?)
        }
    };
    loop {
        // Without news of other processes, nobody waits, and no session is taken for granted. Nor is one that is not held
        // any more.
        let is_followed = core.check_link()? == LinkState::Up && sessions::is_held(core, reader);
        if !is_followed && !sessions::exists(core, reader.digest).await? {
            return Ok(Polled::SignedOut);
        }
        let since = since(core, reader, room, cursor).await?;
        let is_idle = matches!(since, Since::Nothing(_));
        let may_wait = is_idle && wait_mode == WaitMode::Wait && !core.stopping.is_cancelled();
        if may_wait && is_followed && permit.is_none() {
            permit = reader.poll_permit();
        }
        let is_answer = !may_wait || !is_followed || permit.is_none();
        let elsewhere = if is_answer {
            let told_at = told_at.filter(|_| !matches!(since, Since::Reset(_)));
            let (user, now) = (reader.user_id, since.cursor().made_at());
            rooms::changed_elsewhere(core, user, room, told_at, now).await?
        } else {
            Vec::new()
        };
        // Checked again after the last wait before an answer.
        let audience = match may_read(core, reader, room).await? {
            Ok(audience) => audience,
            Err(refused) => return Ok(refused),
        };
        if visibility == Visibility::Visible {
            // The page shows the messages of earlier answers. This answer may never reach the page, so its
            // messages do not count as read yet.
            let shown = cursor.and_then(|cursor| core.messages.followed_through(cursor));
            told = told.max(mark_seen(core, reader, room, shown));
        }
        if is_answer {
            if is_idle || asks_once {
                // Whoever is told that nothing happened may ask another process next. News that was waited for does not
                // wait for this.
                core.written(told).await?;
            }
            let news = News {
                since,
                audience,
                elsewhere,
            };
            return Ok(if may_wait {
                Polled::TooManyPolls(news)
            } else {
                Polled::News(news)
            });
        }
        cursor = Some(since.cursor());
        let Some(subscribed) = &mut subscription else {
            subscription = Some(core.messages.subscribe(room).await?);
            continue;
        };
        tokio::select! {
            // The channel closes when the room is deleted; the next iteration finds that out.
            changed = subscribed.changed() => if changed.is_err() { subscription = None },
            () = reader.cancelled() => {}
            () = core.database_link.lost() => {}
            () = &mut wait_is_over => wait_mode = WaitMode::Never,
        }
    }
}

/// Returns who can read what is written in `room` if `reader` may read it now, and the outcome of their poll otherwise.
async fn may_read(
    core: &Core,
    reader: &LiveSession,
    room: RoomId,
) -> Result<Result<Audience, Polled>, Fault> {
    if reader.has_ended() {
        return Ok(Err(Polled::SignedOut));
    }
    Ok(match rooms::access(core, room, reader.user_id).await? {
        Access::Member(room) => Ok(room.audience()),
        Access::Outside(_) => Err(Polled::NotAMember),
        Access::Hidden => Err(Polled::Hidden),
    })
}
