use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::*;
use crate::domain::{Lifespan, MessageId, MessageText, RoomId, SiteTime, Timestamp, UserId};
use crate::security::tokens::Token;

pub(super) const START: SiteTime = SiteTime(1_795_352_700_000);
pub(super) const TEA: RoomId = RoomId(1);
pub(super) const CAKE: RoomId = RoomId(2);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// The version of all rooms in tests that are not about versions.
const VERSION: i64 = 1;

/// Renders about as much HTML as the real template.
pub(super) fn renderer() -> Renderer {
    Arc::new(|message| {
        let html = |suffix| {
            format!(
                "<li id=\"m{}\" data-deadline=\"{}\">{}{suffix}: {}</li>",
                message.id,
                message.deadline.0,
                message.author_name,
                message.text.as_str()
            )
            .into()
        };
        Rendered {
            for_others: html(""),
            for_author: html(" (you)"),
        }
    })
}

pub(super) fn log_of(messages_per_room: usize, bytes: usize) -> Messages {
    let capacity = Capacity {
        messages_per_room,
        bytes,
    };
    Messages::in_memory(capacity, 42, START, renderer())
}

fn large_log() -> Messages {
    log_of(500, 1 << 20)
}

pub(super) fn new_message(author: i64, text: &str, nonce: u8, lifespan: Duration) -> NewMessage {
    NewMessage {
        author: UserId(author),
        author_name: Arc::from("ada"),
        text: MessageText::parse(text).unwrap(),
        nonce: [nonce; 16],
        lifespan: Lifespan(lifespan),
        sent_at: Timestamp(START.0),
    }
}

pub(super) fn hello(nonce: u8) -> NewMessage {
    new_message(1, "hello", nonce, HOUR)
}

pub(super) fn hello_by(author: i64, nonce: u8, lifespan: Duration) -> NewMessage {
    new_message(author, "hello", nonce, lifespan)
}

/// Tells the log a version that was read from the database.
async fn tell_version(messages: &Messages, room: RoomId, version: i64) {
    let handle = messages.open(room).await.unwrap();
    handle.raise_version(version).await.unwrap();
}

/// Appends by `version`, in a session that has not ended.
async fn append_by(
    messages: &Messages,
    version: i64,
    room: RoomId,
    message: NewMessage,
    now: SiteTime,
) -> Appended {
    let wish = Wish {
        version,
        message,
        session: Token::received("").digest(),
        session_ended: &AtomicBool::new(false),
        quota: Quota::UNLIMITED,
    };
    messages.append(room, &wish, now).await.unwrap()
}

/// Appends a message whose author may post.
pub(super) async fn append(
    messages: &Messages,
    room: RoomId,
    new: NewMessage,
    now: SiteTime,
) -> Appended {
    tell_version(messages, room, VERSION).await;
    append_by(messages, VERSION, room, new, now).await
}

pub(super) async fn post(messages: &Messages, room: RoomId, nonce: u8, now: SiteTime) -> MessageId {
    let appended = append(messages, room, hello(nonce), now).await;
    appended.message().unwrap()
}

async fn page(messages: &Messages, room: RoomId, now: SiteTime) -> Page {
    messages
        .page(room, None, &Ignored::NOBODY, now)
        .await
        .unwrap()
}

async fn activity(messages: &Messages, now: SiteTime) -> Vec<(RoomId, SiteTime)> {
    let all = messages.activity(now, |activity| activity.newest_first().collect());
    all.await.unwrap()
}

pub(super) async fn page_ids(messages: &Messages, room: RoomId, now: SiteTime) -> Vec<MessageId> {
    ids(&page(messages, room, now).await)
}

fn ids(page: &Page) -> Vec<MessageId> {
    page.messages.iter().map(|message| message.id).collect()
}

fn news(since: Since) -> (Vec<MessageId>, Vec<MessageId>, Cursor) {
    match since {
        Since::News {
            added,
            removed,
            cursor,
            ..
        } => (added.iter().map(|m| m.id).collect(), removed, cursor),
        other => panic!("{other:?}"),
    }
}

/// Returns whether the subscription has something to tell, without waiting.
pub(super) async fn is_woken(subscription: &mut Subscription) -> bool {
    tokio::select! {
        biased;
        _ = subscription.changed() => true,
        () = std::future::ready(()) => false,
    }
}

/// Returns whether the log knows a version of the room. A log forgets the version of a room it frees.
async fn knows_version(messages: &Messages, room: RoomId, now: SiteTime) -> bool {
    append_by(messages, i64::MAX, room, hello(255), now).await != Appended::Stale
}

#[tokio::test]
async fn a_message_is_live_before_its_deadline_and_not_at_it() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    let deadline = START.plus(HOUR);
    let before = SiteTime(deadline.0 - 1);

    assert_eq!(page_ids(&messages, TEA, before).await, [id]);
    assert!(messages.find(TEA, id, before).await.unwrap().is_some());

    assert_eq!(page_ids(&messages, TEA, deadline).await, []);
    assert!(messages.find(TEA, id, deadline).await.unwrap().is_none());
}

