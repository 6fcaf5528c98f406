//! Hashing and verifying the passwords of accounts and rooms.
//!
//! Argon2id with the parameters of OWASP's Password Storage Cheat Sheet (19 MiB, 2 passes), in PHC strings,
//! which include the parameters. A hash takes a CPU core and its memory, so few run at a time; few callers
//! wait for their turn, and only briefly.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::PlainPassword;

/// The memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// The number of passes over that memory.
const PASSES: u32 = 2;
/// The degree of parallelism.
const LANES: u32 = 1;
/// The maximum number of callers who wait for their turn. Further callers fail at once with
/// [`PasswordError::Overloaded`].
const MAX_WAITING: usize = 50;
/// The maximum time a caller waits for their turn.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The reason why a password could not be hashed or verified.
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

/// The outcome of verifying a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, but the hash was made of another form than NFC.
    RightInAnotherForm,
}

impl Verified {
    /// Returns whether the password is right.
    #[must_use]
    pub fn is_right(self) -> bool {
        self != Self::Wrong
    }
}

/// Hashes and verifies passwords, with a limit on concurrent hashes.
pub struct Passwords {
    /// One permit for each hash that may be computed at the same time.
    permits: Arc<Semaphore>,
    max_wait: Duration,
    probe: HashingProbe,
    /// A hash that matches no password, verified against where there is no hash, so that both cases take
    /// equally long.
    decoy: Arc<str>,
}

/// Lets tests count hashes and simulate an overload.
#[derive(Debug, Clone)]
pub struct HashingProbe {
    computed: Arc<AtomicU64>,
    /// One permit for each caller who may wait.
    slots: Arc<Semaphore>,
}

impl HashingProbe {
    /// Returns the number of hashes computed so far.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Occupies all waiting slots until the permit is dropped, to simulate an overload.
    #[must_use]
    pub fn overload(&self) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.slots.available_permits()).ok()?;
        Arc::clone(&self.slots).try_acquire_many_owned(all).ok()
    }
}

