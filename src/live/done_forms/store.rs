//! The forms that were done, as the rest of Mirage sees them.

use super::super::redis::Unavailable;
use super::made::Made;
use super::memory::{MemoryForms, MemoryTurn};
use crate::domain::{NonceId, SiteTime};

/// The forms that were done, and those that are being done.
pub struct DoneForms {
    place: Place,
}

/// Where the forms are known.
enum Place {
    Memory(MemoryForms),
}

/// The turn of one request. Until it is dropped, other requests with the same form wait.
///
/// A request without a valid nonce has a turn too, which nobody waits for and nothing is noted in.
pub struct Turn(Option<Named>);

enum Named {
    Memory(MemoryTurn),
}

impl DoneForms {
    /// Makes the forms of a process that shares them with no other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            place: Place::Memory(MemoryForms::default()),
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
        let Place::Memory(forms) = &self.place;
        let turn = forms.turn(nonce, now).await;
        Ok(Turn(Some(Named::Memory(turn))))
    }

    /// Frees the forms that have expired.
    pub fn sweep(&self, now: SiteTime) {
        let Place::Memory(forms) = &self.place;
        forms.sweep(now);
    }

    /// Returns the number of forms that were done or are being done.
    #[must_use]
    pub fn size(&self) -> usize {
        let Place::Memory(forms) = &self.place;
        forms.size()
    }
}

impl Turn {
    /// Returns what the form has made, if it was done a moment ago.
    #[must_use]
    pub fn made(&self) -> Option<Made> {
        let Named::Memory(turn) = self.0.as_ref()?;
        turn.made()
    }

    /// Notes what the form has made, for ten minutes.
    #[expect(clippy::unused_async, reason = "forms on Redis will wait for it")]
    pub async fn note(&self, made: Made, now: SiteTime) {
        if let Some(Named::Memory(turn)) = &self.0 {
            turn.note(made, now);
        }
    }
}