#[tokio::test]
async fn a_read_with_an_earlier_time_revives_nothing() {
    let messages = large_log();
    post(&messages, TEA, 1, START).await;
    page(&messages, TEA, START.plus(HOUR)).await;

    assert_eq!(page_ids(&messages, TEA, START).await, []);
    assert!(matches!(
        messages.since(TEA, None, &Ignored::NOBODY, START).await.unwrap(),
        Since::Reset(page) if page.messages.is_empty()
    ));
}

#[tokio::test]
async fn a_page_has_the_newest_hundred_messages_and_the_page_before_has_older_ones() {
    let messages = large_log();
    let mut posted = Vec::new();
    for nonce in 0..150 {
        posted.push(post(&messages, TEA, nonce, START).await);
    }

    let newest = page(&messages, TEA, START).await;
    assert_eq!(ids(&newest), posted[50..]);
    assert!(newest.has_older);

    let older = messages
        .page(TEA, Some(posted[50]), &Ignored::NOBODY, START)
        .await
        .unwrap();
    assert_eq!(ids(&older), posted[..50]);
    assert!(!older.has_older);
}

#[tokio::test]
async fn a_full_room_evicts_its_oldest_message_and_tells_its_pages() {
    let messages = log_of(3, 1 << 20);
    let mut posted = Vec::new();
    for nonce in 0..3 {
        posted.push(post(&messages, TEA, nonce, START).await);
    }
    let cursor = page(&messages, TEA, START).await.cursor;

    let fourth = post(&messages, TEA, 3, START).await;

    assert_eq!(
        page_ids(&messages, TEA, START).await,
        [posted[1], posted[2], fourth]
    );
    let (added, removed, _) = news(
        messages
            .since(TEA, Some(cursor), &Ignored::NOBODY, START)
            .await
            .unwrap(),
    );
    assert_eq!((added, removed), (vec![fourth], vec![posted[0]]));
}

#[tokio::test]
async fn the_largest_room_evicts_first() {
    let messages = log_of(500, 20_000);
    let mut quiet = Vec::new();
    for nonce in 0..5 {
        quiet.push(post(&messages, CAKE, nonce, START).await);
    }

    for nonce in 0..=255 {
        post(&messages, TEA, nonce, START).await;
        assert!(messages.bytes().await.unwrap() <= 20_000);
    }

    assert_eq!(page_ids(&messages, CAKE, START).await, quiet);
    assert!(page_ids(&messages, TEA, START).await.len() > 5);
}

#[tokio::test]
async fn expired_messages_are_freed_before_live_ones_are_evicted() {
    let messages = log_of(500, 20_000);
    let mut count = 0;
    while messages.bytes().await.unwrap() < 19_000 {
        post(&messages, TEA, count, START).await;
        count += 1;
    }
    let kept = post(&messages, CAKE, 0, START.plus(HOUR / 2)).await;
    let cursor = page(&messages, TEA, START).await.cursor;

    let later = START.plus(HOUR);
    let before = messages.bytes().await.unwrap();
    for nonce in 0..4 {
        post(&messages, CAKE, 100 + nonce, later).await;
    }

    assert!(messages.bytes().await.unwrap() < before);
    assert_eq!(page_ids(&messages, CAKE, later).await.first(), Some(&kept));
    assert!(matches!(
        messages
            .since(TEA, Some(cursor), &Ignored::NOBODY, later)
            .await
            .unwrap(),
        Since::Nothing(_)
    ));
}

#[tokio::test]
async fn a_sweep_frees_what_has_expired() {
    let messages = large_log();
    post(&messages, TEA, 1, START).await;
    assert!(messages.bytes().await.unwrap() > 0);

    let later = START.plus(HOUR);
    messages.sweep(later).await.unwrap();

    assert_eq!(messages.bytes().await.unwrap(), 0);
    assert!(!knows_version(&messages, TEA, later).await);
}

#[tokio::test]
async fn a_sweep_keeps_a_room_that_somebody_subscribes_to() {
    let messages = large_log();
    post(&messages, TEA, 1, START).await;
    let mut subscription = messages.subscribe(TEA).await.unwrap();

    let later = START.plus(HOUR);
    messages.sweep(later).await.unwrap();
    assert!(!is_woken(&mut subscription).await);
    assert_eq!(messages.waiting_count(TEA), 1);
    messages.wake(TEA);
    assert!(is_woken(&mut subscription).await);

    drop(subscription);
    assert_eq!(messages.waiting_count(TEA), 0);
    messages.sweep(later).await.unwrap();
    assert!(!knows_version(&messages, TEA, later).await);
}

#[tokio::test]
async fn a_cursor_is_told_what_was_added_and_removed_after_it() {
    let messages = large_log();
    let first = post(&messages, TEA, 1, START).await;
    let cursor = page(&messages, TEA, START).await.cursor;
    assert_eq!(
        messages
            .since(TEA, Some(cursor), &Ignored::NOBODY, START)
            .await
            .unwrap(),
        Since::Nothing(cursor)
    );

    let second = post(&messages, TEA, 2, START).await;
    let third = post(&messages, TEA, 3, START).await;
    assert!(messages.delete(TEA, first, START).await.unwrap());
    assert!(messages.delete(TEA, third, START).await.unwrap());
    assert!(!messages.delete(TEA, third, START).await.unwrap());

    let (added, removed, cursor) = news(
        messages
            .since(TEA, Some(cursor), &Ignored::NOBODY, START)
            .await
            .unwrap(),
    );
    assert_eq!((added, removed), (vec![second], vec![first]));
    assert!(matches!(
        messages
            .since(TEA, Some(cursor), &Ignored::NOBODY, START)
            .await
            .unwrap(),
        Since::Nothing(_)
    ));
}

