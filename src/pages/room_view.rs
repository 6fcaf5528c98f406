//! A room as its members see it: shown by the room page, and again by a message that was refused.

use std::sync::Arc;

use askama::Template;

use super::{Here, Layout, Problems};
use crate::app::AppState;
use crate::domain::{MessageId, Timestamp, UserId};
use crate::messages::Message;
use crate::services::rooms::{Member, Room};
use crate::session::CurrentUser;

/// How many members the room page names; the members page names all.
const MEMBERS_SHOWN: usize = 20;

/// The room page.
#[derive(Template)]
#[template(path = "room.html")]
pub struct RoomPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    reader: UserId,
    stretches: Vec<Stretch>,
    /// Where the link to older messages leads.
    older: Option<MessageId>,
    /// Whether these are older messages, rather than the newest.
    is_old: bool,
    latest: Option<MessageId>,
    /// Makes the address of the link to check for new messages another one each time: browsers ask
    /// the server for nothing when a link leads to a place on the page they are at.
    now: Timestamp,
    cursor: String,
    nonce: String,
    text: &'a str,
    done: Option<Done>,
    problems: Problems,
}

/// Messages under one heading.
struct Stretch {
    day: Option<String>,
    is_new: bool,
    messages: Vec<Arc<Message>>,
}

/// What the person did to get here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Made the room.
    Created,
    /// Joined it.
    Joined,
    /// Sent a message.
    Sent,
}

impl Done {
    fn words(self) -> &'static str {
        match self {
            Self::Created => "Room created",
            Self::Joined => "You have joined",
            Self::Sent => "Sent",
        }
    }
}

impl<'a> RoomPage<'a> {
    /// The room's newest messages, or those before `before`; those after `after` are marked as new.
    pub fn new(
        app: &'a AppState,
        user: &'a CurrentUser,
        room: &'a Room,
        before: Option<MessageId>,
        after: Option<MessageId>,
    ) -> Self {
        let now = app.clock.now();
        let page = app.messages.page(room.id, before, now);
        let (first, last) = (page.messages.first(), page.messages.last());
        Self {
            layout: Layout::new(app, Some(user), Here::Elsewhere),
            room,
            reader: user.user_id,
            older: first.map(|message| message.id).filter(|_| page.has_older),
            is_old: before.is_some(),
            latest: last.map(|message| message.id),
            now,
            cursor: page.cursor.to_string(),
            stretches: stretches(page.messages, after),
            nonce: app.nonces.make(user.user_id, room.id),
            text: "",
            done: None,
            problems: Problems::default(),
        }
    }

    /// Says what led here.
    #[must_use]
    pub fn with_done(self, done: Option<Done>) -> Self {
        Self { done, ..self }
    }

    /// Gives a message that was refused back to its author.
    #[must_use]
    pub fn with_refused(self, text: &'a str, problems: Problems) -> Self {
        Self {
            text,
            problems,
            ..self
        }
    }

    fn html_of<'m>(&self, message: &'m Message) -> &'m str {
        message.html_for(self.reader)
    }

    fn members_shown(&self) -> &[Member] {
        self.room
            .members
            .get(..MEMBERS_SHOWN)
            .unwrap_or(&self.room.members)
    }
}

/// Puts messages under the days they were sent on, and those after `after` under a heading of their own.
fn stretches(messages: Vec<Arc<Message>>, after: Option<MessageId>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut day_before = None;
    let mut is_marked = false;
    for message in messages {
        let day = message.sent_at.day();
        let day = (day_before.as_ref() != Some(&day)).then_some(day);
        let is_new = !is_marked && after.is_some_and(|after| message.id > after);
        is_marked |= is_new;
        if day.is_some() {
            day_before.clone_from(&day);
        }
        match stretches.last_mut().filter(|_| day.is_none() && !is_new) {
            Some(stretch) => stretch.messages.push(message),
            None => stretches.push(Stretch {
                day,
                is_new,
                messages: vec![message],
            }),
        }
    }
    stretches
}
