//! The forms that were done, as the rest of Mirage sees them.

use std::sync::Arc;

use super::super::redis::{Link, Unavailable};
use super::made::Made;
use super::memory::{MemoryForms, MemoryTurn};
use super::shared::{SharedForms, SharedTurn};
use crate::domain::{NonceId, SiteTime};

/// The forms that were done, and those that are being done.
pub struct DoneForms {
    place: Place,
}

/// Where the forms are known.
enum Place {
    Memory(MemoryForms),
    Redis(SharedForms),
}

/// The turn of one request. Until it is dropped, other requests with the same form wait.
///
/// A request without a valid nonce has a turn too, which nobody waits for and nothing is noted in.
pub struct Turn(Option<Named>);

enum Named {
    Memory(MemoryTurn),
    Redis(Box<SharedTurn>),
}

impl DoneForms {
    /// Makes the forms of a process that shares them with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(MemoryForms::default()),
        }
    }

    /// Makes the forms that all processes of a site know.
    #[must_use]
    pub fn on_redis(link: Arc<Link>) -> Self {
        Self {
            place: Place::Redis(SharedForms::new(link)),
        }
    }

    /// Waits until no earlier request with the form of this nonce has its turn.
    ///
    /// # Errors
    /// When the forms cannot be reached.
    pub async fn turn(&self, nonce: Option<NonceId>, now: SiteTime) -> Result<Turn, Unavailable> {
        let Some(nonce) = nonce else {
            return Ok(Turn(None));
        };
        let turn = match &self.place {
            Place::Memory(forms) => Named::Memory(forms.turn(nonce, now).await),
            Place::Redis(shared) => Named::Redis(Box::new(shared.turn(nonce, now).await?)),
        };
        Ok(Turn(Some(turn)))
    }

    /// Frees the forms that have expired.
    pub async fn sweep(&self, now: SiteTime) {
        match &self.place {
            Place::Memory(forms) => forms.sweep(now),
            // The next sweep does it.
            Place::Redis(shared) => shared.sweep(now).await.unwrap_or_default(),
        }
    }

    /// Returns the number of forms in this process's memory that were done or are being done.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.place {
            Place::Memory(forms) => forms.size(),
            Place::Redis(shared) => shared.size(),
        }
    }
}

impl Turn {
    /// Returns what the form has made, if it was done a moment ago.
    #[must_use]
    pub fn made(&self) -> Option<Made> {
        match self.0.as_ref()? {
            Named::Memory(turn) => turn.made(),
            Named::Redis(turn) => turn.made.clone(),
        }
    }

    /// Notes what the form has made, for ten minutes.
    pub async fn note(&self, made: Made, now: SiteTime) {
        match &self.0 {
            Some(Named::Memory(turn)) => turn.note(made, now),
            Some(Named::Redis(turn)) => turn.note(&made, now).await,
            None => {}
        }
    }
}
