//! Done forms in this process's memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::made::{MAX_FORMS, Made, RETENTION};
use crate::domain::{NonceId, SiteTime};

/// The forms that were done, and those that are being done.
#[derive(Default)]
pub(super) struct MemoryForms(Arc<Mutex<Forms>>);

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

/// The turn of one request with a form.
pub(super) struct MemoryTurn {
    forms: Arc<Mutex<Forms>>,
    nonce: NonceId,
    /// Dropped by [`Drop`].
    permit: Option<OwnedMutexGuard<()>>,
}

impl MemoryForms {
    pub(super) async fn turn(&self, nonce: NonceId, now: SiteTime) -> MemoryTurn {
        let turn = {
            let mut forms = lock(&self.0);
            forms.drop_old(now);
            Arc::clone(&forms.by_nonce.entry(nonce).or_default().turn)
        };
        // Made before the wait, so that a request that is dropped while it waits frees the form.
        let mut named = MemoryTurn {
            forms: Arc::clone(&self.0),
            nonce,
            permit: None,
        };
        named.permit = Some(turn.lock_owned().await);
        named
    }

    /// Frees the forms that have expired.
    pub(super) fn sweep(&self, now: SiteTime) {
        let mut forms = lock(&self.0);
        forms.drop_old(now);
        forms.by_nonce.shrink_to_fit();
        forms.done.shrink_to_fit();
    }

    /// Returns the number of forms that were done or are being done.
    pub(super) fn size(&self) -> usize {
        lock(&self.0).by_nonce.len()
    }
}

impl MemoryTurn {
    pub(super) fn made(&self) -> Option<Made> {
        lock(&self.forms).by_nonce.get(&self.nonce)?.made.clone()
    }

    pub(super) fn note(&self, made: Made, now: SiteTime) {
        let mut forms = lock(&self.forms);
        let form = forms.by_nonce.entry(self.nonce).or_default();
        if form.made.replace(made).is_none() {
            forms.done.push_back((self.nonce, now.plus(RETENTION)));
        }
        if forms.done.len() > MAX_FORMS
            && let Some((oldest, _)) = forms.done.pop_front()
        {
            forms.forget(oldest);
        }
    }
}

impl Drop for MemoryTurn {
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

    #[test]
    fn the_forms_use_little_memory() {
        assert!(MAX_FORMS * size_of::<(NonceId, Form)>() < 1 << 20);
    }
}
