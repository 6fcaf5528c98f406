//! A room as its members see it: shown by the room page, and again by a message that was refused.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;

use crate::domain::{MessageId, Role, SiteTime, UserId};
use crate::live::messages::Message;
use crate::live::rooms::{Member, Room};
use crate::web::forms::Problems;
use crate::web::layout::{Here, Layout};
use crate::web::message_html;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// How many members the room page names; the members page names all.
const MEMBERS_SHOWN: usize = 20;

/// After how many minutes the reading view can be set to reload itself.
pub const RELOADS: [u64; 3] = [1, 2, 5];

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
    /// How many of the messages are new to the reader; none where that was not asked.
    new: Option<usize>,
    /// How many have the room open.
    here: usize,
    /// Makes the address of the link to check for new messages another one each time: browsers ask
    /// the server for nothing when a link leads to a place on the page they are at.
    now: SiteTime,
    cursor: String,
    nonce: String,
    announcements: &'static str,
    text: &'a str,
    opening: Opening,
    problems: Problems,
}

/// Messages under one heading.
struct Stretch {
    day: Option<String>,
    is_new: bool,
    messages: Vec<Arc<Message>>,
}

/// How the reader comes to the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Just so.
    Plain,
    /// By the link to check for new messages.
    Check,
    /// To read, on a page that reloads itself after so many minutes.
    Reload(u64),
    /// Having made the room.
    Created,
    /// Having joined it.
    Joined,
    /// Having sent a message.
    Sent,
    /// Having deleted a message.
    Deleted,
    /// To delete messages of others.
    Moderate {
        /// Having deleted one.
        has_deleted: bool,
    },
    /// Having signed in again, to a message that was not sent.
    Held,
}

impl Opening {
    /// What was done, in words, for the title and the page.
    fn done(self) -> Option<&'static str> {
        match self {
            Self::Plain | Self::Check | Self::Reload(_) | Self::Moderate { has_deleted: false } => {
                None
            }
            Self::Created => Some("Room created"),
            Self::Joined => Some("You have joined the room"),
            Self::Sent => Some("Sent"),
            Self::Deleted | Self::Moderate { has_deleted: true } => Some("Message deleted"),
            Self::Held => Some("Your message has not been sent yet"),
        }
    }
}

/// Which messages of a room are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest, those after this one marked as new.
    Newest {
        /// The latest that the reader has seen. None: none of them.
        seen: Option<MessageId>,
    },
    /// Those before this one.
    Before(MessageId),
}

impl<'a> RoomPage<'a> {
    /// The messages of `range`.
    pub async fn new(
        state: &'a WebState,
        user: &'a CurrentUser,
        room: &'a Room,
        range: Range,
    ) -> Self {
        let now = state.core.clock.site_time();
        let (before, seen) = match range {
            Range::Newest { seen } => (None, Some(seen)),
            Range::Before(before) => (Some(before), None),
        };
        let page = state.core.messages.page(room.id, before, now).await;
        let (first, last) = (page.messages.first(), page.messages.last());
        let is_new = |message: &Message| {
            message.author != user.user_id
                && seen.is_some_and(|seen| seen.is_none_or(|seen| message.id > seen))
        };
        let new = page
            .messages
            .iter()
            .filter(|message| is_new(message))
            .count();
        Self {
            layout: Layout::new(state, Some(user), Here::Elsewhere),
            room,
            reader: user.user_id,
            older: first.map(|message| message.id).filter(|_| page.has_older),
            is_old: before.is_some(),
            latest: last.map(|message| message.id),
            new: seen.map(|_| new),
            here: state.core.presence.count(room.id, now),
            now,
            cursor: page.cursor.to_string(),
            stretches: stretches(page.messages, is_new),
            nonce: state.core.nonces.make(user.user_id, room.id),
            announcements: "each",
            text: "",
            opening: Opening::Plain,
            problems: Problems::default(),
        }
    }

    /// Says how the reader comes here.
    #[must_use]
    pub fn opened(self, opening: Opening, announcements: &'static str) -> Self {
        Self {
            opening,
            announcements,
            ..self
        }
    }

    /// Gives a message that was not sent back to its author.
    #[must_use]
    pub fn with_text(self, text: &'a str, problems: Problems) -> Self {
        Self {
            text,
            problems,
            ..self
        }
    }

    /// The latest message that is shown.
    #[must_use]
    pub fn latest(&self) -> Option<MessageId> {
        self.latest
    }

    /// Whether the script keeps the page up to date.
    fn is_followed(&self) -> bool {
        !self.is_old && self.reload().is_none() && !self.is_moderating()
    }

    /// Whether there is a box to write in.
    fn has_box(&self) -> bool {
        self.reload().is_none() && !self.is_moderating() && self.room.may_post(self.reader)
    }

    fn is_moderating(&self) -> bool {
        matches!(self.opening, Opening::Moderate { .. })
    }

    fn is_moderator(&self) -> bool {
        self.room.role_of(self.reader) >= Some(Role::Moderator)
    }

    fn reload(&self) -> Option<u64> {
        match self.opening {
            Opening::Reload(minutes) => Some(minutes),
            _ => None,
        }
    }

    /// What the title says before the room's name.
    fn title_lead(&self) -> Option<String> {
        if let Some(done) = self.opening.done() {
            return Some(done.to_owned());
        }
        match (self.new?, self.opening) {
            (0, Opening::Check) => Some("No new messages".to_owned()),
            (0, _) => None,
            (new, _) => Some(format!("{new} new")),
        }
    }

    /// What the box's description says after a message was sent.
    fn sent_words(&self) -> Option<String> {
        if self.opening != Opening::Sent {
            return None;
        }
        Some(match self.new? {
            0 => "Sent.".to_owned(),
            1 => "Sent. 1 new message above.".to_owned(),
            new => format!("Sent. {new} new messages above."),
        })
    }

    /// How often the reading view reloads itself, in words.
    fn every(&self, minutes: &u64) -> String {
        if *minutes == 1 {
            "every minute".to_owned()
        } else {
            format!("every {minutes} minutes")
        }
    }

    fn html_of<'m>(&self, message: &'m Message) -> Result<Cow<'m, str>, askama::Error> {
        let role = |user| self.room.role_of(user);
        let may_delete =
            || role(self.reader).is_some_and(|reader| reader.may_moderate(role(message.author)));
        if self.is_moderating() && message.author != self.reader && may_delete() {
            Ok(message_html::to_moderate(message)?.into())
        } else {
            Ok(message.html_for(self.reader).into())
        }
    }

    fn members_shown(&self) -> &[Member] {
        self.room
            .members
            .get(..MEMBERS_SHOWN)
            .unwrap_or(&self.room.members)
    }
}

/// Puts messages under the days they were sent on, and from the first new one on under a heading of
/// their own.
fn stretches(messages: Vec<Arc<Message>>, is_new: impl Fn(&Message) -> bool) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut day_before = None;
    let mut is_marked = false;
    for message in messages {
        let day = message.sent_at.day_number();
        let begins_day = day_before.replace(day) != Some(day);
        let begins_new = !is_marked && is_new(&message);
        is_marked |= begins_new;
        match stretches.last_mut().filter(|_| !begins_day && !begins_new) {
            Some(stretch) => stretch.messages.push(message),
            None => stretches.push(Stretch {
                day: begins_day.then(|| message.sent_at.day()),
                is_new: begins_new,
                messages: vec![message],
            }),
        }
    }
    stretches
}