#[tokio::test]
async fn a_message_that_was_removed_is_not_told_after_its_deadline() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    let cursor = page(&messages, TEA, START).await.cursor;
    messages.delete(TEA, id, START).await.unwrap();

    let since = messages
        .since(TEA, Some(cursor), &Ignored::NOBODY, START.plus(HOUR))
        .await
        .unwrap();

    assert!(matches!(since, Since::Nothing(_)), "{since:?}");
}

#[tokio::test]
async fn a_cursor_that_cannot_be_followed_gets_all_live_messages() {
    let messages = log_of(2, 1 << 20);
    let too_old = page(&messages, TEA, START).await.cursor;
    for nonce in 0..20 {
        post(&messages, TEA, nonce, START).await;
    }

    let latest = page(&messages, TEA, START).await.cursor;
    let of_another_life = Cursor { life: 41, ..latest };
    for cursor in [None, Some(too_old), Some(of_another_life)] {
        assert!(matches!(
            messages.since(TEA, cursor, &Ignored::NOBODY, START).await.unwrap(),
            Since::Reset(page) if page.messages.len() == 2
        ));
    }
}

#[tokio::test]
async fn a_page_has_seen_the_messages_up_to_its_cursor() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    let cursor = page(&messages, TEA, START).await.cursor;

    assert_eq!(messages.followed_through(cursor), Some(id));
    let of_another_life = Cursor { life: 41, ..cursor };
    assert_eq!(messages.followed_through(of_another_life), None);
}

#[tokio::test]
async fn no_id_is_given_out_twice_when_a_room_was_freed() {
    let messages = large_log();
    let first = post(&messages, TEA, 1, START).await;
    let cursor = page(&messages, TEA, START).await.cursor;
    messages.sweep(START.plus(HOUR)).await.unwrap();

    let second = post(&messages, TEA, 2, START.plus(HOUR)).await;

    assert!(second > first);
    let (added, removed, _) = news(
        messages
            .since(TEA, Some(cursor), &Ignored::NOBODY, START.plus(HOUR))
            .await
            .unwrap(),
    );
    assert_eq!((added, removed), (vec![second], vec![]));
}

#[tokio::test]
async fn no_id_is_given_out_twice_when_a_room_was_forgotten() {
    let messages = large_log();
    let first = post(&messages, TEA, 1, START).await;
    messages.forget(TEA).await.unwrap();

    let second = post(&messages, TEA, 2, START).await;

    assert!(second > first);
}

#[tokio::test]
async fn a_nonce_leads_to_the_same_message_until_the_message_expires() {
    let messages = large_log();
    let first = append(&messages, TEA, hello(1), START).await;
    assert!(matches!(first, Appended::New(_)));

    let again = append(&messages, TEA, hello(1), START.plus(HOUR / 2)).await;
    let late = append(&messages, TEA, hello(1), START.plus(HOUR)).await;

    assert_eq!(again, Appended::Repeated(first.message().unwrap()));
    assert!(matches!(late, Appended::New(_)));
}

#[tokio::test]
async fn a_nonce_that_was_used_for_another_text_posts_nothing() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;

    let other_text = new_message(1, "goodbye", 1, HOUR);
    let appended = append(&messages, TEA, other_text, START).await;

    assert_eq!(appended, Appended::NonceReused);
    assert_eq!(appended.message(), None);
    assert_eq!(page_ids(&messages, TEA, START).await, [id]);
}

#[tokio::test]
async fn a_nonce_of_a_deleted_message_posts_nothing() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    messages.delete(TEA, id, START).await.unwrap();

    assert_eq!(
        append(&messages, TEA, hello(1), START).await,
        Appended::Repeated(id)
    );
    assert_eq!(page_ids(&messages, TEA, START).await, []);
}

#[tokio::test]
async fn readers_are_woken_when_messages_come_and_go_and_when_the_room_is_forgotten() {
    let messages = large_log();
    let mut subscription = messages.subscribe(TEA).await.unwrap();
    assert!(!is_woken(&mut subscription).await);

    let id = post(&messages, TEA, 1, START).await;
    assert!(is_woken(&mut subscription).await);
    messages.delete(TEA, id, START).await.unwrap();
    assert!(is_woken(&mut subscription).await);
    post(&messages, CAKE, 2, START).await;
    assert!(!is_woken(&mut subscription).await);
    messages.forget(TEA).await.unwrap();
    assert_eq!(subscription.changed().await, Err(Closed));
}

#[tokio::test]
async fn a_forgotten_room_closes_its_subscriptions_while_a_handle_holds_it() {
    let messages = large_log();
    let handle = messages.open(TEA).await.unwrap();
    let mut subscription = messages.subscribe(TEA).await.unwrap();

    messages.forget(TEA).await.unwrap();

    assert_eq!(subscription.changed().await, Err(Closed));
    handle.raise_version(VERSION).await.unwrap();
    assert!(!knows_version(&messages, TEA, START).await);
}

