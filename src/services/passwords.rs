//! Hashing and comparing passwords, of people and of rooms.
//!
//! Argon2id with the parameters of OWASP's Password Storage Cheat Sheet (19 MiB, 2 passes), in PHC
//! strings that name them. Few hashes run at a time: each takes a core and its memory.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use super::Fault;
use crate::domain::PlainPassword;

/// Kibibytes of memory a hash takes.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;

/// Hashes passwords, a few at a time.
pub struct Passwords {
    permits: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
    /// The hash of no password, compared with where there is none to compare with.
    decoy: Arc<str>,
}

impl Passwords {
    /// Leaves a core for everything else, where there is more than one.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        // 16 bytes of salt and 32 of hash, in unpadded base64. No password is known that gives it.
        let decoy = format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
            "bm8gc3VjaCBwZXJzb24", "bm8gcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXMgdmFsdWU",
        );
        Self {
            permits: Arc::new(Semaphore::new((cores - 1).max(1))),
            computed: Arc::new(AtomicU64::new(0)),
            decoy: decoy.into(),
        }
    }

    /// The PHC string of `password`, with a salt of its own.
    ///
    /// # Errors
    /// When the computation fails or is ended by a stop.
    pub async fn hash(&self, password: PlainPassword) -> Result<String, Fault> {
        self.compute(move || {
            let hash: PasswordHash = argon2()?.hash_password(password.as_bytes())?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` is the one that `hash` was made of. Without a hash it is not, after the
    /// same work.
    ///
    /// # Errors
    /// When the hash cannot be read, or the computation fails or is ended by a stop.
    pub async fn verify(&self, password: PlainPassword, hash: Option<&str>) -> Result<bool, Fault> {
        let hash: Arc<str> = hash.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        self.compute(move || {
            let hash = PasswordHash::new(&hash).map_err(argon2::password_hash::Error::from)?;
            match argon2()?.verify_password(password.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// How many hashes were computed.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, Fault> {
        // The semaphore is never closed; if it were, going on without a permit would still be right.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let computed = Arc::clone(&self.computed);
        let result = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a client that hangs up must not free it early.
            let _permit = permit;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        });
        result.await?.map_err(Fault::Password)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_password_matches_its_hash_and_no_other() {
        let passwords = Passwords::new();
        run(async {
            let hash = passwords
                .hash(PlainPassword::typed("kettle and cup"))
                .await
                .unwrap();

            assert!(
                hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
                "{hash}"
            );
            let verify = async |typed| {
                passwords
                    .verify(PlainPassword::typed(typed), Some(&hash))
                    .await
            };
            assert!(verify("kettle and cup").await.unwrap());
            assert!(!verify("kettle and cup ").await.unwrap());
        });
    }

    #[test]
    fn comparing_with_nothing_is_a_no_after_the_same_work() {
        let passwords = Passwords::new();

        let answer = run(passwords.verify(PlainPassword::typed("anything"), None));

        assert!(!answer.unwrap());
        assert_eq!(passwords.computed(), 1);
    }

    #[test]
    fn the_same_password_hashes_differently_each_time() {
        let passwords = Passwords::new();
        run(async {
            let one = passwords
                .hash(PlainPassword::typed("kettle and cup"))
                .await
                .unwrap();
            let other = passwords
                .hash(PlainPassword::typed("kettle and cup"))
                .await
                .unwrap();

            assert_ne!(one, other);
        });
    }
}
