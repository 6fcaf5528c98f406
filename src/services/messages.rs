//! Sending, reading and following messages: who may, and what becomes of it.

use std::sync::Arc;

use super::rooms::{self, Access};
use crate::core::{Core, Fault};
use crate::domain::{MessageId, MessageText, NonceId, Role, RoomId, UserId};
use crate::live::messages::{Appended, Cursor, Message, NewMessage, Since, Subscription, Wish};
use crate::live::rate_limits::TooMany;
use crate::live::rooms::Room;
use crate::live::sessions::LiveSession;

/// How often a message is tried whose room changes while it is sent.
const TRIES: usize = 3;

/// What became of a message.
#[derive(Debug)]
pub enum Sent {
    /// It is in the room, by this sending or an earlier one of the same form.
    Message(MessageId),
    /// The form was made for somebody or somewhere else, or has sent another text before: its text
    /// goes into a new one.
    StaleForm(Arc<Room>),
    /// It is one too many for now.
    TooMany(Arc<Room>, TooMany),
    /// The room is in slow mode, and their last message was not long ago.
    TooSoon(Arc<Room>, TooMany),
    /// Only the owner and the moderators write in this room.
    ReadOnly(Arc<Room>),
    /// They are not in this public room.
    NotAMember(Arc<Room>),
    /// There is no such room, or they must not know that there is.
    Hidden,
    /// The session has ended meanwhile.
    SignedOut,
}

/// Puts a message into a room, if its author may write there.
///
/// # Errors
/// When the database or the rendering fails.
pub async fn send(
    core: &Core,
    author: &LiveSession,
    room: RoomId,
    text: MessageText,
    nonce: &str,
) -> Result<Sent, Fault> {
    let room = match may_post(core, author, room).await? {
        Ok(room) => room,
        Err(refused) => return Ok(refused),
    };
    let Some(nonce) = core.nonces.read(nonce, author.user_id, room.id) else {
        return Ok(Sent::StaleForm(room));
    };
    let now = core.clock.site_time();
    // Sending a form again is free: nothing is posted.
    if !core.messages.has_used(room.id, nonce, now).await {
        if let Err(too_many) = core.limits.message(author.user_id, room.id) {
            return Ok(Sent::TooMany(room, too_many));
        }
        let is_slow = room.role_of(author.user_id) == Some(Role::Member);
        if is_slow
            && let Err(wait) = core
                .limits
                .slow_mode(author.user_id, room.id, room.slow_mode)
        {
            return Ok(Sent::TooSoon(room, wait));
        }
    }
    post(core, author, room, text, nonce).await
}

/// Posts a message whose author may post in `room`, or could a moment ago. The log refuses it if somebody has
/// changed the rights since; then they are looked at again.
async fn post(
    core: &Core,
    author: &LiveSession,
    mut room: Arc<Room>,
    text: MessageText,
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
        session_ended: author.end_flag(),
    };
    for _ in 0..TRIES {
        let now = core.clock.site_time();
        match core.messages.append(room.id, &wish, now).await {
            Appended::New(message) | Appended::Repeated(message) => {
                core.drafts.discard(author.user_id, room.id);
                core.presence.mark_seen(room.id, author.user_id, now);
                return Ok(Sent::Message(message));
            }
            Appended::NonceReused => return Ok(Sent::StaleForm(room)),
            Appended::SessionEnded => return Ok(Sent::SignedOut),
            Appended::Stale => {}
        }
        // Reading the room tells the log its version.
        core.rooms.forget(room.id);
        room = match may_post(core, author, room.id).await? {
            Ok(room) => room,
            Err(refused) => return Ok(refused),
        };
        wish.version = room.version;
        wish.message.lifespan = room.lifespan;
    }
    Err(Fault::Contended)
}

/// Returns the room, if `author` may post there now; else what becomes of the message.
async fn may_post(
    core: &Core,
    author: &LiveSession,
    room: RoomId,
) -> Result<Result<Arc<Room>, Sent>, Fault> {
    Ok(match rooms::access(core, room, author.user_id).await? {
        Access::Member(room) if room.may_post(author.user_id) => Ok(room),
        Access::Member(room) => Err(Sent::ReadOnly(room)),
        Access::Outside(room) => Err(Sent::NotAMember(room)),
        Access::Hidden => Err(Sent::Hidden),
    })
}

