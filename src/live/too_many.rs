//! A refusal by a rate limit.

use std::fmt;
use std::time::Duration;

use super::redis::Unavailable;
use crate::domain::Lifespan;

/// The maximum number of keys (people, names or addresses) that a limit counts separately: clients can make
/// up addresses by the million.
pub(super) const MAX_KEYS: usize = 100_000;

/// A refusal because of too many requests, with the time to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// The time to wait, in whole seconds; at least 1.
    pub wait_s: u64,
}

/// The reason why something was not counted. It must not be done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// There were too many requests.
    TooMany(TooMany),
    /// The counters cannot be reached. What is limited is never done without a limit.
    Unavailable(Unavailable),
}

impl From<TooMany> for Limited {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl From<Unavailable> for Limited {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Formats the time to wait for people: `30 seconds`.
impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Lifespan(Duration::from_secs(self.wait_s)).fmt(f)
    }
}

impl TooMany {
    pub(super) fn wait(wait: Duration) -> Self {
        Self {
            wait_s: wait
                .as_millis()
                .div_ceil(1_000)
                .max(1)
                .try_into()
                .unwrap_or(u64::MAX),
        }
    }
}
