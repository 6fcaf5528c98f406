//! The text form of events: what is in a room's stream, and what is told on its channel.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Lifespan, MessageId, MessageText, NonceId, SiteTime, Timestamp, UserId};
use crate::live::messages::event::{Event, NewMessage, Replayed};

/// What a room's channel tells.
#[derive(Debug)]
pub(super) enum Told {
    /// An event, and its number.
    Event(u64, Entry),
    /// The room was deleted.
    Forgotten,
}

/// An event with its time.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: SiteTime,
    pub(super) event: Event,
    /// Whether the event posted a message whose text is gone.
    pub(super) is_husk: bool,
}

impl Told {
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let payload = std::str::from_utf8(payload).ok()?;
        if payload == "f" {
            return Some(Self::Forgotten);
        }
        let (line, of_message) = payload.split_once('\n').unwrap_or((payload, "0\n"));
        let (namesake, text) = of_message.split_once('\n')?;
        let (number, record) = line.split_once(' ')?;
        Some(Self::Event(
            number.parse().ok()?,
            Entry::parse(record, namesake.parse().ok()?, text)?,
        ))
    }
}

impl Entry {
    /// Parses an event. `namesake` and `text` are those of the message that it posted; the text is empty if it is gone or
    /// there is none.
    pub(super) fn parse(record: &str, namesake: u32, text: &str) -> Option<Self> {
        let mut fields = record.splitn(3, ' ');
        let kind = fields.next()?;
        let at = SiteTime(fields.next()?.parse().ok()?);
        let rest = fields.next().unwrap_or_default();
        let mut is_husk = false;
        let event = match kind {
            "p" => {
                is_husk = text.is_empty();
                Event::Replayed(replayed(rest, namesake, text)?)
            }
            "d" => removed(rest)?,
            "a" => Event::AuthorDeleted(UserId(rest.parse().ok()?)),
            "c" => Event::Cleared,
            "s" => shortened(rest)?,
            "r" => Event::RoomChanged,
            "e" => match rest.parse() {
                Ok(through) => Event::Evicted {
                    through: MessageId(through),
                },
                Err(_) => removed(rest)?,
            },
            _ => return None,
        };
        Some(Self { at, event, is_husk })
    }
}

fn shortened(fields: &str) -> Option<Event> {
    let (lifespan, through) = fields.split_once(' ')?;
    Some(Event::Shortened {
        lifespan: span(lifespan)?,
        through: MessageId(through.parse().ok()?),
    })
}

fn removed(fields: &str) -> Option<Event> {
    let (message, deadline) = fields.split_once(' ')?;
    Some(Event::Removed {
        message: MessageId(message.parse().ok()?),
        deadline: SiteTime(deadline.parse().ok()?),
    })
}

fn replayed(fields: &str, namesake: u32, text: &str) -> Option<Replayed> {
    /// Stands for a text that is gone. It is never shown.
    const GONE: &str = "-";
    let mut fields = fields.splitn(4, ' ');
    let author = UserId(fields.next()?.parse().ok()?);
    let lifespan = span(fields.next()?)?;
    let sent_at = Timestamp(fields.next()?.parse().ok()?);
    let author_name = Arc::from(fields.next()?);
    let text = if text.is_empty() { GONE } else { text };
    Some(Replayed {
        new: NewMessage {
            author,
            author_name,
            text: MessageText::parse(text).ok()?,
            // Only the log that takes a message needs the nonce.
            nonce: NonceId::default(),
            lifespan,
            sent_at,
        },
        namesake,
    })
}

fn span(millis: &str) -> Option<Lifespan> {
    Some(Lifespan(Duration::from_millis(millis.parse().ok()?)))
}

/// Returns a nonce as the keys of used nonces have it.
pub(super) fn nonce_text(nonce: NonceId) -> String {
    format!("{:032x}", u128::from_be_bytes(nonce))
}
