//! Hashing and comparing passwords, of people and of rooms.
//!
//! Argon2id with the parameters of OWASP's Password Storage Cheat Sheet (19 MiB, 2 passes), in PHC
//! strings that name them. Few hashes run at a time, each takes a core and its memory; few wait, and not
//! for long.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::PlainPassword;

/// Kibibytes of memory a hash takes.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes of that memory.
const LANES: u32 = 1;
/// How many may wait for their turn. Whoever comes then is told at once to try again.
const WAITING: usize = 50;
/// How long they wait for it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The password cannot be hashed, or the stored hash cannot be read.
    #[error("password hashing failed: {0}")]
    Hashing(argon2::password_hash::Error),
    /// Too many passwords wait to be hashed or compared.
    #[error("too many passwords are waiting to be hashed")]
    Overloaded,
    /// The server stopped before the hash was computed.
    #[error("background task did not finish")]
    Task(#[from] tokio::task::JoinError),
}

/// Hashes passwords, a few at a time.
pub struct Passwords {
    /// A permit is a hash that is being computed.
    permits: Arc<Semaphore>,
    longest_wait: Duration,
    probe: HashingProbe,
    /// The hash of no password, compared with where there is none to compare with.
    decoy: Arc<str>,
}

/// Lets tests count hashes and play a crowd.
#[derive(Debug, Clone)]
pub struct HashingProbe {
    computed: Arc<AtomicU64>,
    /// A permit is a place to wait for a turn.
    places: Arc<Semaphore>,
}

impl HashingProbe {
    /// Returns how many hashes were computed.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Takes all places to wait in, until the permit is dropped: a crowd.
    #[must_use]
    pub fn crowd(&self) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.places.available_permits()).ok()?;
        Arc::clone(&self.places).try_acquire_many_owned(all).ok()
    }
}

