//! Forms that were done a moment ago, by their nonce, so that a form that is sent twice leads to one success.
//!
//! The requests with one form take turns: the second of two concurrent ones finds what the first has made. What a
//! form led to gives no right by itself. Services check it against the stored rows, and a new password against the
//! account's stored hash: a hash of a password that is made to be fast, such as an HMAC, would let whoever reads
//! this memory guess the password faster than whoever reads the database.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::domain::{InviteId, InviteLifetime, InviteUses, NonceId, RoomId, SiteTime, UserId};
use crate::security::tokens::Token;

/// How long a form that was done is known.
const RETENTION: Duration = Duration::from_secs(600);
/// The maximum number of done forms. The oldest go first.
const MAX_FORMS: usize = 10_000;

/// What a form has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A password of this person, and a session.
    Password {
        /// The person.
        user: UserId,
        /// The key of the session. The answer to the second request sets the same cookie as the answer to the first:
        /// with a session each, a browser that receives the two in the other order than they were made would keep
        /// the one that was ended, and if none was ended, one would be left over.
        key: Token,
    },
    /// A room.
    Room(RoomId),
    /// A membership of a room.
    Membership(RoomId),
    /// An invite link.
    Invite {
        /// The link's id.
        id: InviteId,
        /// The link's token.
        token: Token,
        /// How long the link works, and for how many people, as the form said.
        choice: (InviteLifetime, InviteUses),
    },
    /// A sign-up link or, if there is a person, the link that resets the person's password, made by an operator.
    OneTimeLink {
        /// The person whose password the link resets.
        person: Option<UserId>,
        /// The link's token.
        token: Token,
    },
    /// The end of something: a message, a room, a membership. The answer led to this address.
    End(String),
}

/// The forms that were done, and those that are being done.
#[derive(Default)]
pub struct DoneForms(Arc<Mutex<Forms>>);

#[derive(Default)]
struct Forms {
    by_nonce: HashMap<NonceId, Form>,
    /// The nonces of the done forms and when each expires, oldest first.
    done: VecDeque<(NonceId, SiteTime)>,
}

#[derive(Default)]
struct Form {
    turn: Arc<AsyncMutex<()>>,
    made: Option<Made>,
}

/// The turn of one request. Until it is dropped, other requests with the same form wait.
///
/// A request without a valid nonce has a turn too, which nobody waits for and nothing is noted in.
pub struct Turn(Option<NamedTurn>);

struct NamedTurn {
    forms: Arc<Mutex<Forms>>,
    nonce: NonceId,
    /// Dropped by [`Drop`].
    permit: Option<OwnedMutexGuard<()>>,
}

impl DoneForms {
    /// Waits until no earlier request with the form of this nonce has its turn.
    pub async fn turn(&self, nonce: Option<NonceId>, now: SiteTime) -> Turn {
        let Some(nonce) = nonce else {
            return Turn(None);
        };
        let turn = {
            let mut forms = lock(&self.0);
            forms.drop_old(now);
            Arc::clone(&forms.by_nonce.entry(nonce).or_default().turn)
        };
        // Made before the wait, so that a request that is dropped while it waits frees the form.
        let mut named = NamedTurn {
            forms: Arc::clone(&self.0),
            nonce,
            permit: None,
        };
        named.permit = Some(turn.lock_owned().await);
        Turn(Some(named))
    }

    /// Frees the forms that have expired.
    pub fn sweep(&self, now: SiteTime) {
        let mut forms = lock(&self.0);
        forms.drop_old(now);
        forms.by_nonce.shrink_to_fit();
        forms.done.shrink_to_fit();
    }

    /// Returns the number of forms that were done or are being done.
    #[must_use]
    pub fn size(&self) -> usize {
        lock(&self.0).by_nonce.len()
    }
}

impl Turn {
    /// Returns what the form has made, if it was done a moment ago.
    #[must_use]
    pub fn made(&self) -> Option<Made> {
        let turn = self.0.as_ref()?;
        lock(&turn.forms).by_nonce.get(&turn.nonce)?.made.clone()
    }

    /// Notes what the form has made, for ten minutes.
    pub fn note(&self, made: Made, now: SiteTime) {
        let Some(turn) = &self.0 else {
            return;
        };
        let mut forms = lock(&turn.forms);
        let form = forms.by_nonce.entry(turn.nonce).or_default();
        if form.made.replace(made).is_none() {
            forms.done.push_back((turn.nonce, now.plus(RETENTION)));
        }
        if forms.done.len() > MAX_FORMS
            && let Some((oldest, _)) = forms.done.pop_front()
        {
            forms.forget(oldest);
        }
    }
}

