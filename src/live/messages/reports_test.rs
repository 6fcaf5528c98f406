use std::time::Duration;

use super::reports::MAX_PER_REPORTER;
use super::tests::{
    CAKE, HOUR, START, TEA, append, hello, hello_by, is_woken, log_of, page_ids, post,
};
use super::*;
use crate::domain::{Lifespan, MessageId, Reason, RoomId, SiteTime, UserId};

/// Ada, user 1, writes the messages.
const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const EVE: UserId = UserId(3);

async fn report(messages: &Messages, id: MessageId, by: UserId, now: SiteTime) -> Reported {
    let reason = Reason::parse(&format!("Reason of {by}")).unwrap();
    messages.report(TEA, id, by, reason, now).await.unwrap()
}

async fn reported(messages: &Messages, room: RoomId, now: SiteTime) -> Vec<MessageId> {
    let reports = messages.reports(room, now).await.unwrap();
    reports.iter().map(|report| report.message.id).collect()
}

/// A log with one message, which Bob has reported.
async fn log_with_report() -> (Messages, MessageId) {
    let messages = log_of(500, 1 << 20);
    let id = post(&messages, TEA, 1, START).await;
    assert_eq!(report(&messages, id, BOB, START).await, Reported::Done);
    (messages, id)
}

#[tokio::test]
async fn a_report_ends_at_its_messages_deadline_and_is_freed() {
    let (messages, id) = log_with_report().await;
    messages.delete(TEA, id, START).await.unwrap();
    let deadline = START.plus(HOUR);

    assert_eq!(
        reported(&messages, TEA, SiteTime(deadline.0 - 1)).await,
        [id]
    );
    assert_eq!(reported(&messages, TEA, deadline).await, []);
    assert!(messages.bytes().await.unwrap() > 0);
    messages.sweep(deadline).await.unwrap();
    assert_eq!(messages.bytes().await.unwrap(), 0);
}

#[tokio::test]
async fn a_report_ends_earlier_when_the_lifespan_is_shortened() {
    let (messages, id) = log_with_report().await;
    messages.delete(TEA, id, START).await.unwrap();
    let minute = Duration::from_secs(60);

    messages
        .shorten(TEA, Lifespan(minute), EVERY_VERSION, START)
        .await
        .unwrap();
    messages
        .shorten(TEA, Lifespan(HOUR), EVERY_VERSION, START)
        .await
        .unwrap();

    assert_eq!(
        reported(&messages, TEA, SiteTime(START.plus(minute).0 - 1)).await,
        [id]
    );
    assert_eq!(reported(&messages, TEA, START.plus(minute)).await, []);
}

#[tokio::test]
async fn a_report_outlives_deletion_and_eviction_but_not_closing() {
    let messages = log_of(1, 1 << 20);
    let deleted = post(&messages, TEA, 1, START).await;
    report(&messages, deleted, BOB, START).await;
    messages.delete(TEA, deleted, START).await.unwrap();
    let evicted = post(&messages, TEA, 2, START).await;
    report(&messages, evicted, BOB, START).await;
    let latest = post(&messages, TEA, 3, START).await;
    messages.delete_by(ADA, TEA, START).await.unwrap();

    assert!(messages.find(TEA, latest, START).await.unwrap().is_none());
    assert_eq!(reported(&messages, TEA, START).await, [deleted, evicted]);
    messages.close_report(TEA, deleted, START).await.unwrap();
    assert_eq!(reported(&messages, TEA, START).await, [evicted]);
}

#[tokio::test]
async fn reports_go_with_the_room_and_with_a_clearing_of_the_room() {
    let (messages, id) = log_with_report().await;
    messages.delete(TEA, id, START).await.unwrap();
    messages.clear(TEA, EVERY_VERSION, START).await.unwrap();
    assert_eq!(reported(&messages, TEA, START).await, []);
    assert_eq!(messages.bytes().await.unwrap(), 0);

    let id = post(&messages, TEA, 2, START).await;
    report(&messages, id, BOB, START).await;
    messages.forget(TEA).await.unwrap();
    assert_eq!(reported(&messages, TEA, START).await, []);
    assert_eq!(messages.bytes().await.unwrap(), 0);
}