#[tokio::test]
async fn a_message_has_html_for_its_author_and_for_others() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    let message = messages.find(TEA, id, START).await.unwrap().unwrap();

    let deadline = message.deadline.0;
    assert_eq!(
        message.html_for(UserId(2)),
        format!("<li id=\"m{id}\" data-deadline=\"{deadline}\">ada: hello</li>")
    );
    assert_eq!(
        message.html_for(UserId(1)),
        format!("<li id=\"m{id}\" data-deadline=\"{deadline}\">ada (you): hello</li>")
    );
}

#[tokio::test]
async fn a_message_keeps_its_text_and_its_wall_clock_time() {
    let messages = large_log();
    let long = "x".repeat(1_000);
    let new = NewMessage {
        sent_at: Timestamp(7),
        ..new_message(1, &long, 1, HOUR)
    };
    let posted = append(&messages, TEA, new, START).await;

    let id = posted.message().unwrap();
    let message = messages.find(TEA, id, START).await.unwrap().unwrap();

    assert_eq!(message.room, TEA);
    assert_eq!(message.text.as_str(), long);
    assert_eq!(message.sent_at, Timestamp(7));
    assert_eq!(message.posted_at, START);
    // The text and its two renderings.
    assert!(messages.bytes().await.unwrap() > 3_000);
}

#[tokio::test]
async fn a_shorter_lifespan_acts_at_once() {
    let messages = large_log();
    let elsewhere = post(&messages, CAKE, 1, START).await;
    let first = post(&messages, TEA, 2, START).await;
    let second = post(&messages, TEA, 3, START.plus(HOUR / 2)).await;
    let now = START.plus(HOUR * 3 / 4);

    messages
        .shorten(TEA, Lifespan(HOUR * 3 / 4), EVERY_VERSION, now)
        .await
        .unwrap();

    assert!(messages.find(TEA, first, now).await.unwrap().is_none());
    let kept = messages.find(TEA, second, now).await.unwrap().unwrap();
    assert_eq!(kept.deadline, START.plus(HOUR * 5 / 4));
    let deadline = format!("data-deadline=\"{}\"", kept.deadline.0);
    assert!(kept.html_for(UserId(1)).contains(&deadline));
    assert!(kept.html_for(UserId(2)).contains(&deadline));
    let untouched = messages.find(CAKE, elsewhere, now).await.unwrap().unwrap();
    assert_eq!(untouched.deadline, START.plus(HOUR));
}

#[tokio::test]
async fn a_shorter_lifespan_renders_only_the_messages_whose_deadline_moves() {
    let messages = large_log();
    let short_lived = append(&messages, TEA, hello_by(1, 1, HOUR / 4), START).await;
    let id = short_lived.message().unwrap();
    post(&messages, TEA, 2, START).await;
    let before = messages.find(TEA, id, START).await.unwrap().unwrap();

    messages
        .shorten(TEA, Lifespan(HOUR / 2), EVERY_VERSION, START)
        .await
        .unwrap();

    let after = messages.find(TEA, id, START).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&before, &after));
}

#[tokio::test]
async fn readers_of_a_room_whose_lifespan_becomes_shorter_are_woken_and_reset() {
    let messages = large_log();
    let first = post(&messages, TEA, 1, START).await;
    let second = post(&messages, TEA, 2, START).await;
    messages.delete(TEA, first, START).await.unwrap();
    let cursor = page(&messages, TEA, START).await.cursor;
    let mut subscription = messages.subscribe(TEA).await.unwrap();

    messages
        .shorten(TEA, Lifespan(HOUR / 2), EVERY_VERSION, START)
        .await
        .unwrap();

    assert!(is_woken(&mut subscription).await);
    let Since::Reset(page) = messages
        .since(TEA, Some(cursor), &Ignored::NOBODY, START)
        .await
        .unwrap()
    else {
        panic!("the old deadlines stay on the page");
    };
    assert_eq!(ids(&page), [second]);
    assert!(matches!(
        messages
            .since(TEA, Some(page.cursor), &Ignored::NOBODY, START)
            .await
            .unwrap(),
        Since::Nothing(_)
    ));
}

#[tokio::test]
async fn a_longer_lifespan_changes_no_message_and_wakes_nobody() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    let cursor = page(&messages, TEA, START).await.cursor;
    let mut subscription = messages.subscribe(TEA).await.unwrap();

    for longer in [HOUR, HOUR * 2] {
        messages
            .shorten(TEA, Lifespan(longer), EVERY_VERSION, START)
            .await
            .unwrap();
    }

    assert!(!is_woken(&mut subscription).await);
    assert_eq!(
        messages
            .since(TEA, Some(cursor), &Ignored::NOBODY, START)
            .await
            .unwrap(),
        Since::Nothing(cursor)
    );
    let message = messages.find(TEA, id, START).await.unwrap().unwrap();
    assert_eq!(message.deadline, START.plus(HOUR));
}

