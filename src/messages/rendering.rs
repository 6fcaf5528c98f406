//! A message and the HTML it is shown as, made once for all who read it.

use std::sync::Arc;

use askama::Template;

use super::{Draft, NonceId};
use crate::domain::{MessageId, MessageText, RoomId, Segment, Timestamp, UserId};

/// A message as it is held and shown. It does not change: what changes makes another of the same id.
#[derive(Debug)]
pub struct Message {
    /// Its name within the room.
    pub id: MessageId,
    /// Who wrote it.
    pub author: UserId,
    /// The author's name at the time of writing.
    pub author_name: Arc<str>,
    /// What it says.
    pub text: MessageText,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// From this moment on nobody is shown it.
    pub deadline: Timestamp,
    for_others: Box<str>,
    for_author: Box<str>,
}

/// The one template of a message: in the room page and in what a poll brings.
#[derive(Template)]
#[template(path = "message.html")]
struct MessageHtml<'a> {
    room: RoomId,
    message: &'a Message,
    reader: Reader,
}

/// Whom a message is shown to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Who can only read it.
    Other,
    /// Who wrote it, and may delete it.
    Author,
    /// Who moderates, and may delete it.
    Moderator,
}

impl Message {
    /// Renders `draft` as the message `id` of `room`, sent at `sent_at`.
    pub(super) fn render(
        room: RoomId,
        id: MessageId,
        draft: &Draft,
        sent_at: Timestamp,
    ) -> Result<Self, askama::Error> {
        let message = Self {
            id,
            author: draft.author,
            author_name: Arc::clone(&draft.author_name),
            text: draft.text.clone(),
            sent_at,
            deadline: sent_at.plus(draft.lifespan.0),
            for_others: Box::default(),
            for_author: Box::default(),
        };
        message.rendered(room)
    }

    /// The same message of `room`, with another deadline.
    pub(super) fn with_deadline(
        &self,
        room: RoomId,
        deadline: Timestamp,
    ) -> Result<Self, askama::Error> {
        let message = Self {
            deadline,
            author_name: Arc::clone(&self.author_name),
            text: self.text.clone(),
            for_others: Box::default(),
            for_author: Box::default(),
            ..*self
        };
        message.rendered(room)
    }

    fn rendered(self, room: RoomId) -> Result<Self, askama::Error> {
        let html = |reader| self.html(room, reader).map(String::into_boxed_str);
        let (for_others, for_author) = (html(Reader::Other)?, html(Reader::Author)?);
        Ok(Self {
            for_others,
            for_author,
            ..self
        })
    }

    fn html(&self, room: RoomId, reader: Reader) -> Result<String, askama::Error> {
        let message = self;
        MessageHtml {
            room,
            message,
            reader,
        }
        .render()
    }

    /// The message of `room` as an `<li>` with a link to delete it, for who moderates. Made each time:
    /// few ask, and seldom.
    ///
    /// # Errors
    /// When the template fails.
    pub fn html_to_moderate(&self, room: RoomId) -> Result<String, askama::Error> {
        self.html(room, Reader::Moderator)
    }

    /// Whether it may be shown at `now`.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        now < self.deadline
    }

    /// The message as an `<li>`, as `reader` is shown it.
    #[must_use]
    pub fn html_for(&self, reader: UserId) -> &str {
        if reader == self.author {
            &self.for_author
        } else {
            &self.for_others
        }
    }

    /// What it takes in memory: its text and renderings, itself, its place in the ring and its nonce.
    pub(super) fn bytes(&self) -> usize {
        const AROUND: usize = size_of::<Message>()
            + 2 * size_of::<usize>()
            + size_of::<Arc<Message>>()
            + size_of::<(NonceId, MessageId, Timestamp)>();
        AROUND
            + self.author_name.len()
            + self.text.as_str().len()
            + self.for_others.len()
            + self.for_author.len()
    }
}
