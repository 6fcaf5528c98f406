//! The forms that were done, wherever they are known.

use std::time::Duration;

use super::made::{MAX_FORMS, RETENTION};
use super::{DoneForms, Made, Turn};
use crate::domain::{RoomId, SiteTime};

const NOW: SiteTime = SiteTime(1_795_352_700_000);
const TEA: Made = Made::Room(RoomId(1));

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

async fn turn(forms: &DoneForms, nonce: u128, now: SiteTime) -> Turn {
    forms.turn(Some(nonce.to_be_bytes()), now).await.unwrap()
}

#[test]
fn what_a_form_has_made_is_known_for_ten_minutes() {
    run(async {
        let forms = DoneForms::in_memory();
        turn(&forms, 1, NOW).await.note(TEA, NOW).await;
        let last_moment = SiteTime(NOW.plus(RETENTION).0 - 1);

        assert_eq!(turn(&forms, 1, last_moment).await.made(), Some(TEA));
        assert_eq!(turn(&forms, 2, last_moment).await.made(), None);
        assert_eq!(forms.size(), 1);
        let later = NOW.plus(RETENTION);
        assert_eq!(turn(&forms, 1, later).await.made(), None);
        assert_eq!(forms.size(), 0);
    });
}

#[test]
fn the_second_request_with_a_form_waits_for_the_first_and_others_do_not() {
    run(async {
        let forms = DoneForms::in_memory();
        let first = turn(&forms, 1, NOW).await;
        let mut second = Box::pin(turn(&forms, 1, NOW));
        assert!(is_waiting(second.as_mut()).await);
        assert_eq!(turn(&forms, 2, NOW).await.made(), None);

        first.note(TEA, NOW).await;
        assert!(is_waiting(second.as_mut()).await);
        drop(first);

        assert_eq!(second.await.made(), Some(TEA));
    });
}

#[test]
fn a_request_without_a_valid_nonce_neither_waits_nor_leaves_anything() {
    run(async {
        let forms = DoneForms::in_memory();
        let first = forms.turn(None, NOW).await.unwrap();
        first.note(TEA, NOW).await;

        assert_eq!(first.made(), None);
        assert_eq!(forms.turn(None, NOW).await.unwrap().made(), None);
        assert_eq!(forms.size(), 0);
    });
}

#[test]
fn a_form_that_was_not_done_is_forgotten_when_its_last_request_is_over() {
    run(async {
        let forms = DoneForms::in_memory();
        let first = turn(&forms, 1, NOW).await;
        let mut given_up = Box::pin(turn(&forms, 1, NOW));
        assert!(is_waiting(given_up.as_mut()).await);
        drop(given_up);
        let mut second = Box::pin(turn(&forms, 1, NOW));
        assert!(is_waiting(second.as_mut()).await);

        drop(first);
        assert_eq!(forms.size(), 1);
        drop(second.await);
        assert_eq!(forms.size(), 0);
    });
}

#[test]
fn the_oldest_done_forms_are_evicted_when_there_are_too_many() {
    run(async {
        let forms = DoneForms::in_memory();
        let held = turn(&forms, u128::MAX, NOW).await;
        for nonce in 0..=10_000 {
            turn(&forms, nonce, NOW).await.note(TEA, NOW).await;
        }

        assert_eq!(forms.size(), MAX_FORMS + 1);
        drop(held);
        assert_eq!(turn(&forms, 0, NOW).await.made(), None);
        assert_eq!(turn(&forms, 1, NOW).await.made(), Some(TEA));
    });
}

#[test]
fn what_is_noted_again_replaces_what_was_noted_and_expires_with_it() {
    run(async {
        let forms = DoneForms::in_memory();
        let later = NOW.plus(RETENTION / 2);
        turn(&forms, 1, NOW).await.note(TEA, NOW).await;
        let other = Made::Room(RoomId(2));
        turn(&forms, 1, later)
            .await
            .note(other.clone(), later)
            .await;

        assert_eq!(turn(&forms, 1, later).await.made(), Some(other));
        forms.sweep(NOW.plus(RETENTION));
        assert_eq!(forms.size(), 0);
    });
}

/// Polls `turn` once. Returns whether it waits.
async fn is_waiting(turn: std::pin::Pin<&mut impl Future<Output = Turn>>) -> bool {
    tokio::time::timeout(Duration::ZERO, turn).await.is_err()
}
