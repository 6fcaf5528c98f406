//! Two states that apply the same events give the same answers, whatever is freed in between.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::cursor::Cursor;
use super::event::Event;
use super::ignored::Ignored;
use super::message::Message;
use super::nonces::UsedNonce;
use super::state::{Newest, Page, RoomState, Since};
use super::tests::{START, new_message, renderer};
use crate::domain::{Lifespan, MessageId, NonceId, RoomId, SiteTime, Timestamp, UserId};

const LIFE: u64 = 42;
const FIRST_EVENT: u64 = 1_000;
const NONCES: u8 = 8;

/// An event, and how long after the event before it happens.
#[derive(Debug, Clone)]
struct Step {
    wait: u64,
    /// Events between have numbers that this room does not see.
    skipped: u64,
    event: Event,
    /// When the second state frees what has expired, as seconds after the event.
    frees: Vec<u64>,
}

fn lifespan() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0_u64), Just(10), Just(30), Just(60)].prop_map(Duration::from_secs)
}

/// An id that some event may have had.
fn message() -> impl Strategy<Value = MessageId> {
    (FIRST_EVENT..FIRST_EVENT + 60).prop_map(MessageId)
}

fn event() -> impl Strategy<Value = Event> {
    let posted = (1..=3_i64, 1..20_usize, 0..NONCES, lifespan()).prop_map(
        |(author, length, nonce, lifespan)| {
            Event::Posted(new_message(author, &"x".repeat(length), nonce, lifespan))
        },
    );
    prop_oneof![
        12 => posted,
        2 => message().prop_map(Event::Deleted),
        1 => (1..=3_i64).prop_map(|author| Event::AuthorDeleted(UserId(author))),
        1 => Just(Event::Cleared),
        1 => lifespan().prop_map(|lifespan| Event::Shortened {
            lifespan: Lifespan(lifespan),
            through: MessageId(u64::MAX),
        }),
        1 => Just(Event::RoomChanged),
        2 => message().prop_map(|through| Event::Evicted { through }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let frees = prop::collection::vec(0..8_u64, 0..3);
    (0..12_u64, 0..3_u64, event(), frees).prop_map(|(wait, skipped, event, frees)| Step {
        wait,
        skipped,
        event,
        frees,
    })
}

/// All that can be read from a state.
#[derive(Debug, PartialEq)]
struct Answers {
    pages: Vec<Page>,
    since: Vec<Since>,
    found: Vec<Option<Arc<Message>>>,
    new: Vec<usize>,
    latest: Option<Newest>,
    authors: Vec<(UserId, Arc<str>)>,
    nonces: Vec<Option<UsedNonce>>,
    decisions: (Option<MessageId>, bool, Vec<bool>, Vec<bool>),
    latest_event: u64,
}

fn answers(state: &RoomState, now: SiteTime) -> Answers {
    let newest = state.latest_event();
    let ids = (FIRST_EVENT.max(newest - 25)..=newest + 1).map(MessageId);
    let cursors = ids.clone().map(|id| Cursor {
        life: LIFE,
        event: id.0,
        made_at: now,
        ignored: 0,
    });
    let people = || (1..=3).map(UserId);
    let nonces = (0..NONCES).map(|nonce| -> NonceId { [nonce; 16] });
    let lifespans = [0, 10, 30, 60].map(|s| Lifespan(Duration::from_secs(s)));
    Answers {
        pages: std::iter::once(None)
            .chain(ids.clone().map(Some))
            .map(|before| state.page(before, &Ignored::NOBODY, now))
            .collect(),
        since: std::iter::once(None)
            .chain(cursors.map(Some))
            .map(|cursor| state.since(cursor, &Ignored::NOBODY, now))
            .collect(),
        found: ids.clone().map(|id| state.find(id, now)).collect(),
        new: people()
            .flat_map(|reader| ids.clone().map(move |id| (reader, id)))
            .map(|(reader, id)| state.new_for(reader, &Ignored::NOBODY, Some(id), now))
            .collect(),
        latest: state.latest(now),
        authors: state.authors(now),
        nonces: nonces.map(|nonce| state.used_nonce(nonce, now)).collect(),
        decisions: (
            state.oldest(now),
            state.is_full(now),
            people().map(|p| state.has_message_by(p, now)).collect(),
            lifespans
                .map(|lifespan| state.is_shortened_by(lifespan, now))
                .into(),
        ),
        latest_event: newest,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn two_states_of_the_same_events_give_the_same_answers(
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let render = renderer();
        let state = || RoomState::new(RoomId(1), LIFE, FIRST_EVENT, 4);
        let (mut plain, mut freed) = (state(), state());
        let (mut number, mut now) = (FIRST_EVENT, START);
        for Step { wait, skipped, event, frees } in steps {
            number += 1 + skipped;
            now = now.plus(Duration::from_secs(wait));
            plain.apply(number, now, event.clone(), &render);
            freed.apply(number, now, event, &render);
            prop_assert_eq!(answers(&plain, now), answers(&freed, now));

            for seconds in frees {
                now = now.plus(Duration::from_secs(seconds));
                freed.free_expired(now);
                prop_assert_eq!(answers(&plain, now), answers(&freed, now));
            }
        }
        plain.free_expired(now);
        freed.free_expired(now);
        prop_assert_eq!(plain.bytes(), freed.bytes());
        prop_assert_eq!(plain.is_empty(), freed.is_empty());

        let end = now.plus(Duration::from_secs(60));
        plain.free_expired(end);
        prop_assert!(plain.is_empty());
        prop_assert_eq!(plain.bytes(), 0);
    }
}

#[test]
fn messages_with_the_same_author_and_first_words_have_different_namesakes() {
    let render = renderer();
    let mut state = RoomState::new(RoomId(1), LIFE, FIRST_EVENT, 100);
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let mut post = |author, text, now: SiteTime| {
        let number = state.latest_event() + 1;
        let mut message = new_message(author, text, 0, hour);
        message.sent_at = Timestamp(now.0);
        state.apply(number, now, Event::Posted(message), &render);
        let message = state.find(MessageId(number), now).unwrap();
        if text == "deleted at once" {
            state.apply(number + 1, now, Event::Deleted(message.id), &render);
        }
        message.namesake
    };

    assert_eq!(post(1, "ok", START), 0);
    assert_eq!(post(1, "no", START), 0);
    assert_eq!(post(2, "ok", START), 0);
    assert_eq!(post(1, "ok", START), 2);
    assert_eq!(post(1, " ok", START), 3);
    // Deleted messages do not count.
    assert_eq!(post(1, "deleted at once", START), 0);
    assert_eq!(post(1, "deleted at once", START), 0);
    // In another minute, the time tells them apart.
    assert_eq!(post(1, "ok", START.plus(minute)), 1);
    assert_eq!(post(1, "ok", START.plus(minute)), 2);
    // Only the first words count.
    assert_eq!(post(1, "a b c d e f", START.plus(minute)), 0);
    assert_eq!(post(1, "a b\nc d e g", START.plus(minute)), 2);
    // Expired messages do not count.
    assert_eq!(post(1, "ok", START.plus(hour).plus(minute)), 0);
}

#[test]
fn a_cursor_that_cannot_be_followed_stays_so_when_older_tombstones_are_dropped() {
    let capacity = 5;
    let mut state = RoomState::new(RoomId(1), LIFE, FIRST_EVENT, capacity);
    let deadline = START.plus(Duration::from_secs(60));
    let mut number = FIRST_EVENT;
    let mut remember = |state: &mut RoomState, event: &Event| {
        number += 1;
        state.remember(number, START, event);
    };
    let removed = |id| Event::Removed {
        message: MessageId(id),
        deadline,
    };

    for id in 1..=8 {
        remember(&mut state, &removed(id));
    }
    let cursor = Cursor {
        life: LIFE,
        event: state.latest_event(),
        made_at: START,
        ignored: 0,
    };
    remember(&mut state, &Event::Cleared);
    for id in 9..=11 {
        remember(&mut state, &removed(id));
    }

    let since = state.since(Some(cursor), &Ignored::NOBODY, START);
    assert!(matches!(since, Since::Reset(_)), "{since:?}");
}
