//! Sending and following messages: who may, and what becomes of it.

use std::sync::Arc;

use super::Fault;
use super::rooms::{self, Access, Room};
use super::sessions::LiveSession;
use crate::app::AppState;
use crate::domain::{MessageId, MessageText, Role, RoomId, UserId};
use crate::limits::TooMany;
use crate::messages::{Cursor, Draft, Message, NonceId, Posted, Since};

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
    app: &AppState,
    author: &LiveSession,
    room: RoomId,
    text: MessageText,
    nonce: &str,
) -> Result<Sent, Fault> {
    let room = match may_write(app, author, room).await? {
        Ok(room) => room,
        Err(refused) => return Ok(refused),
    };
    let Some(nonce) = app.nonces.read(nonce, author.user_id, room.id) else {
        return Ok(Sent::StaleForm(room));
    };
    let now = app.clock.now();
    // Sending a form again is free: it sends nothing.
    if !app.messages.has_used(room.id, nonce, now) {
        if let Err(too_many) = app.limits.message(author.user_id, room.id) {
            return Ok(Sent::TooMany(room, too_many));
        }
        let is_slow = room.role_of(author.user_id) == Some(Role::Member);
        if is_slow
            && let Err(wait) = app
                .limits
                .slow_mode(author.user_id, room.id, room.slow_mode)
        {
            return Ok(Sent::TooSoon(room, wait));
        }
    }
    post(app, author, room, text, nonce).await
}

/// Puts in a message whose author may write in `room`, or might until a moment ago.
async fn post(
    app: &AppState,
    author: &LiveSession,
    mut room: Arc<Room>,
    text: MessageText,
    nonce: NonceId,
) -> Result<Sent, Fault> {
    let mut draft = Draft {
        author: author.user_id,
        author_name: Arc::clone(&author.user_name),
        text,
        nonce,
        lifespan: room.lifespan,
    };
    loop {
        let now = app.clock.now();
        let is_allowed = || app.rooms.holds(room.id, &room) && !is_over(app, author);
        let posted = app.messages.post_if(is_allowed, room.id, &draft, now)?;
        let message = match posted {
            Some(Posted::New(message) | Posted::Before(message)) => message,
            Some(Posted::OtherText) => return Ok(Sent::StaleForm(room)),
            None if is_over(app, author) => return Ok(Sent::SignedOut),
            None => {
                // The room has changed since it was looked at.
                room = match may_write(app, author, room.id).await? {
                    Ok(room) => room,
                    Err(refused) => return Ok(refused),
                };
                draft.lifespan = room.lifespan;
                continue;
            }
        };
        app.held_messages.drop_sent(author.user_id, room.id);
        app.presence.note(room.id, author.user_id, now);
        return Ok(Sent::Message(message));
    }
}

/// The room, if `author` may write there now; else what becomes of the message.
async fn may_write(
    app: &AppState,
    author: &LiveSession,
    room: RoomId,
) -> Result<Result<Arc<Room>, Sent>, Fault> {
    Ok(match rooms::access(app, room, author.user_id).await? {
        Access::Member(room) if room.may_post(author.user_id) => Ok(room),
        Access::Member(room) => Err(Sent::ReadOnly(room)),
        Access::Outside(room) => Err(Sent::NotAMember(room)),
        Access::Hidden => Err(Sent::Hidden),
    })
}

/// Whether the session has ended, and not because the server is stopping.
fn is_over(app: &AppState, session: &LiveSession) -> bool {
    session.has_ended() && !app.stopping.is_cancelled()
}

/// Holds a text that was sent when nobody was signed in any more, for whom the form was made for.
/// Says whether there is such a person.
pub fn hold(app: &AppState, room: RoomId, text: &str, nonce: &str) -> bool {
    let Some(author) = app.nonces.owner(nonce, room) else {
        return false;
    };
    app.held_messages
        .hold(author, room, text.to_owned(), app.clock.now());
    true
}

