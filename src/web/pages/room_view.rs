//! The view of a room for its members, used by the room page and after a refused message.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use foldhash::HashSet;

use crate::domain::{
    Audience, InviteLifetime, InviteUses, MessageId, Role, SiteTime, Timestamp, UserId,
};
use crate::live::messages::Message;
use crate::live::rooms::{Member, Room};
use crate::services::accounts;
use crate::services::messages::{self, Shown};
use crate::services::reports::{self, OpenReport};
use crate::services::rooms::{self, Beside, RoomBeside};
use crate::urls::NOW;
use crate::web::error::AppError;
use crate::web::forms::Problems;
use crate::web::layout::{Layout, NavPage};
use crate::web::message_html;
use crate::web::session::CurrentUser;
use crate::web::state::WebState;

/// How many members the room page lists. The members page lists all.
const MEMBERS_SHOWN: usize = 12;

/// The reload intervals that the reading view offers, in minutes and in words.
pub const RELOADS: [(u64, &str); 3] = [
    (1, "every minute"),
    (2, "every 2 minutes"),
    (5, "every 5 minutes"),
];

/// The room page.
#[derive(Template)]
#[template(path = "room.html")]
pub struct RoomPage<'a> {
    layout: Layout<'a>,
    room: &'a Room,
    reader: UserId,
    /// The digest of the session's key, in hexadecimal.
    session: String,
    groups: Vec<MessageGroup>,
    /// The message that the link to older messages starts before.
    older: Option<MessageId>,
    /// The time before which messages were lost too early, if the page begins there.
    lost_before: Option<Timestamp>,
    /// Whether the page shows older messages instead of the newest.
    is_old: bool,
    latest: Option<MessageId>,
    /// The number of messages that are new to the reader. `None` on a page of older messages.
    new: Option<usize>,
    /// The number of new messages that are older than this page.
    new_before: usize,
    /// The number of members who have the room open.
    here_count: usize,
    /// The members that the page lists, and whether they have the room open: first those who do, then the
    /// longest-standing.
    members: Vec<(&'a Member, bool)>,
    /// The reader's rooms that the page lists, and the number of new messages in the others.
    rooms: Beside,
    /// The time, which makes the address of the link "Check for new messages" unique: browsers send no request for
    /// a link that differs from the current address only in its fragment.
    now: SiteTime,
    cursor: String,
    nonce: String,
    announcements: &'static str,
    /// The open reports; empty unless the reader is a moderator.
    reports: Vec<OpenReport>,
    text: &'a str,
    /// For whom the text in the form is written.
    audience: Audience,
    arrival: Arrival,
    /// What the owner of a new room is offered.
    invitation: Option<Invitation>,
    problems: Problems,
}

/// What the owner of a new room needs to invite people.
pub struct Invitation {
    /// The absolute URL of the room, to share if the room is public.
    pub address: String,
    /// The nonce of the form that makes an invite link if the room is private.
    pub nonce: String,
}

/// The messages under one heading.
struct MessageGroup {
    day: Option<String>,
    is_new: bool,
    messages: Vec<Arc<Message>>,
}

/// How the reader arrived at the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By an ordinary link.
    Plain,
    /// By the button "Check for new messages", or by the link if the page has no box.
    Check,
    /// In the reading view, which reloads itself at one of [`RELOADS`].
    Reload((u64, &'static str)),
    /// After creating the room.
    Created,
    /// After joining the room.
    Joined,
    /// After sending a message.
    Sent,
    /// After deleting a message.
    Deleted,
    /// After reporting a message.
    Reported,
    /// In the moderation view, to delete other people's messages.
    Moderate {
        /// What the reader has just done.
        done: Option<&'static str>,
    },
    /// To report a message.
    Report,
    /// After signing in again, with the draft of a message that was not sent.
    Draft,
}

impl Arrival {
    /// Returns what was just done, for the title and the page.
    fn done(self) -> Option<&'static str> {
        match self {
            Self::Plain | Self::Check | Self::Reload(_) | Self::Report => None,
            Self::Moderate { done } => done,
            Self::Created => Some("Room created"),
            Self::Joined => Some("You have joined the room"),
            Self::Sent => Some("Sent"),
            Self::Deleted => Some("Message deleted"),
            Self::Reported => Some("Report sent"),
            Self::Draft => Some("Your message has not been sent yet"),
        }
    }
}

/// The messages of a room to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest messages, with those after `seen` marked as new.
    Newest {
        /// The latest message that the reader has seen. `None`: the reader has seen none.
        seen: Option<MessageId>,
    },
    /// The messages before this one.
    Before(MessageId),
}

