//! Renders messages as HTML, in one form for each kind of reader.

use askama::Template;
use bytestring::ByteString;

use crate::domain::{RoomId, Segment};
use crate::live::messages::{Message, Rendered};

/// The template of a message, for the room page and for the answers to polls.
#[derive(Template)]
#[template(path = "message.html")]
struct MessageHtml<'a> {
    room: RoomId,
    message: &'a Message,
    reader: Reader,
}

impl MessageHtml<'_> {
    /// Returns the first words of the message, for the name of its link.
    fn first_words(&self) -> String {
        let first = self.message.text.first_words();
        let mut words = String::with_capacity(first.len() + '…'.len_utf8());
        for word in first.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        if first.len() < self.message.text.as_str().trim().len() {
            words.push('…');
        }
        words
    }

    /// Returns the last part of the address of the message's link, and what it does.
    fn link(&self) -> (&'static str, &'static str) {
        match self.reader {
            Reader::Reporter => ("report", "Report"),
            _ => ("delete", "Delete"),
        }
    }
}

/// The kind of reader that a message is rendered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// The author, who may delete the message. What only they are shown is marked.
    Author,
    /// A moderator, who may delete the message.
    Moderator,
    /// A reader who wants to report a message.
    Reporter,
}

/// Stands before and after what only the author is shown. No message has this character, which HTML forbids.
const MARK: char = '\0';
const MARK_BYTE: u8 = b'\0';

/// More bytes than most messages have with the marks.
const MARKED_CAPACITY: usize = 1024;

/// Renders a message once for all its readers. The server passes this function to the message log.
#[must_use]
pub fn render(message: &Message) -> Rendered {
    // Rendering fails only if a value's `Display` fails, and no value of a message does.
    let marked = html(message, Reader::Author).unwrap_or_else(|error| {
        tracing::error!(%error, "message rendering failed");
        String::new()
    });
    Rendered {
        for_others: joined(parts(&marked).step_by(2)),
        for_author: joined(parts(&marked)),
    }
}

/// Splits HTML at its marks. Every second part is only for the author.
fn parts(marked: &str) -> impl Iterator<Item = &str> + Clone {
    let ends = memchr::memchr_iter(MARK_BYTE, marked.as_bytes()).chain([marked.len()]);
    let mut start = 0;
    ends.map(move |end| {
        let part = marked.get(start..end).unwrap_or_default();
        start = end + 1;
        part
    })
}

/// Joins texts in exactly as much memory as they take.
fn joined<'a>(parts: impl Iterator<Item = &'a str> + Clone) -> ByteString {
    let mut html = String::with_capacity(parts.clone().map(str::len).sum());
    html.extend(parts);
    html.into()
}

/// Renders the message for a moderator, with a link to delete it. Rendered on each request, because moderators
/// request it rarely.
///
/// # Errors
/// When the template fails.
pub fn render_for_moderator(message: &Message) -> Result<String, askama::Error> {
    html(message, Reader::Moderator)
}

/// Renders the message with a link to report it. Rendered on each request, because it is requested rarely.
///
/// # Errors
/// When the template fails.
pub fn render_for_reporter(message: &Message) -> Result<String, askama::Error> {
    html(message, Reader::Reporter)
}