impl Passwords {
    /// Makes a hasher that uses all CPU cores but one, and at least one.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_limits((cores - 1).max(1), MAX_WAITING, MAX_WAIT)
    }

    fn with_limits(concurrent: usize, max_waiting: usize, max_wait: Duration) -> Self {
        // 16 bytes of salt and 32 bytes of hash, in unpadded base64. No known password has this hash.
        let decoy = format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            "bm8gc3VjaCBwZXJzb24", "bm8gcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXMgdmFsdWU",
        );
        Self {
            permits: Arc::new(Semaphore::new(concurrent)),
            max_wait,
            probe: HashingProbe {
                computed: Arc::default(),
                slots: Arc::new(Semaphore::new(max_waiting)),
            },
            decoy: decoy.into(),
        }
    }

    /// Hashes the NFC form of `password` with a random salt. Returns a PHC string.
    ///
    /// # Errors
    /// When hashing fails, the server stops, or the hasher is overloaded.
    pub async fn hash(&self, password: PlainPassword) -> Result<String, PasswordError> {
        self.compute(move || {
            let password = password.normalized();
            let hash: PasswordHash = argon2()?.hash_password(password.as_bytes())?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Verifies `password` against `hash`, in NFC first, then in its other forms, one hash for each. Without a
    /// hash, does the same amount of work as for a wrong password and returns [`Verified::Wrong`].
    ///
    /// # Errors
    /// When the hash cannot be parsed, hashing fails, the server stops, or the hasher is overloaded.
    pub async fn verify(
        &self,
        password: PlainPassword,
        hash: Option<&str>,
    ) -> Result<Verified, PasswordError> {
        let hash: Arc<str> = hash.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let mut right = Verified::Right;
        for form in password.forms() {
            if self.matches(form, Arc::clone(&hash)).await? {
                return Ok(right);
            }
            right = Verified::RightInAnotherForm;
        }
        Ok(Verified::Wrong)
    }

    /// Returns whether `hash` is a hash of exactly this form of a password.
    async fn matches(&self, form: PlainPassword, hash: Arc<str>) -> Result<bool, PasswordError> {
        self.compute(move || {
            let hash = PasswordHash::new(&hash).map_err(argon2::password_hash::Error::from)?;
            match argon2()?.verify_password(form.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Hashes `password` again if it was `verified` against `hash`, and `hash` was made with outdated parameters or
    /// of another form than NFC. Returns `None` if `hash` is current. Also returns `None` if the hasher is
    /// overloaded: the next sign-in tries again.
    ///
    /// # Errors
    /// When hashing fails or the server stops.
    pub async fn renew(
        &self,
        password: PlainPassword,
        hash: &str,
        verified: Verified,
    ) -> Result<Option<String>, PasswordError> {
        let is_outdated = verified == Verified::RightInAnotherForm || !is_current(hash);
        if !verified.is_right() || !is_outdated {
            return Ok(None);
        }
        match self.hash(password).await {
            Ok(hash) => Ok(Some(hash)),
            Err(PasswordError::Overloaded) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the probe for tests.
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
            // The work holds the permit: a client that disconnects must not release it early.
            let _permit = permit;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        });
        result.await?.map_err(PasswordError::Hashing)
    }

    /// Waits for a permit to compute a hash.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        // Released when the wait is over, and when the caller is dropped.
        let slot = self
            .probe
            .slots
            .try_acquire()
            .ok()
            .ok_or(PasswordError::Overloaded)?;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(self.max_wait, permit).await;
        drop(slot);
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

/// Returns whether `hash` was made with the current algorithm, version and parameters.
fn is_current(hash: &str) -> bool {
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
            assert_eq!(verify("kettle and cup").await.unwrap(), Verified::Right);
            assert_eq!(verify("kettle and cup ").await.unwrap(), Verified::Wrong);
        });
    }

    #[test]
    fn verifying_without_a_hash_fails_after_the_same_work() {
        let passwords = Passwords::new();

        let answer = run(passwords.verify(PlainPassword::typed("anything"), None));

        assert_eq!(answer.unwrap(), Verified::Wrong);
        assert_eq!(passwords.probe().computed(), 1);
    }

    #[test]
    fn a_password_matches_in_any_normalization_form() {
        let passwords = Passwords::new();
        let (nfc, nfd) = (
            "th\u{e9} \u{e0} dix heures",
            "the\u{301} a\u{300} dix heures",
        );
        let mixed = "th\u{e9} a\u{300} dix heures";
        let hash_of = |typed: &str| {
            let hash: PasswordHash = argon2().unwrap().hash_password(typed.as_bytes()).unwrap();
            hash.to_string()
        };
        run(async {
            let verify = async |typed: &str, hash: &str| {
                let typed = PlainPassword::typed(typed);
                passwords.verify(typed, Some(hash)).await.unwrap()
            };
            for typed in [nfc, nfd, mixed] {
                let hash = passwords.hash(PlainPassword::typed(typed)).await.unwrap();
                for again in [nfc, nfd, mixed] {
                    assert_eq!(verify(again, &hash).await, Verified::Right);
                }
            }
            for (typed, hash) in [
                (nfc, hash_of(nfd)),
                (nfd, hash_of(nfd)),
                (mixed, hash_of(mixed)),
            ] {
                let verified = verify(typed, &hash).await;
                assert_eq!(verified, Verified::RightInAnotherForm, "{typed}");
                let typed = PlainPassword::typed(typed);
                let renewed = passwords.renew(typed, &hash, verified).await.unwrap();
                assert_eq!(verify(nfc, &renewed.unwrap()).await, Verified::Right);
            }
        });
    }

    #[test]
    fn a_wrong_password_takes_one_hash_for_each_form_with_and_without_a_stored_hash() {
        let passwords = Passwords::new();
        run(async {
            let hash = passwords.hash(PlainPassword::typed("tea")).await.unwrap();
            for (typed, count) in [("cup", 1), ("th\u{e9}", 2), ("th\u{e9} e\u{301}", 3)] {
                for hash in [Some(hash.as_str()), None] {
                    let before = passwords.probe().computed();
                    let verified = passwords.verify(PlainPassword::typed(typed), hash).await;
                    assert_eq!(verified.unwrap(), Verified::Wrong);
                    assert_eq!(passwords.probe().computed() - before, count, "{typed}");
                }
            }
        });
    }

    #[test]
    fn each_hash_has_its_own_salt() {
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
    fn a_hash_with_outdated_parameters_is_renewed() {
        let passwords = Passwords::new();
        let tea = || PlainPassword::typed("kettle and cup");
        let hash_with = |algorithm, version, (memory, passes, lanes)| {
            let params = Params::new(memory, passes, lanes, None).unwrap();
            let hash: PasswordHash = Argon2::new(algorithm, version, params)
                .hash_password(tea().as_bytes())
                .unwrap();
            hash.to_string()
        };
        let current = (MEMORY_KIB, PASSES, LANES);
        run(async {
            for old in [
                hash_with(Algorithm::Argon2i, Version::V0x13, current),
                hash_with(Algorithm::Argon2id, Version::V0x10, current),
                hash_with(Algorithm::Argon2id, Version::V0x13, (8, PASSES, LANES)),
                hash_with(Algorithm::Argon2id, Version::V0x13, (MEMORY_KIB, 1, LANES)),
                hash_with(Algorithm::Argon2id, Version::V0x13, (MEMORY_KIB, PASSES, 2)),
            ] {
                let verified = passwords.verify(tea(), Some(&old)).await.unwrap();
                assert_eq!(verified, Verified::Right, "{old}");
                let new = passwords.renew(tea(), &old, verified).await.unwrap();
                let new = new.unwrap();
                let verified = passwords.verify(tea(), Some(&new)).await.unwrap();
                assert_eq!(verified, Verified::Right);
                let renewed = passwords.renew(tea(), &new, verified).await.unwrap();
                assert_eq!(renewed, None);
            }
        });
    }

    #[test]
    fn an_overloaded_hasher_fails_at_once_and_renews_no_hash() {
        let passwords = Passwords::with_limits(1, 2, MAX_WAIT);
        let tea = || PlainPassword::typed("kettle and cup");
        run(async {
            let overload = passwords.probe().overload();

            let hash = passwords.hash(tea()).await;
            assert!(hash.is_err_and(|error| matches!(error, PasswordError::Overloaded)));
            let renewed = passwords.renew(tea(), "old", Verified::Right).await;
            assert_eq!(renewed.unwrap(), None);
            assert_eq!(passwords.probe().computed(), 0);

            drop(overload);
            passwords.hash(tea()).await.unwrap();
        });
    }

    #[test]
    fn a_wait_times_out_and_releases_its_slot() {
        let passwords = Passwords::with_limits(1, 1, Duration::ZERO);
        run(async {
            let permit = Arc::clone(&passwords.permits).acquire_owned().await;
            for _ in 0..3 {
                let verified = passwords.verify(PlainPassword::typed("x"), None).await;
                assert!(verified.is_err_and(|error| matches!(error, PasswordError::Overloaded)));
                assert_eq!(passwords.probe.slots.available_permits(), 1);
            }

            drop(permit);
            let verified = passwords.verify(PlainPassword::typed("x"), None).await;
            assert_eq!(verified.unwrap(), Verified::Wrong);
        });
    }

    #[test]
    fn a_dropped_caller_releases_its_slot_at_once_and_its_permit_when_the_work_is_done() {
        let passwords = Passwords::with_limits(1, 1, MAX_WAIT);
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        run(async {
            let work = passwords.compute(move || {
                // Returns when the test drops the sender.
                let _ = finished.recv();
                Ok(())
            });
            start_and_drop(work).await;
            assert_eq!(passwords.permits.available_permits(), 0);
            assert_eq!(passwords.probe.slots.available_permits(), 1);

            let waiting = passwords.compute(|| Ok(()));
            start_and_drop(waiting).await;
            assert_eq!(passwords.probe.slots.available_permits(), 1);
            assert!(passwords.probe().computed() <= 1);

            drop(finish);
            passwords.compute(|| Ok(())).await.unwrap();
            assert_eq!(passwords.probe().computed(), 2);
            assert_eq!(passwords.permits.available_permits(), 1);
        });
    }

    /// Polls `work` once and drops it.
    async fn start_and_drop(work: impl Future) {
        let polled = tokio::time::timeout(Duration::ZERO, work).await;
        assert!(polled.is_err());
    }
}