/// Keeps a text that was sent when nobody was signed in any more, as a draft of the person for whom the form
/// was made. Returns whether there is such a person.
pub fn keep_draft(core: &Core, room: RoomId, text: &str, nonce: &str) -> bool {
    let Some(author) = core.nonces.owner(nonce, room) else {
        return false;
    };
    let now = core.clock.site_time();
    core.drafts.keep(author, room, text.to_owned(), now);
    true
}

/// Returns the draft of `author` in `room`.
#[must_use]
pub fn draft(core: &Core, author: &LiveSession, room: RoomId) -> Option<String> {
    let now = core.clock.site_time();
    core.drafts.find(author.user_id, room, now)
}

/// Marks `reader` as present in `room`, and its messages up to `latest` as read by them.
pub fn mark_seen(core: &Core, reader: &LiveSession, room: RoomId, latest: Option<MessageId>) {
    let now = core.clock.site_time();
    core.presence.mark_seen(room, reader.user_id, now);
    if let Some(latest) = latest {
        core.read_marks.mark_read(reader.user_id, room, latest, now);
    }
}

/// Returns a live message of `room` that `user`, who is a member, may delete: one of their own, or of somebody
/// whom they may moderate.
pub async fn deletable(
    core: &Core,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Option<Arc<Message>> {
    let now = core.clock.site_time();
    let message = core.messages.find(room.id, message, now).await?;
    let may_moderate = || {
        room.role_of(user)
            .is_some_and(|role| role.may_moderate(room.role_of(message.author)))
    };
    (message.author == user || may_moderate()).then_some(message)
}

/// Deletes a live message of `room` that `user`, who is a member, may delete. Returns the deleted message, if
/// there was one.
pub async fn delete(
    core: &Core,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Option<Arc<Message>> {
    let deleted = deletable(core, user, room, message).await?;
    let now = core.clock.site_time();
    let was_there = core.messages.delete(room.id, message, now).await;
    was_there.then_some(deleted)
}

/// What a poll is answered.
#[derive(Debug)]
pub enum Polled {
    /// What happened in the room after the cursor, or nothing.
    Since(Since),
    /// The session has as many waiting polls as it may: ask again later, without waiting.
    NoPlaceToWait(Cursor),
    /// The session has ended.
    SignedOut,
    /// They are not in this public room.
    NotAMember,
    /// There is no such room, or they must not know that there is.
    Hidden,
}

/// Whether the page that polls is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Its reader is here, and reads what comes.
    Visible,
    /// It is in a hidden tab.
    Hidden,
}

/// Whether a poll waits when nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitMode {
    /// It is answered at once.
    Never,
    /// It waits as long as the server is set to.
    Wait,
}

/// Returns what happened in `room` after `cursor`, as soon as something has.
///
/// The reader's right to be there is checked again each time before anything is returned: a reader who signs
/// out, leaves or is removed while waiting learns that, and nothing else.
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
    let mut subscription: Option<Subscription> = None;
    let mut place = None;
    loop {
        if reader.has_ended() {
            return Ok(Polled::SignedOut);
        }
        match rooms::access(core, room, reader.user_id).await? {
            Access::Member(_) => {}
            Access::Outside(_) => return Ok(Polled::NotAMember),
            Access::Hidden => return Ok(Polled::Hidden),
        }
        if visibility == Visibility::Visible {
            // The page shows what it was given before. What this answer brings may never arrive.
            let shown = cursor.and_then(|cursor| core.messages.followed_through(cursor));
            mark_seen(core, reader, room, shown);
        }
        let now = core.clock.site_time();
        let since = core.messages.since(room, cursor, now).await;
        let Since::Nothing(cursor_now) = since else {
            return Ok(Polled::Since(since));
        };
        if wait_mode == WaitMode::Never || core.stopping.is_cancelled() {
            return Ok(Polled::Since(since));
        }
        cursor = Some(cursor_now);
        if place.is_none() {
            place = reader.waiting_place();
            if place.is_none() {
                return Ok(Polled::NoPlaceToWait(cursor_now));
            }
        }
        let Some(subscribed) = &mut subscription else {
            // Looks again before waiting: something may have come before the subscription.
            subscription = Some(core.messages.subscribe(room).await);
            continue;
        };
        tokio::select! {
            // Closed: the room was deleted, which the next look finds out.
            changed = subscribed.changed() => if changed.is_err() { subscription = None },
            () = reader.cancelled() => {}
            () = &mut wait_is_over => wait_mode = WaitMode::Never,
        }
    }
}