impl<'a> RoomPage<'a> {
    /// Creates a page with the messages of `range`, for a reader who arrived as `arrival` says.
    ///
    /// # Errors
    /// When the reader is no longer a member, or the database fails.
    pub async fn new(
        state: &'a WebState,
        user: &'a CurrentUser,
        room: &'a Room,
        range: Range,
        arrival: Arrival,
    ) -> Result<Self, AppError> {
        let now = state.core.clock.site_time();
        let (before, seen) = match range {
            Range::Newest { seen } => (None, Some(seen)),
            Range::Before(before) => (Some(before), None),
        };
        let settings = accounts::settings(&state.core, user.user_id).await?;
        let shown = match arrival {
            Arrival::Moderate { .. } => Shown::All,
            _ => Shown::Unignored,
        };
        let page = messages::page(&state.core, user, room.id, before, shown).await?;
        let page = page.ok_or(AppError::NoSuchRoom)?;
        // After the cursor was made: the first poll tells what changes from then on.
        let rooms = rooms::beside(&state.core, user.user_id, room.id).await?;
        let reports = if room.role_of(user.user_id) >= Some(Role::Moderator) {
            reports::open(&state.core, user.user_id, room.id).await?
        } else {
            Vec::new()
        };
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
        let new_before = match seen {
            Some(seen) if page.has_older && new > 0 => {
                let all = messages::new_count(&state.core, user, room.id, seen).await?;
                all.saturating_sub(new)
            }
            _ => 0,
        };
        let here = state.core.presence.people(room.id, now).await?;
        let (members, here_count) = members_to_show(room, &here);
        Ok(Self {
            layout: Layout::new(state, Some(user), NavPage::Other),
            room,
            reader: user.user_id,
            session: user.digest.to_hex(),
            older: first.map(|message| message.id).filter(|_| page.has_older),
            lost_before: messages::lost_before(&state.core, room).filter(|_| !page.has_older),
            is_old: before.is_some(),
            latest: last.map(|message| message.id),
            new: seen.map(|_| new),
            new_before,
            here_count,
            members,
            rooms,
            now,
            cursor: page.cursor.to_string(),
            groups: group_by_day(page.messages, is_new),
            nonce: state.core.nonces.make(user.user_id, room.id),
            announcements: settings.announcements.as_str(),
            reports,
            text: "",
            audience: room.audience(),
            arrival,
            invitation: None,
            problems: Problems::default(),
        })
    }

    /// Offers the owner of a new room to invite people, if this is the page of one.
    #[must_use]
    pub fn with_invitation(self, invitation: impl FnOnce() -> Invitation) -> Self {
        let is_new = self.room.members.len() == 1 && self.groups.is_empty() && self.is_live();
        Self {
            invitation: is_new.then(invitation),
            ..self
        }
    }

    /// Puts the text of a message that was not sent, and was written for `audience`, back into the form.
    #[must_use]
    pub fn with_text(self, text: &'a str, audience: Audience, problems: Problems) -> Self {
        Self {
            text,
            audience: self.audience.min(audience),
            problems,
            ..self
        }
    }

    /// Returns the latest message on the page.
    #[must_use]
    pub fn latest(&self) -> Option<MessageId> {
        self.latest
    }

    /// Returns whether the script polls for new messages.
    fn is_live(&self) -> bool {
        !self.is_old && self.reload().is_none() && self.view().is_none()
    }

    /// Returns whether the page has a form to send a message.
    fn has_composer(&self) -> bool {
        self.reload().is_none() && self.view().is_none() && self.room.may_post(self.reader)
    }

    fn is_moderating(&self) -> bool {
        matches!(self.arrival, Arrival::Moderate { .. })
    }

