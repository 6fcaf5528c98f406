//! How many drafts are kept, and for how long.

use std::time::Duration;

/// How long a draft is kept.
pub(super) const RETENTION: Duration = Duration::from_secs(86_400);
/// The maximum number of drafts of one person, who has at most one per room.
pub(super) const MAX_PER_AUTHOR: usize = 3;
/// The maximum number of drafts of all people together.
pub(super) const MAX_DRAFTS: usize = 1_000;
/// The maximum size of all drafts together, in bytes.
pub(super) const MAX_BYTES: usize = 4 << 20;