#[tokio::test]
async fn reports_go_with_the_account_of_the_author_and_of_the_last_reporter() {
    let (messages, id) = log_with_report().await;
    messages.delete(TEA, id, START).await.unwrap();
    messages.forget_person(ADA, START).await.unwrap();
    assert_eq!(reported(&messages, TEA, START).await, []);

    let id = post(&messages, TEA, 2, START).await;
    report(&messages, id, BOB, START).await;
    report(&messages, id, EVE, START).await;
    messages.forget_person(BOB, START).await.unwrap();
    let reports = messages.reports(TEA, START).await.unwrap();
    let reasons: Vec<_> = reports[0].reasons().map(Reason::as_str).collect();
    assert_eq!(reasons, ["Reason of 3"]);
    messages.forget_person(EVE, START).await.unwrap();
    assert_eq!(reported(&messages, TEA, START).await, []);
}

#[tokio::test]
async fn reports_of_one_message_are_one_with_a_reason_of_each_person() {
    let (messages, id) = log_with_report().await;
    report(&messages, id, EVE, START).await;
    report(&messages, id, BOB, START).await;

    let reports = messages.reports(TEA, START).await.unwrap();
    assert_eq!(reports.len(), 1);
    let reasons: Vec<_> = reports[0].reasons().map(Reason::as_str).collect();
    assert_eq!(reasons, ["Reason of 3", "Reason of 2"]);
}

#[tokio::test]
async fn only_live_messages_can_be_reported() {
    let (messages, id) = log_with_report().await;
    let gone = report(&messages, id, EVE, START.plus(HOUR)).await;
    assert_eq!(gone, Reported::NoSuchMessage);

    let never = report(&messages, MessageId(1), EVE, START).await;
    assert_eq!(never, Reported::NoSuchMessage);
    let reason = Reason::parse("Elsewhere").unwrap();
    let elsewhere = messages.report(CAKE, id, EVE, reason, START).await.unwrap();
    assert_eq!(elsewhere, Reported::NoSuchMessage);
}

#[tokio::test]
async fn a_person_has_few_open_reports_in_a_room() {
    let messages = log_of(500, 1 << 20);
    let mut ids = Vec::new();
    for nonce in 0..=u8::try_from(MAX_PER_REPORTER).unwrap() {
        ids.push(post(&messages, TEA, nonce, START).await);
    }
    let last = ids.pop().unwrap();
    for id in &ids {
        assert_eq!(report(&messages, *id, BOB, START).await, Reported::Done);
    }

    assert_eq!(
        report(&messages, last, BOB, START).await,
        Reported::TooManyOpen
    );
    assert_eq!(report(&messages, ids[0], BOB, START).await, Reported::Done);
    assert_eq!(report(&messages, last, EVE, START).await, Reported::Done);
    messages.close_report(TEA, ids[0], START).await.unwrap();
    assert_eq!(report(&messages, last, BOB, START).await, Reported::Done);
}

#[tokio::test]
async fn reports_count_for_the_capacity_and_crowd_out_no_other_room_and_no_new_message() {
    const CAPACITY: usize = 10_000;
    let messages = log_of(500, CAPACITY);
    let quiet = append(&messages, CAKE, hello_by(2, 1, HOUR), START).await;
    let quiet = quiet.message().unwrap();
    let mut filed = Vec::new();
    for nonce in 0..200 {
        let id = append(&messages, TEA, hello(nonce), START).await;
        let id = id.message().unwrap();
        let reporter = UserId(100 + i64::from(nonce));
        assert_eq!(report(&messages, id, reporter, START).await, Reported::Done);
        filed.push(id);

        assert!(messages.bytes().await.unwrap() <= CAPACITY, "after {nonce}");
    }

    assert_eq!(page_ids(&messages, CAKE, START).await, [quiet]);
    // The oldest went, of messages and of reports.
    for left in [
        page_ids(&messages, TEA, START).await,
        reported(&messages, TEA, START).await,
    ] {
        assert!(left.len() > 1 && filed.ends_with(&left), "{left:?}");
    }
}

#[tokio::test]
async fn a_report_is_no_event_that_pages_could_notice() {
    let messages = log_of(500, 1 << 20);
    let id = post(&messages, TEA, 1, START).await;
    let nobody = &Ignored::NOBODY;
    let before = messages.page(TEA, None, nobody, START).await.unwrap();
    let mut subscription = messages.subscribe(TEA).await.unwrap();

    report(&messages, id, BOB, START).await;
    messages.close_report(TEA, id, START).await.unwrap();

    assert_eq!(
        messages.page(TEA, None, nobody, START).await.unwrap(),
        before
    );
    assert!(!is_woken(&mut subscription).await);
}