    /// Returns the query parameter of the moderation view, or of the view to report a message.
    fn view(&self) -> Option<&'static str> {
        match self.arrival {
            Arrival::Moderate { .. } => Some("moderate=1"),
            Arrival::Report => Some("report=1"),
            _ => None,
        }
    }

    fn is_moderator(&self) -> bool {
        self.room.role_of(self.reader) >= Some(Role::Moderator)
    }

    /// Returns the interval at which the page reloads itself, in words.
    fn reload(&self) -> Option<&'static str> {
        match self.arrival {
            Arrival::Reload((_, words)) => Some(words),
            _ => None,
        }
    }

    /// Returns a name for the reader's session, for drafts that the script keeps. It does not reveal the cookie.
    fn session(&self) -> &str {
        self.session.get(..16).unwrap_or_default()
    }

    /// Returns what is said beside the button "Check for new messages" if there were none.
    fn nothing_new(&self) -> &'static str {
        if self.arrival == Arrival::Check && self.new == Some(0) {
            " No new messages."
        } else {
            ""
        }
    }

    /// Returns the part of the title before the room's name.
    fn title_lead(&self) -> Option<String> {
        if let Some(done) = self.arrival.done() {
            return Some(done.to_owned());
        }
        match (self.new?, self.arrival) {
            (0, Arrival::Check) => Some("No new messages".to_owned()),
            (0, _) => None,
            (new, _) => Some(format!("{new} new")),
        }
    }

    /// Returns the description of the message box after a message was sent.
    fn sent_words(&self) -> Option<String> {
        if self.arrival != Arrival::Sent {
            return None;
        }
        Some(match self.new? {
            0 => "Sent.".to_owned(),
            1 => "Sent. 1 new message above.".to_owned(),
            new => format!("Sent. {new} new messages above."),
        })
    }

    fn render_message<'m>(&self, message: &'m Message) -> Result<Cow<'m, str>, askama::Error> {
        let role = |user| self.room.role_of(user);
        let may_delete =
            || role(self.reader).is_some_and(|reader| reader.may_moderate(role(message.author)));
        if self.is_moderating() && message.author != self.reader && may_delete() {
            Ok(message_html::render_for_moderator(message)?.into())
        } else if self.arrival == Arrival::Report && message.author != self.reader {
            Ok(message_html::render_for_reporter(message)?.into())
        } else {
            Ok(message.html_for(self.reader).into())
        }
    }

    /// Whether the page has messages that are new to the reader.
    fn has_new(&self) -> bool {
        self.new.is_some_and(|new| new > 0)
    }

    /// Returns where the link to older messages leads.
    fn older_url(&self, before: &MessageId) -> String {
        let view = self.view().map(|view| format!("&{view}"));
        let view = view.unwrap_or_default();
        format!("/rooms/{}?before={before}{view}{NOW}", self.room.id)
    }

    /// Returns the number of new messages in the reader's rooms that the page does not list.
    fn new_in_others(&self) -> usize {
        self.rooms.others.iter().map(|(_, new)| new).sum()
    }

    /// Whether the list of rooms fits into a window 50rem high, where it stays in view. Where scripts run, they measure.
    fn rooms_fit(&self) -> bool {
        let room = |room: &RoomBeside| LINK + LINE * (lines(&room.name) - 1);
        HEADING + LINK + self.rooms.shown.iter().map(room).sum::<usize>() <= COLUMN
    }

    /// Whether the part about the room fits into a window 50rem high, likewise.
    fn about_fits(&self) -> bool {
        // What kind of room it is, and how to follow it without a script.
        let facts = 3 + if self.is_live() { 3 } else { 0 };
        // Two members share a line if both have short names.
        let members = self.members.iter().map(|(member, _)| lines(&member.name));
        let long: usize = members.clone().filter(|lines| *lines > 1).sum();
        let short = members.filter(|lines| *lines == 1).count().div_ceil(2);
        let text = facts + lines(&self.room.description) + long + short;
        // All members, leaving, and what can be done, of which two share a line.
        let links = 3 + if self.is_moderator() { 2 } else { 0 };
        2 * HEADING + text * LINE + links * LINK <= COLUMN
    }
}

/// Heights in a column beside the conversation, in tenths of a rem: of the column below the bar, a heading, a link and
/// a line of text.
const COLUMN: usize = 460;
const HEADING: usize = 32;
const LINK: usize = 28;
const LINE: usize = 15;

/// Returns the number of lines that a text takes in a column beside the conversation, at most.
fn lines(text: &str) -> usize {
    const WIDTH: usize = 18;
    // Counting characters takes longer, and most names are short.
    if (1..=WIDTH).contains(&text.len()) {
        return 1;
    }
    text.chars().count().div_ceil(WIDTH)
}

/// Returns the members that a room's page lists, with whether they have the room open, and how many members do.
fn members_to_show<'a>(room: &'a Room, here: &HashSet<UserId>) -> (Vec<(&'a Member, bool)>, usize) {
    let mut shown = Vec::with_capacity(2 * MEMBERS_SHOWN);
    let mut others = Vec::with_capacity(MEMBERS_SHOWN);
    let mut here_count = 0;
    for member in &room.members {
        let is_here = here.contains(&member.user_id);
        here_count += usize::from(is_here);
        let list = if is_here { &mut shown } else { &mut others };
        if list.len() < MEMBERS_SHOWN {
            list.push((member, is_here));
        }
    }
    shown.append(&mut others);
    shown.truncate(MEMBERS_SHOWN);
    (shown, here_count)
}

/// Groups messages by the day they were sent, and starts a group of its own at the first new message.
fn group_by_day(
    mut messages: Vec<Arc<Message>>,
    is_new: impl Fn(&Message) -> bool,
) -> Vec<MessageGroup> {
    let mut starts = Vec::new();
    let mut day_before = None;
    let mut is_marked = false;
    for (position, message) in messages.iter().enumerate() {
        let day = message.sent_at.day_number();
        let begins_day = day_before.replace(day) != Some(day);
        let begins_new = !is_marked && is_new(message);
        is_marked |= begins_new;
        if begins_day || begins_new {
            starts.push((position, begins_day, begins_new));
        }
    }
    // From the end, so that no message moves more than once.
    let groups = starts.into_iter().rev().map(|(start, begins_day, is_new)| {
        let messages = match start {
            0 => std::mem::take(&mut messages),
            start => messages.split_off(start),
        };
        let first = messages.first().filter(|_| begins_day);
        MessageGroup {
            day: first.map(|message| message.sent_at.day()),
            is_new,
            messages,
        }
    });
    let mut groups: Vec<MessageGroup> = groups.collect();
    groups.reverse();
    groups
}