impl Passwords {
    /// Leaves a core for everything else, where there is more than one.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::with((cores - 1).max(1), WAITING, LONGEST_WAIT)
    }

    fn with(at_a_time: usize, waiting: usize, longest_wait: Duration) -> Self {
        // 16 bytes of salt and 32 of hash, in unpadded base64. No password is known that gives it.
        let decoy = format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            "bm8gc3VjaCBwZXJzb24", "bm8gcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXMgdmFsdWU",
        );
        Self {
            permits: Arc::new(Semaphore::new(at_a_time)),
            longest_wait,
            probe: HashingProbe {
                computed: Arc::default(),
                places: Arc::new(Semaphore::new(waiting)),
            },
            decoy: decoy.into(),
        }
    }

    /// The PHC string of `password`, with a salt of its own.
    ///
    /// # Errors
    /// When the computation fails or is ended by a stop, or too many wait.
    pub async fn hash(&self, password: PlainPassword) -> Result<String, PasswordError> {
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
    /// When the hash cannot be read, or the computation fails or is ended by a stop, or too many wait.
    pub async fn verify(
        &self,
        password: PlainPassword,
        hash: Option<&str>,
    ) -> Result<bool, PasswordError> {
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

    /// The PHC string of `password` as it is made today, if `hash`, which was made of it, was made
    /// otherwise. None as well when too many wait: there will be another time.
    ///
    /// # Errors
    /// When the computation fails or is ended by a stop.
    pub async fn renew(
        &self,
        password: PlainPassword,
        hash: &str,
    ) -> Result<Option<String>, PasswordError> {
        if is_of_today(hash) {
            return Ok(None);
        }
        match self.hash(password).await {
            Ok(hash) => Ok(Some(hash)),
            Err(PasswordError::Overloaded) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the counters that tests look at.
    #[must_use]
    pub fn probe(&self) -> HashingProbe {
        self.probe.clone()
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = self.permit().await?;
        let computed = Arc::clone(&self.probe.computed);
        let result = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a client that hangs up must not free it early.
            let _permit = permit;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        });
        result.await?.map_err(PasswordError::Hashing)
    }

    /// A turn, as soon as there is one.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        // Given back when the wait is over, or given up.
        let place = self
            .probe
            .places
            .try_acquire()
            .ok()
            .ok_or(PasswordError::Overloaded)?;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(self.longest_wait, permit).await;
        drop(place);
        // The semaphore is never closed.
        permit
            .ok()
            .and_then(Result::ok)
            .ok_or(PasswordError::Overloaded)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Whether a hash was made with the algorithm and the parameters of today.
fn is_of_today(hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    let is_argon2id = hash.algorithm == Algorithm::Argon2id.ident();
    let is_version = hash.version == Some(Version::V0x13.into());
    let params = Params::try_from(&hash);
    let has_params = params.is_ok_and(|params| {
        let costs = (params.m_cost(), params.t_cost(), params.p_cost());
        let length = params.output_len();
        costs == (MEMORY_KIB, PASSES, LANES) && length == Some(Params::DEFAULT_OUTPUT_LEN)
    });
    is_argon2id && is_version && has_params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
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
        assert_eq!(passwords.probe().computed(), 1);
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

    #[test]
    fn a_hash_that_was_made_otherwise_is_made_anew() {
        let passwords = Passwords::new();
        let tea = || PlainPassword::typed("kettle and cup");
        let made = |algorithm, version, (memory, passes, lanes)| {
            let params = Params::new(memory, passes, lanes, None).unwrap();
            let hash: PasswordHash = Argon2::new(algorithm, version, params)
                .hash_password(tea().as_bytes())
                .unwrap();
            hash.to_string()
        };
        let today = (MEMORY_KIB, PASSES, LANES);
        run(async {
            for old in [
                made(Algorithm::Argon2i, Version::V0x13, today),
                made(Algorithm::Argon2id, Version::V0x10, today),
                made(Algorithm::Argon2id, Version::V0x13, (8, PASSES, LANES)),
                made(Algorithm::Argon2id, Version::V0x13, (MEMORY_KIB, 1, LANES)),
                made(Algorithm::Argon2id, Version::V0x13, (MEMORY_KIB, PASSES, 2)),
            ] {
                assert!(passwords.verify(tea(), Some(&old)).await.unwrap(), "{old}");
                let new = passwords.renew(tea(), &old).await.unwrap().unwrap();
                assert!(passwords.verify(tea(), Some(&new)).await.unwrap());
                assert_eq!(passwords.renew(tea(), &new).await.unwrap(), None);
            }
        });
    }

    #[test]
    fn in_a_crowd_nobody_waits_and_no_hash_is_made_anew() {
        let passwords = Passwords::with(1, 2, LONGEST_WAIT);
        let tea = || PlainPassword::typed("kettle and cup");
        run(async {
            let crowd = passwords.probe().crowd();

            let hash = passwords.hash(tea()).await;
            assert!(hash.is_err_and(|error| matches!(error, PasswordError::Overloaded)));
            assert_eq!(passwords.renew(tea(), "old").await.unwrap(), None);
            assert_eq!(passwords.probe().computed(), 0);

            drop(crowd);
            passwords.hash(tea()).await.unwrap();
        });
    }

    #[test]
    fn a_wait_ends_after_its_time_and_gives_the_place_back() {
        let passwords = Passwords::with(1, 1, Duration::ZERO);
        run(async {
            let turn = Arc::clone(&passwords.permits).acquire_owned().await;
            for _ in 0..3 {
                let verified = passwords.verify(PlainPassword::typed("x"), None).await;
                assert!(verified.is_err_and(|error| matches!(error, PasswordError::Overloaded)));
                assert_eq!(passwords.probe.places.available_permits(), 1);
            }

            drop(turn);
            let verified = passwords.verify(PlainPassword::typed("x"), None).await;
            assert!(!verified.unwrap());
        });
    }

    #[test]
    fn who_hangs_up_frees_the_place_at_once_and_the_turn_when_the_work_is_done() {
        let passwords = Passwords::with(1, 1, LONGEST_WAIT);
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        run(async {
            let work = passwords.compute(move || {
                // Ends when the test says so.
                let _ = finished.recv();
                Ok(())
            });
            hang_up_after_a_look(work).await;
            assert_eq!(passwords.permits.available_permits(), 0);
            assert_eq!(passwords.probe.places.available_permits(), 1);

            let waiting = passwords.compute(|| Ok(()));
            hang_up_after_a_look(waiting).await;
            assert_eq!(passwords.probe.places.available_permits(), 1);
            assert!(passwords.probe().computed() <= 1);

            drop(finish);
            passwords.compute(|| Ok(())).await.unwrap();
            assert_eq!(passwords.probe().computed(), 2);
            assert_eq!(passwords.permits.available_permits(), 1);
        });
    }

    /// Lets `work` begin, and drops it.
    async fn hang_up_after_a_look(work: impl Future) {
        let looked = tokio::time::timeout(Duration::ZERO, work).await;
        assert!(looked.is_err());
    }
}
