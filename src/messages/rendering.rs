//! A message and the HTML it is shown as, made once for all who read it.

use std::sync::Arc;

use askama::Template;

use super::{Draft, NonceId};
use crate::domain::{MessageId, MessageText, Segment, Timestamp, UserId};

/// A message as it is held and shown. It does not change.
#[derive(Debug)]
pub struct Message {
    /// Its name within the room.
    pub id: MessageId,
    /// Who wrote it.
    pub author: UserId,
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
    id: MessageId,
    author: &'a str,
    is_own: bool,
    text: &'a MessageText,
    sent_at: Timestamp,
    deadline: Timestamp,
}

impl Message {
    /// Renders `draft` as the message `id`, sent at `sent_at`.
    pub(super) fn render(
        id: MessageId,
        draft: &Draft,
        sent_at: Timestamp,
    ) -> Result<Self, askama::Error> {
        let deadline = sent_at.plus(draft.lifespan.0);
        let (author, text) = (&*draft.author_name, &draft.text);
        let html = |is_own| {
            let html = MessageHtml {
                id,
                author,
                is_own,
                text,
                sent_at,
                deadline,
            };
            html.render().map(String::into_boxed_str)
        };
        let (for_others, for_author) = (html(false)?, html(true)?);
        Ok(Self {
            id,
            author: draft.author,
            sent_at,
            deadline,
            for_others,
            for_author,
        })
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

    /// What it takes in memory: its renderings, itself, its place in the ring and its nonce.
    pub(super) fn bytes(&self) -> usize {
        const AROUND: usize = size_of::<Message>()
            + 2 * size_of::<usize>()
            + size_of::<Arc<Message>>()
            + size_of::<(NonceId, MessageId, Timestamp)>();
        AROUND + self.for_others.len() + self.for_author.len()
    }
}