fn html(message: &Message, reader: Reader) -> Result<String, askama::Error> {
    let room = message.room;
    let html = MessageHtml {
        room,
        message,
        reader,
    };
    let mut text = String::with_capacity(MARKED_CAPACITY);
    html.render_into(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use proptest::prelude::*;
    use scraper::{ElementRef, Html, Selector};

    use super::*;
    use crate::domain::{Lifespan, MessageText, SiteTime, Timestamp, UserId};
    use crate::live::messages::{Capacity, Ignored, Messages, NewMessage, Quota, Wish};
    use crate::security::tokens::Token;

    /// 2026-11-22T13:05:00Z.
    const START: i64 = 1_795_352_700_000;

    /// Posts a message by user 1 in room 1 at `START`, with a lifespan of one hour.
    async fn posted(author: &str, text: MessageText) -> Arc<Message> {
        let now = SiteTime(START);
        let room = RoomId(1);
        let capacity = Capacity {
            messages_per_room: 1,
            bytes: 1 << 20,
        };
        let messages = Messages::in_memory(capacity, 1, now, Arc::new(render));
        messages
            .open(room)
            .await
            .unwrap()
            .raise_version(0)
            .await
            .unwrap();
        let wish = Wish {
            version: 0,
            message: NewMessage {
                author: UserId(1),
                author_name: Arc::from(author),
                text,
                nonce: [0; 16],
                lifespan: Lifespan(Duration::from_secs(3600)),
                sent_at: Timestamp(START),
            },
            session: Token::received("").digest(),
            session_ended: &AtomicBool::new(false),
            quota: Quota::UNLIMITED,
        };
        messages.append(room, &wish, now).await.unwrap();
        let page = messages
            .page(room, None, &Ignored::NOBODY, now)
            .await
            .unwrap();
        Arc::clone(&page.messages[0])
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn rendered(author: &str, text: MessageText) -> Html {
        let message = run(posted(author, text));
        Html::parse_fragment(&format!("<ul>{}</ul>", message.html_for(UserId(2))))
    }

    #[test]
    fn html_in_a_message_is_shown_as_text() {
        let text = MessageText::parse("<b>&\"' https://example.org/\"onx=\"").unwrap();

        let message = run(posted("ada", text));

        let html = message.html_for(UserId(2));
        assert!(!html.contains("<b>&"), "{html}");
        assert!(
            html.contains("&#60;b&#62;") || html.contains("&lt;b&gt;"),
            "{html}"
        );
    }

    #[test]
    fn only_the_author_is_shown_a_link_to_delete_a_message() {
        let message = run(posted("ada", MessageText::parse("hello").unwrap()));

        let (id, deadline) = (message.id, START + 3_600_000);
        let time = "2026-11-22T13:05:00.000Z";
        assert_eq!(
            message.html_for(UserId(2)),
            format!(
                "<li id=\"m{id}\" data-deadline=\"{deadline}\"><div><span class=\"line\"><b class=\"author\"><bdi>ada</bdi></b>: \
                 <span class=\"text\" dir=\"auto\">hello</span></span> \
                 <time datetime=\"{time}\">13:05 UTC</time></div></li>"
            )
        );
        assert_eq!(
            message.html_for(UserId(1)),
            format!(
                "<li id=\"m{id}\" data-deadline=\"{deadline}\" class=\"own\"><div><span class=\"line\"><b class=\"author\"><bdi>ada</bdi> (you)</b>: \
                 <span class=\"text\" dir=\"auto\">hello</span></span> \
                 <time datetime=\"{time}\">13:05 UTC</time> \
                 <a class=\"delete\" href=\"/rooms/1/messages/{id}/delete\" \
                 aria-label=\"Delete your message “hello”\">Delete</a></div></li>"
            )
        );
    }

    #[test]
    fn a_delete_link_is_named_after_the_first_words() {
        let label = |text: &str, namesake, reader| {
            let message = run(posted("ann", MessageText::parse(text).unwrap()));
            let message = Message {
                author_name: Arc::clone(&message.author_name),
                text: message.text.clone(),
                rendered: Rendered::default(),
                namesake,
                ..*message
            };
            let html = html(&message, reader).unwrap().replace(MARK, "");
            let html = Html::parse_fragment(&html);
            let link = Selector::parse("a.delete").unwrap();
            let link = html.select(&link).next().unwrap();
            assert_eq!(text_in(link), "Delete");
            link.attr("aria-label").unwrap().to_owned()
        };

        let long = "one\n\n“two” <three> four five six";
        assert_eq!(
            label(long, 0, Reader::Author),
            "Delete your message “one “two” <three> four five…”"
        );
        assert_eq!(
            label("ok", 0, Reader::Moderator),
            "Delete ann’s message “ok”"
        );
        assert_eq!(
            label("ok", 1, Reader::Author),
            "Delete your message “ok”, 13:05 UTC"
        );
        assert_eq!(
            label("ok", 2, Reader::Author),
            "Delete your message “ok”, 13:05 UTC, number 2"
        );
    }

    /// Orca 43.1 takes a sibling that goes for the element that it reads, and reads another message aloud.
    #[test]
    fn a_message_is_one_element_of_its_list_item() {
        for text in ["hello", "two\nlines", "https://example.org/ and more"] {
            let html = rendered("ada", MessageText::parse(text).unwrap());

            let item = Selector::parse("li").unwrap();
            let item = html.select(&item).next().unwrap();
            let children: Vec<_> = item.children().map(|child| child.value()).collect();
            assert_eq!(children.len(), 1, "{text}");
            assert_eq!(children[0].as_element().unwrap().name(), "div");
        }
    }

    /// Returns the text of an element, with `<br>` as a line break.
    fn text_in(element: ElementRef<'_>) -> String {
        let pieces = element.descendants().filter_map(|node| match node.value() {
            scraper::Node::Text(text) => Some(text.to_string()),
            scraper::Node::Element(element) if element.name() == "br" => Some("\n".to_owned()),
            _ => None,
        });
        pieces.collect()
    }

    /// Returns what a page shows of a segment.
    fn shown(segment: Segment<'_>) -> String {
        match segment {
            Segment::Text(text) => text.to_owned(),
            Segment::LineBreak => "\n".to_owned(),
            Segment::Link(link) => Segment::shown(link).into_owned(),
        }
    }

    #[test]
    fn a_direction_override_in_a_link_is_shown_escaped() {
        let text = MessageText::parse("https://example.org/\u{202e}gpj.exe").unwrap();

        let message = run(posted("ada", text));

        let html = message.html_for(UserId(2));
        assert!(
            html.contains(">https://example.org/%E2%80%AEgpj.exe</a>"),
            "{html}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_message_is_shown_exactly_as_written(
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
                let shown: String = text.segments().into_iter().map(shown).collect();
                prop_assert_eq!(one(".text"), shown);
                prop_assert_eq!(one(".author"), author);
                for element in html.select(&Selector::parse("ul *").unwrap()) {
                    let element = element.value();
                    let known: &[&str] = match element.name() {
                        "li" => &["id", "data-deadline"],
                        "b" => &["class"],
                        "span" => &["class", "dir"],
                        "a" => &["href", "rel"],
                        "time" => &["datetime"],
                        "div" | "bdi" | "br" => &[],
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