#[tokio::test]
async fn removing_nothing_wakes_nobody_and_takes_no_number() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    let cursor = page(&messages, TEA, START).await.cursor;
    let mut subscription = messages.subscribe(TEA).await.unwrap();

    messages.delete_by(UserId(2), TEA, START).await.unwrap();
    messages
        .delete(TEA, MessageId(id.0 + 1), START)
        .await
        .unwrap();
    messages.clear(CAKE, EVERY_VERSION, START).await.unwrap();

    assert!(!is_woken(&mut subscription).await);
    assert_eq!(page(&messages, TEA, START).await.cursor, cursor);
}

#[tokio::test]
async fn a_shorter_lifespan_leaves_used_nonces_alone() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    messages
        .shorten(TEA, Lifespan(HOUR / 4), EVERY_VERSION, START)
        .await
        .unwrap();
    let later = START.plus(HOUR / 2);
    messages.sweep(later).await.unwrap();

    let again = append(&messages, TEA, hello(1), later).await;

    assert_eq!(again, Appended::Repeated(id));
    assert_eq!(messages.bytes().await.unwrap(), 0);
}

#[tokio::test]
async fn a_message_expires_behind_one_that_lives_longer() {
    let messages = large_log();
    let long_lived = append(&messages, TEA, hello_by(1, 1, HOUR * 2), START).await;
    post(&messages, TEA, 2, START).await;
    let later = START.plus(HOUR);

    assert_eq!(
        page_ids(&messages, TEA, later).await,
        [long_lived.message().unwrap()]
    );
    let held = messages.bytes().await.unwrap();
    messages.sweep(later).await.unwrap();
    assert!(messages.bytes().await.unwrap() < held);
}

#[tokio::test]
async fn a_nonce_that_is_used_again_after_its_deadline_leads_to_the_new_message() {
    let messages = large_log();
    append(&messages, TEA, hello_by(1, 1, HOUR * 3), START).await;
    post(&messages, TEA, 2, START).await;
    let later = START.plus(HOUR);
    let new = post(&messages, TEA, 2, later).await;

    assert_eq!(
        append(&messages, TEA, hello(2), later).await,
        Appended::Repeated(new)
    );
}

#[tokio::test]
async fn a_nonce_counts_as_used_until_its_messages_first_deadline() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    messages.delete(TEA, id, START).await.unwrap();
    let deadline = START.plus(HOUR);

    let again = append(&messages, TEA, hello(1), SiteTime(deadline.0 - 1)).await;
    assert_eq!(again, Appended::Repeated(id));
    let elsewhere = append(&messages, CAKE, hello(1), START).await;
    assert!(matches!(elsewhere, Appended::New(_)));
    let later = append(&messages, TEA, hello(1), deadline).await;
    assert!(matches!(later, Appended::New(_)));
}

#[tokio::test]
async fn nothing_of_a_forgotten_room_stays_on_a_page() {
    let messages = large_log();
    post(&messages, TEA, 1, START).await;
    let cursor = page(&messages, TEA, START).await.cursor;

    messages.forget(TEA).await.unwrap();

    assert!(matches!(
        messages.since(TEA, Some(cursor), &Ignored::NOBODY, START).await.unwrap(),
        Since::Reset(page) if page.messages.is_empty()
    ));
    assert_eq!(messages.bytes().await.unwrap(), 0);
    assert_eq!(activity(&messages, START).await, []);
}

#[tokio::test]
async fn new_messages_are_live_ones_by_others_after_a_message() {
    let messages = large_log();
    let mut ids = Vec::new();
    for (author, nonce, lifespan) in [
        (1, 1, HOUR * 2),
        (2, 2, HOUR * 2),
        (2, 3, HOUR),
        (3, 4, HOUR * 2),
    ] {
        let new = hello_by(author, nonce, lifespan);
        ids.extend(append(&messages, TEA, new, START).await.message());
    }
    let later = START.plus(HOUR);

    for (reader, after, now, count) in [
        (1, None, START, 3),
        (1, Some(ids[0]), START, 3),
        (1, Some(ids[1]), START, 2),
        (2, None, START, 2),
        (1, Some(ids[1]), later, 1),
    ] {
        let new = messages
            .new_for(TEA, UserId(reader), &Ignored::NOBODY, after, now)
            .await
            .unwrap();
        assert_eq!(new, count, "{reader} after {after:?}");
    }
    let in_cake = messages
        .new_for(CAKE, UserId(1), &Ignored::NOBODY, None, later)
        .await
        .unwrap();
    assert_eq!(in_cake, 0);
}

#[tokio::test]
async fn each_room_with_a_live_message_is_active_since_its_newest_one() {
    let messages = large_log();
    let later = START.plus(HOUR / 2);
    post(&messages, CAKE, 1, START).await;
    post(&messages, TEA, 2, START).await;
    let newest = post(&messages, TEA, 3, later).await;

    let mut active = activity(&messages, later).await;
    active.sort();
    assert_eq!(active, [(TEA, later), (CAKE, START)]);

    messages.delete(TEA, newest, later).await.unwrap();
    assert_eq!(activity(&messages, START.plus(HOUR)).await, []);
}

#[tokio::test]
async fn a_room_is_active_by_an_older_message_that_outlives_its_newest() {
    let messages = large_log();
    let later = START.plus(HOUR / 2);
    append(&messages, TEA, hello_by(1, 1, HOUR * 2), START).await;
    append(&messages, TEA, hello_by(1, 2, HOUR / 2), later).await;
    assert_eq!(activity(&messages, later).await, [(TEA, later)]);

    let after_newest = START.plus(HOUR);
    assert_eq!(activity(&messages, after_newest).await, [(TEA, START)]);
    assert_eq!(activity(&messages, START.plus(HOUR * 2)).await, []);
}

