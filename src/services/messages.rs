//! Sending and following messages: who may, and what becomes of it.

use std::sync::Arc;

use super::Fault;
use super::rooms::{self, Access, Room};
use super::sessions::LiveSession;
use crate::app::AppState;
use crate::domain::{MessageId, MessageText, RoomId};
use crate::messages::{Cursor, Draft, Posted, Since};

/// What became of a message.
#[derive(Debug)]
pub enum Sent {
    /// It is in the room, by this sending or an earlier one of the same form.
    Message(MessageId),
    /// The form was not made for this person and room: its text goes into a new one.
    StaleForm(Arc<Room>),
    /// They are not in this public room.
    NotAMember(Arc<Room>),
    /// There is no such room, or they must not know that there is.
    Hidden,
}

/// Puts a message into a room, if its author is in it.
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
    let room = match rooms::access(app, room, author.user_id).await? {
        Access::Member(room) => room,
        Access::Outside(room) => return Ok(Sent::NotAMember(room)),
        Access::Hidden => return Ok(Sent::Hidden),
    };
    let Some(nonce) = app.nonces.read(nonce, author.user_id, room.id) else {
        return Ok(Sent::StaleForm(room));
    };
    let draft = Draft {
        author: author.user_id,
        author_name: Arc::clone(&author.user_name),
        text,
        nonce,
        lifespan: room.lifespan,
    };
    let posted: Posted = app.messages.post(room.id, &draft, app.clock.now())?;
    Ok(Sent::Message(posted.message()))
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
) -> Result<Polled, Fault> {
    let wait_is_over = tokio::time::sleep(app.config.poll_wait);
    tokio::pin!(wait_is_over);
    let mut events = None;
    let mut place = None;
    let mut patience = patience;
    loop {
        if reader.has_ended() && !app.stopping.is_cancelled() {
            return Ok(Polled::SignedOut);
        }
        match rooms::access(app, room, reader.user_id).await? {
            Access::Member(_) => {}
            Access::Outside(_) => return Ok(Polled::NotAMember),
            Access::Hidden => return Ok(Polled::Hidden),
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
