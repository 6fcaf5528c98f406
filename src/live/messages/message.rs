//! A message and its HTML, which is made once for all readers.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use bytestring::ByteString;
use foldhash::fast::FixedState;

use super::event::NewMessage;
use super::namesakes;
use crate::domain::{MessageId, MessageText, NonceId, RoomId, SiteTime, Timestamp, UserId};

/// Renders a message whose [`Message::rendered`] is still empty.
pub type Renderer = Arc<dyn Fn(&Message) -> Rendered + Send + Sync>;

/// The HTML of a message, in the forms its readers need. Clones share the bytes, so all answers to waiting polls do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The HTML for everybody but the author.
    pub for_others: ByteString,
    /// The HTML for the author.
    pub for_author: ByteString,
}

/// A posted message. Never changes: a message with another deadline is a new value with the same id.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The message's id within its room.
    pub id: MessageId,
    /// The room.
    pub room: RoomId,
    /// The person who wrote the message.
    pub author: UserId,
    /// The author's name at the time of writing.
    pub author_name: Arc<str>,
    /// The text.
    pub text: MessageText,
    /// The wall clock's time of sending, which is only displayed.
    pub sent_at: Timestamp,
    /// The site time at which the log took the message.
    pub posted_at: SiteTime,
    /// The site time from which nobody is shown the message.
    pub deadline: SiteTime,
    /// Tells the message from its author's other live messages with the same first words: 0 if there was
    /// none when the message was posted, else its number among those of the same minute, from 1.
    pub namesake: u32,
    /// A hash of the author and the first words, to find namesakes by.
    pub lead: u64,
    /// The HTML.
    pub rendered: Rendered,
}

impl Message {
    /// Makes the message that the event `id` posts in `room` at `posted_at`.
    pub(super) fn new(
        room: RoomId,
        id: MessageId,
        posted_at: SiteTime,
        new: &NewMessage,
        namesake: u32,
        render: &Renderer,
    ) -> Self {
        let unrendered = Self {
            id,
            room,
            author: new.author,
            author_name: Arc::clone(&new.author_name),
            text: new.text.clone(),
            sent_at: new.sent_at,
            posted_at,
            deadline: posted_at.plus(new.lifespan.0),
            namesake,
            lead: lead_of(new.author, &new.text),
            rendered: Rendered::default(),
        };
        unrendered.render(render)
    }

    /// Makes the same message with another deadline.
    pub(super) fn with_deadline(&self, deadline: SiteTime, render: &Renderer) -> Self {
        let unrendered = Self {
            author_name: Arc::clone(&self.author_name),
            text: self.text.clone(),
            deadline,
            rendered: Rendered::default(),
            ..*self
        };
        unrendered.render(render)
    }

    fn render(mut self, render: &Renderer) -> Self {
        self.rendered = render(&self);
        self
    }

    /// Returns the HTML for `reader`.
    #[must_use]
    pub fn html_for(&self, reader: UserId) -> &str {
        self.form_for(reader)
    }

    /// Returns the HTML for `reader`, which all who get it share.
    #[must_use]
    pub fn shared_html_for(&self, reader: UserId) -> ByteString {
        self.form_for(reader).clone()
    }

    fn form_for(&self, reader: UserId) -> &ByteString {
        if reader == self.author {
            &self.rendered.for_author
        } else {
            &self.rendered.for_others
        }
    }

    /// Returns whether readers may be shown the message at `now`.
    #[must_use]
    pub fn is_live(&self, now: SiteTime) -> bool {
        now < self.deadline
    }

    /// Returns the bytes that the message takes in memory: itself, its texts, its place in the ring, its
    /// nonce, its namesakes, what counts the answers that share its HTML, and the allocator's overhead for all of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const ALLOCATION: usize = 2 * size_of::<usize>();
        const NONCE: usize = 2 * size_of::<NonceId>() + size_of::<(u64, MessageId, SiteTime)>();
        const SHARED: usize = 3 * size_of::<usize>();
        const OVERHEAD: usize = size_of::<Message>()
            + 2 * size_of::<usize>()
            + size_of::<Arc<Message>>()
            + NONCE
            + namesakes::BYTES
            + 2 * SHARED
            + 6 * ALLOCATION;
        OVERHEAD
            + self.author_name.len()
            + self.text.as_str().len()
            + self.rendered.for_others.len()
            + self.rendered.for_author.len()
    }
}

/// Returns the [`Message::lead`] of a message. Two that are alike by chance get a number too many in the names of
/// their Delete links, which does no harm.
pub(super) fn lead_of(author: UserId, text: &MessageText) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    author.hash(&mut hasher);
    for word in text.first_words().split_whitespace() {
        word.hash(&mut hasher);
    }
    hasher.finish()
}