#[tokio::test]
async fn a_log_that_knows_no_version_refuses_a_message() {
    let messages = large_log();

    let before_opening = append_by(&messages, i64::MAX, TEA, hello(1), START).await;
    assert_eq!(before_opening, Appended::Stale);

    let handle = messages.open(TEA).await.unwrap();
    let before_telling = append_by(&messages, i64::MAX, TEA, hello(1), START).await;
    assert_eq!(before_telling, Appended::Stale);

    handle.raise_version(3).await.unwrap();
    let after_telling = append_by(&messages, 3, TEA, hello(1), START).await;
    assert!(matches!(after_telling, Appended::New(_)));
}

#[tokio::test]
async fn a_message_by_an_older_version_is_refused() {
    let messages = large_log();
    tell_version(&messages, TEA, 3).await;

    let by_older = append_by(&messages, 2, TEA, hello(1), START).await;
    assert_eq!(by_older, Appended::Stale);
    assert_eq!(page_ids(&messages, TEA, START).await, []);
    assert_eq!(messages.bytes().await.unwrap(), 0);
    let by_new = append_by(&messages, 3, TEA, hello(1), START).await;
    assert!(matches!(by_new, Appended::New(_)), "the nonce is not used");
}

#[tokio::test]
async fn a_message_by_a_newer_version_is_posted_and_does_not_raise_the_version() {
    let messages = large_log();
    tell_version(&messages, TEA, 3).await;

    let by_newer = append_by(&messages, 5, TEA, hello(1), START).await;
    assert!(matches!(by_newer, Appended::New(_)));
    let by_known = append_by(&messages, 3, TEA, hello(2), START).await;
    assert!(matches!(by_known, Appended::New(_)));
}

#[tokio::test]
async fn a_version_is_never_lowered() {
    let messages = large_log();
    let handle = messages.open(TEA).await.unwrap();
    messages.raise_version(TEA, 4).await.unwrap();

    // The handle's version was read from the database before version 4 was committed.
    handle.raise_version(3).await.unwrap();
    messages.raise_version(TEA, 2).await.unwrap();

    let by_3 = append_by(&messages, 3, TEA, hello(1), START).await;
    assert_eq!(by_3, Appended::Stale);
    let by_4 = append_by(&messages, 4, TEA, hello(1), START).await;
    assert!(matches!(by_4, Appended::New(_)));
}

#[tokio::test]
async fn a_version_that_is_told_late_makes_no_version_known() {
    let messages = large_log();
    messages.raise_version(TEA, 4).await.unwrap();
    let _subscription = messages.subscribe(TEA).await.unwrap();

    messages.raise_version(TEA, 3).await.unwrap();

    let by_3 = append_by(&messages, 3, TEA, hello(1), START).await;
    assert_eq!(by_3, Appended::Stale);
    assert!(!knows_version(&messages, TEA, START).await);
}

#[tokio::test]
async fn raising_a_version_wakes_nobody_a_second_time() {
    let messages = large_log();
    let mut subscription = messages.subscribe(TEA).await.unwrap();
    // As whoever applies the change does.
    messages.wake(TEA);
    assert!(is_woken(&mut subscription).await);

    messages.raise_version(TEA, 2).await.unwrap();

    assert!(!is_woken(&mut subscription).await);
}

#[tokio::test]
async fn a_version_of_a_room_that_is_not_held_is_not_remembered() {
    let messages = large_log();

    messages.raise_version(TEA, 2).await.unwrap();

    assert!(!knows_version(&messages, TEA, START).await);
}

#[tokio::test]
async fn a_handle_keeps_the_rooms_version_over_a_sweep() {
    let messages = large_log();
    let handle = messages.open(TEA).await.unwrap();
    handle.raise_version(3).await.unwrap();

    messages.sweep(START).await.unwrap();
    let by_3 = append_by(&messages, 3, TEA, hello_by(1, 1, Duration::ZERO), START).await;
    assert!(matches!(by_3, Appended::New(_)));

    drop(handle);
    messages.sweep(START).await.unwrap();
    assert!(!knows_version(&messages, TEA, START).await);
}

#[tokio::test]
async fn a_message_of_an_ended_session_is_refused() {
    let messages = large_log();
    let session_ended = AtomicBool::new(false);
    let wish = |nonce| Wish {
        version: VERSION,
        message: hello(nonce),
        session: Token::received("").digest(),
        session_ended: &session_ended,
        quota: Quota::UNLIMITED,
    };
    messages
        .open(TEA)
        .await
        .unwrap()
        .raise_version(VERSION)
        .await
        .unwrap();
    let first = messages.append(TEA, &wish(1), START).await.unwrap();

    session_ended.store(true, Ordering::Release);
    let second = messages.append(TEA, &wish(2), START).await.unwrap();

    assert_eq!(second, Appended::SessionEnded);
    assert_eq!(
        page_ids(&messages, TEA, START).await,
        [first.message().unwrap()]
    );
    // The session is looked at before the version and the nonce.
    messages.raise_version(TEA, VERSION + 1).await.unwrap();
    let by_older = messages.append(TEA, &wish(1), START).await.unwrap();
    assert_eq!(by_older, Appended::SessionEnded);
    let not_held = messages.append(CAKE, &wish(1), START).await.unwrap();
    assert_eq!(not_held, Appended::SessionEnded);
}

