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

    /// What it takes in memory: its text and renderings, itself, its place in the ring and its nonce, and
    /// what the allocator keeps around the four of them that are allocated by themselves.
    pub(super) fn bytes(&self) -> usize {
        const ALLOCATED: usize = 2 * size_of::<usize>();
        const AROUND: usize = size_of::<Message>()
            + 2 * size_of::<usize>()
            + size_of::<Arc<Message>>()
            + size_of::<(NonceId, MessageId, Timestamp)>()
            + 4 * ALLOCATED;
        AROUND
            + self.author_name.len()
            + self.text.as_str().len()
            + self.for_others.len()
            + self.for_author.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use scraper::{ElementRef, Html, Selector};

    use super::*;
    use crate::domain::Lifespan;

    fn rendered(author: &str, text: MessageText) -> Html {
        let draft = Draft {
            author: UserId(1),
            author_name: Arc::from(author),
            text,
            nonce: [0; 16],
            lifespan: Lifespan(Duration::from_secs(60)),
        };
        let message = Message::render(RoomId(1), MessageId(1), &draft, Timestamp(0)).unwrap();
        Html::parse_fragment(&format!("<ul>{}</ul>", message.html_for(UserId(2))))
    }

    /// The text in an element, line breaks and all.
    fn text_in(element: ElementRef<'_>) -> String {
        let pieces = element.descendants().filter_map(|node| match node.value() {
            scraper::Node::Text(text) => Some(text.to_string()),
            scraper::Node::Element(element) if element.name() == "br" => Some("\n".to_owned()),
            _ => None,
        });
        pieces.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_message_is_shown_as_it_was_written_whatever_it_says(
            author in "\\PC{1,32}",
            typed in prop_oneof![
                any::<String>(),
                "((https?|javascript|data)://?|</?[a-z]{1,6}( [a-z]{2,8}=)?>?|[<>\"'&;/\r\n\t ]|&#?[a-z0-9]{1,4};?|\\PC){1,30}",
            ],
        ) {
            if let Ok(text) = MessageText::parse(&typed) {
                let html = rendered(&author, text.clone());

                let one = |selector: &str| {
                    let selector = Selector::parse(selector).unwrap();
                    let found: Vec<_> = html.select(&selector).map(text_in).collect();
                    assert_eq!(found.len(), 1);
                    found.concat()
                };
                prop_assert_eq!(one(".text"), text.as_str());
                prop_assert_eq!(one(".author"), author);
                for element in html.select(&Selector::parse("ul *").unwrap()) {
                    let element = element.value();
                    let known: &[&str] = match element.name() {
                        "li" => &["id", "data-deadline"],
                        "b" => &["class"],
                        "span" => &["class", "dir"],
                        "a" => &["href", "rel"],
                        "time" => &["datetime"],
                        "bdi" | "br" => &[],
                        other => return Err(TestCaseError::fail(format!("<{other}>"))),
                    };
                    prop_assert!(element.attrs().all(|(name, _)| known.contains(&name)));
                    if let Some(address) = element.attr("href") {
                        let address = address.to_ascii_lowercase();
                        prop_assert!(
                            address.starts_with("http://") || address.starts_with("https://")
                        );
                    }
                }
            }
        }
    }
}