impl Drop for NamedTurn {
    fn drop(&mut self) {
        let mut forms = lock(&self.forms);
        // While the forms are locked, so that no request takes a turn of a form that is being removed.
        self.permit = None;
        forms.remove_unused(self.nonce);
    }
}

impl Forms {
    fn drop_old(&mut self, now: SiteTime) {
        while let Some((nonce, _)) = self.done.pop_front_if(|(_, until)| *until <= now) {
            self.forget(nonce);
        }
    }

    /// Forgets what the form has made. Requests that have or await a turn keep it.
    fn forget(&mut self, nonce: NonceId) {
        if let Some(form) = self.by_nonce.get_mut(&nonce) {
            form.made = None;
        }
        self.remove_unused(nonce);
    }

    /// Removes the form if it was not done and no request has or awaits a turn.
    fn remove_unused(&mut self, nonce: NonceId) {
        let is_unused = |form: &Form| form.made.is_none() && Arc::strong_count(&form.turn) == 1;
        if self.by_nonce.get(&nonce).is_some_and(is_unused) {
            self.by_nonce.remove(&nonce);
        }
    }
}

fn lock(forms: &Mutex<Forms>) -> MutexGuard<'_, Forms> {
    forms.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SiteTime = SiteTime(1_795_352_700_000);
    const TEA: Made = Made::Room(RoomId(1));

    async fn turn(forms: &DoneForms, nonce: u128, now: SiteTime) -> Turn {
        forms.turn(Some(nonce.to_be_bytes()), now).await
    }

    #[tokio::test]
    async fn what_a_form_has_made_is_known_for_ten_minutes() {
        let forms = DoneForms::default();
        turn(&forms, 1, NOW).await.note(TEA, NOW);
        let last_moment = SiteTime(NOW.plus(RETENTION).0 - 1);

        assert_eq!(turn(&forms, 1, last_moment).await.made(), Some(TEA));
        assert_eq!(turn(&forms, 2, last_moment).await.made(), None);
        assert_eq!(forms.size(), 1);
        let later = NOW.plus(RETENTION);
        assert_eq!(turn(&forms, 1, later).await.made(), None);
        assert_eq!(forms.size(), 0);
    }

    #[tokio::test]
    async fn the_second_request_with_a_form_waits_for_the_first_and_others_do_not() {
        let forms = DoneForms::default();
        let first = turn(&forms, 1, NOW).await;
        let mut second = Box::pin(turn(&forms, 1, NOW));
        assert!(is_waiting(second.as_mut()).await);
        assert_eq!(turn(&forms, 2, NOW).await.made(), None);

        first.note(TEA, NOW);
        assert!(is_waiting(second.as_mut()).await);
        drop(first);

        assert_eq!(second.await.made(), Some(TEA));
    }

    #[tokio::test]
    async fn a_request_without_a_valid_nonce_neither_waits_nor_leaves_anything() {
        let forms = DoneForms::default();
        let first = forms.turn(None, NOW).await;
        first.note(TEA, NOW);

        assert_eq!(first.made(), None);
        assert_eq!(forms.turn(None, NOW).await.made(), None);
        assert_eq!(forms.size(), 0);
    }

    #[tokio::test]
    async fn a_form_that_was_not_done_is_forgotten_when_its_last_request_is_over() {
        let forms = DoneForms::default();
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
    }

    #[tokio::test]
    async fn the_oldest_done_forms_are_evicted_when_there_are_too_many() {
        let forms = DoneForms::default();
        let held = turn(&forms, u128::MAX, NOW).await;
        for nonce in 0..=10_000 {
            turn(&forms, nonce, NOW).await.note(TEA, NOW);
        }

        assert_eq!(forms.size(), MAX_FORMS + 1);
        drop(held);
        assert_eq!(turn(&forms, 0, NOW).await.made(), None);
        assert_eq!(turn(&forms, 1, NOW).await.made(), Some(TEA));
        assert!(MAX_FORMS * size_of::<(NonceId, Form)>() < 1 << 20);
    }

    #[tokio::test]
    async fn what_is_noted_again_replaces_what_was_noted_and_expires_with_it() {
        let forms = DoneForms::default();
        let later = NOW.plus(RETENTION / 2);
        turn(&forms, 1, NOW).await.note(TEA, NOW);
        let other = Made::Room(RoomId(2));
        turn(&forms, 1, later).await.note(other.clone(), later);

        assert_eq!(turn(&forms, 1, later).await.made(), Some(other));
        forms.sweep(NOW.plus(RETENTION));
        assert_eq!(forms.size(), 0);
    }

    /// Polls `turn` once. Returns whether it waits.
    async fn is_waiting(turn: std::pin::Pin<&mut impl Future<Output = Turn>>) -> bool {
        tokio::time::timeout(Duration::ZERO, turn).await.is_err()
    }
}