#[tokio::test]
async fn the_version_is_looked_at_before_the_nonce() {
    let messages = large_log();
    post(&messages, TEA, 1, START).await;
    messages.raise_version(TEA, VERSION + 1).await.unwrap();

    let again = append_by(&messages, VERSION, TEA, hello(1), START).await;

    assert_eq!(again, Appended::Stale);
}

#[tokio::test]
async fn all_messages_of_one_author_are_deleted_at_once() {
    let messages = large_log();
    let mut ids_of = Vec::new();
    for (author, nonce, room) in [(1, 1, TEA), (2, 2, TEA), (1, 3, TEA), (1, 4, CAKE)] {
        let new = hello_by(author, nonce, HOUR);
        ids_of.extend(append(&messages, room, new, START).await.message());
    }
    let [first, kept, second, elsewhere] = ids_of[..] else {
        panic!("{ids_of:?}");
    };
    let before = page(&messages, TEA, START).await.cursor;

    messages.delete_by(UserId(1), TEA, START).await.unwrap();

    let (added, removed, _) = news(
        messages
            .since(TEA, Some(before), &Ignored::NOBODY, START)
            .await
            .unwrap(),
    );
    assert_eq!((added, removed), (vec![], vec![first, second]));
    assert_eq!(page_ids(&messages, TEA, START).await, [kept]);
    assert_eq!(page_ids(&messages, CAKE, START).await, [elsewhere]);

    messages.forget_person(UserId(1), START).await.unwrap();
    assert_eq!(page_ids(&messages, CAKE, START).await, []);
    assert_eq!(page_ids(&messages, TEA, START).await, [kept]);
}

#[tokio::test]
async fn a_cleared_room_is_empty_and_its_pages_are_told() {
    let messages = large_log();
    let id = post(&messages, TEA, 1, START).await;
    let before = page(&messages, TEA, START).await.cursor;

    messages.clear(TEA, EVERY_VERSION, START).await.unwrap();

    let (added, removed, _) = news(
        messages
            .since(TEA, Some(before), &Ignored::NOBODY, START)
            .await
            .unwrap(),
    );
    assert_eq!((added, removed), (vec![], vec![id]));
    assert_eq!(messages.bytes().await.unwrap(), 0);
}

#[tokio::test]
async fn authors_are_people_with_live_messages() {
    let messages = large_log();
    for (author, nonce, lifespan) in [(1, 1, HOUR), (1, 2, HOUR), (2, 3, HOUR * 2)] {
        append(&messages, TEA, hello_by(author, nonce, lifespan), START).await;
    }
    let ada = Arc::<str>::from("ada");
    let (first, second) = ((UserId(1), Arc::clone(&ada)), (UserId(2), ada));

    assert_eq!(
        messages.authors(TEA, START).await.unwrap(),
        [first, second.clone()]
    );
    assert_eq!(
        messages.authors(TEA, START.plus(HOUR)).await.unwrap(),
        [second]
    );
    assert_eq!(messages.authors(CAKE, START).await.unwrap(), []);
}

#[tokio::test]
async fn open_pages_are_told_once_that_the_room_has_changed() {
    let messages = large_log();
    post(&messages, TEA, 1, START).await;
    // Nothing is held of this room.
    page(&messages, CAKE, START).await;

    for room in [TEA, CAKE] {
        let before = page(&messages, room, START).await.cursor;

        messages.note_room_change(room, 1).await.unwrap();

        let Since::News {
            is_changed: true,
            cursor,
            ..
        } = messages
            .since(room, Some(before), &Ignored::NOBODY, START)
            .await
            .unwrap()
        else {
            panic!("not told");
        };
        let after = messages
            .since(room, Some(cursor), &Ignored::NOBODY, START)
            .await
            .unwrap();
        assert!(matches!(after, Since::Nothing(_)), "{after:?}");
    }
}

#[test]
fn rooms_do_not_wait_for_each_other() {
    let (entered, has_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let render = renderer();
    let slow_in_tea: Renderer = Arc::new(move |message| {
        if message.room == TEA {
            entered.send(()).unwrap();
            is_released.lock().unwrap().recv().unwrap();
        }
        render(message)
    });
    let capacity = Capacity {
        messages_per_room: 500,
        bytes: 1 << 20,
    };
    let messages = Messages::in_memory(capacity, 42, START, slow_in_tea);
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap()
    };

    std::thread::scope(|scope| {
        let slow = scope.spawn(|| run().block_on(post(&messages, TEA, 1, START)));
        has_entered.recv().unwrap();

        run().block_on(async {
            let id = post(&messages, CAKE, 1, START).await;
            assert_eq!(page_ids(&messages, CAKE, START).await, [id]);
            assert_eq!(activity(&messages, START).await, [(CAKE, START)]);
            messages.delete(CAKE, id, START).await.unwrap();
            messages.forget(CAKE).await.unwrap();
        });

        release.send(()).unwrap();
        let id = slow.join().unwrap();
        assert_eq!(run().block_on(page_ids(&messages, TEA, START)), [id]);
    });
}