/// What is held of `author` in `room`, of the time when they were signed out.
#[must_use]
pub fn held(app: &AppState, author: &LiveSession, room: RoomId) -> Option<String> {
    app.held_messages
        .find(author.user_id, room, app.clock.now())
}

/// Notes that `reader` looks at `room`, and has been shown its messages up to `latest`.
pub fn note_look(app: &AppState, reader: &LiveSession, room: RoomId, latest: Option<MessageId>) {
    let now = app.clock.now();
    app.presence.note(room, reader.user_id, now);
    if let Some(latest) = latest {
        app.read_marks.note(reader.user_id, room, latest, now);
    }
}

/// A live message of `room` that `user`, who is in it, may delete: one of their own, or of somebody whom
/// they may moderate.
#[must_use]
pub fn deletable(
    app: &AppState,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Option<Arc<Message>> {
    let message = app.messages.find(room.id, message, app.clock.now())?;
    let may_moderate = || {
        room.role_of(user)
            .is_some_and(|role| role.may_moderate(room.role_of(message.author)))
    };
    (message.author == user || may_moderate()).then_some(message)
}

/// Deletes a live message of `room` that `user`, who is in it, may delete. Gives it, if there was one.
pub fn delete(
    app: &AppState,
    user: UserId,
    room: &Room,
    message: MessageId,
) -> Option<Arc<Message>> {
    let deleted = deletable(app, user, room, message)?;
    let is_first = app.messages.delete(room.id, message, app.clock.now());
    is_first.then_some(deleted)
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

/// Whether somebody looks at the page that polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// The page is shown: its reader is here, and reads what comes.
    Shown,
    /// The page is in a hidden tab.
    Hidden,
}

/// Whether a poll waits when nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is answered at once.
    None,
    /// It waits as long as the server is set to.
    Waits,
}

/// What happened in `room` after `cursor`, as soon as something has.
///
/// The reader's right to be there is looked at again each time before anything is given out: who
/// signs out, leaves or is taken out while waiting is told so, and nothing else.
///
/// # Errors
/// When the database fails.
pub async fn poll(
    app: &AppState,
    reader: &LiveSession,
    room: RoomId,
    mut cursor: Option<Cursor>,
    patience: Patience,
    attention: Attention,
) -> Result<Polled, Fault> {
    let wait_is_over = tokio::time::sleep(app.config.poll_wait);
    tokio::pin!(wait_is_over);
    let mut events = None;
    let mut place = None;
    let mut patience = patience;
    loop {
        if is_over(app, reader) {
            return Ok(Polled::SignedOut);
        }
        match rooms::access(app, room, reader.user_id).await? {
            Access::Member(_) => {}
            Access::Outside(_) => return Ok(Polled::NotAMember),
            Access::Hidden => return Ok(Polled::Hidden),
        }
        if attention == Attention::Shown {
            // What the page was given before, it shows. What this answer brings may never arrive.
            let shown = cursor.and_then(|cursor| app.messages.followed_to(cursor));
            note_look(app, reader, room, shown);
        }
        let since = app.messages.since(room, cursor, app.clock.now());
        let Since::Nothing(cursor_now) = since else {
            return Ok(Polled::Since(since));
        };
        if patience == Patience::None || app.stopping.is_cancelled() {
            return Ok(Polled::Since(since));
        }
        cursor = Some(cursor_now);
        if place.is_none() {
            place = reader.waiting_place();
            if place.is_none() {
                return Ok(Polled::NoPlaceToWait(cursor_now));
            }
        }
        let Some(watched) = &mut events else {
            // Looks again before waiting: something may have come before the watch began.
            events = Some(app.messages.watch(room));
            continue;
        };
        tokio::select! {
            // An error is the room's end, which the next look finds out.
            changed = watched.changed() => if changed.is_err() { events = None },
            () = reader.ended() => {}
            () = &mut wait_is_over => patience = Patience::None,
        }
    }
}
