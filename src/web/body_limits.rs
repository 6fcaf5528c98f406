//! Limits on the size of requests' bodies, and the memory that large bodies share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory for large bodies, in bytes.
const LARGE_BODY_MEMORY: usize = 32 << 20;

/// How many bytes a body may have for any route.
pub const SHORT: usize = 8 * 1024;

/// How many bytes the body of a request may have.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The limit for everybody.
    pub everybody: usize,
    /// The limit for people who are signed in, while there is memory for large bodies.
    pub signed_in: usize,
}

/// The memory that all bodies share that are larger than everybody's may be.
#[derive(Debug)]
pub struct LargeBodies(Arc<Semaphore>);

impl Default for LargeBodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_BODY_MEMORY)))
    }
}

impl LargeBodies {
    /// Reserves memory for a body of `length` bytes, if that much is free. It is free again when the returned permit
    /// is dropped.
    #[must_use]
    pub fn reserve(&self, length: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(length).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}