#[tokio::test]
async fn messages_of_an_ignored_person_are_not_shown_or_counted() {
    let messages = large_log();
    let mut kept = Vec::new();
    for number in 0..250 {
        let (author, nonce) = (i64::from(number % 2 + 1), u8::try_from(number).unwrap());
        let id = append(&messages, TEA, hello_by(author, nonce, HOUR), START).await;
        if author == 1 {
            kept.push(id.message().unwrap());
        }
    }
    let ignored = Ignored::from_iter([UserId(2)]);

    let newest = messages.page(TEA, None, &ignored, START).await.unwrap();
    assert_eq!(ids(&newest), kept[25..]);
    assert!(newest.has_older);
    let older = messages
        .page(TEA, Some(kept[25]), &ignored, START)
        .await
        .unwrap();
    assert_eq!(ids(&older), kept[..25]);
    assert!(!older.has_older);
    let new = messages
        .new_for(TEA, UserId(3), &ignored, None, START)
        .await
        .unwrap();
    assert_eq!(new, kept.len());
}

#[tokio::test]
async fn a_page_is_not_told_of_a_message_of_an_ignored_person() {
    let messages = large_log();
    let ignored = Ignored::from_iter([UserId(2)]);
    let cursor = messages
        .page(TEA, None, &ignored, START)
        .await
        .unwrap()
        .cursor;
    append(&messages, TEA, hello_by(2, 1, HOUR), START).await;

    let Since::Nothing(cursor) = messages
        .since(TEA, Some(cursor), &ignored, START)
        .await
        .unwrap()
    else {
        panic!("the page was told");
    };
    let id = post(&messages, TEA, 2, START).await;
    let since = messages
        .since(TEA, Some(cursor), &ignored, START)
        .await
        .unwrap();
    assert_eq!(news(since).0, [id]);
}

#[tokio::test]
async fn a_page_is_reset_when_its_reader_ignores_somebody_else() {
    let messages = large_log();
    let theirs = append(&messages, TEA, hello_by(2, 1, HOUR), START).await;
    let theirs = theirs.message().unwrap();
    let own = post(&messages, TEA, 2, START).await;
    let [two, both] = [vec![2], vec![3, 2]].map(|people| people.into_iter().map(UserId).collect());
    let mut cursor = page(&messages, TEA, START).await.cursor;

    for (ignored, shown) in [
        (&two, vec![own]),
        (&both, vec![own]),
        (&Ignored::NOBODY, vec![theirs, own]),
    ] {
        let Since::Reset(page) = messages
            .since(TEA, Some(cursor), ignored, START)
            .await
            .unwrap()
        else {
            panic!("{shown:?}");
        };
        assert_eq!(ids(&page), shown);
        cursor = page.cursor;
        assert_eq!(
            messages
                .since(TEA, Some(cursor), ignored, START)
                .await
                .unwrap(),
            Since::Nothing(cursor)
        );
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_pulse_tells_of_every_change_of_its_room_alone() {
    let messages = large_log();
    let (tea, cake) = (messages.pulse(TEA, START), messages.pulse(CAKE, START));
    let changes = |now| (tea.has_changed(now, now), cake.has_changed(now, now));
    assert_eq!(changes(START), (true, true), "nobody knows when");

    let posted_at = START.plus(SECOND);
    let id = post(&messages, TEA, 1, posted_at).await;
    assert_eq!(changes(posted_at), (true, false));
    let later = posted_at.plus(SECOND);
    page(&messages, TEA, later).await;
    messages.sweep(later).await.unwrap();
    assert_eq!(changes(later), (false, false), "reading is no change");

    messages.delete(TEA, id, later).await.unwrap();
    assert_eq!(changes(later), (true, false));
}

#[tokio::test]
async fn a_pulse_tells_of_an_expiry_before_and_after_the_message_is_freed() {
    let messages = large_log();
    let pulse = messages.pulse(TEA, START);
    post(&messages, TEA, 1, START).await;
    let (before, after) = (START.plus(HOUR - SECOND), START.plus(HOUR));
    assert!(!pulse.has_changed(before, before));

    assert!(pulse.has_changed(before, after));
    messages.sweep(after).await.unwrap();
    assert!(pulse.has_changed(before, after));
    let later = after.plus(SECOND);
    assert!(!pulse.has_changed(later, later), "once is enough");
}

#[tokio::test]
async fn a_room_keeps_its_pulse_while_somebody_holds_it() {
    let messages = large_log();
    let pulse = messages.pulse(TEA, START);
    let later = START.plus(HOUR * 2);
    post(&messages, TEA, 1, START).await;
    // The room is freed, and held again for the next message.
    messages.sweep(later).await.unwrap();
    messages.sweep(later).await.unwrap();
    let last = later.plus(HOUR);
    assert!(!pulse.has_changed(last, last));

    post(&messages, TEA, 2, last).await;

    assert!(pulse.has_changed(last, last));
    assert!(Arc::ptr_eq(&pulse, &messages.pulse(TEA, last)));
}
