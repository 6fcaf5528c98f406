//! Hashing and verifying the passwords of accounts and rooms.
//!
//! Argon2id, in PHC strings, which include the parameters. A hash takes a CPU core and its memory, so few run at a time;
//! few callers wait for their turn, and only briefly. Each person and each address computes one hash at a time, so that
//! the hashes of one requester, however many they ask for, delay those of another by one hash at most.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{HashCost, Switch};
use crate::domain::{PlainPassword, Requester};
use crate::metrics::Counter;

/// The degree of parallelism.
const LANES: u32 = 1;
/// The maximum number of requesters who wait for a hash. Callers of further requesters fail with
/// [`PasswordError::Overloaded`].
const MAX_WAITING: usize = 50;
/// The maximum number of callers of one person: one computes, three wait. Further callers fail at once with
/// [`PasswordError::Overloaded`].
const MAX_PER_PERSON: usize = 4;
/// The maximum number of callers of one address. It is larger than a person's, because people in one house or
/// school share an address.
const MAX_PER_ADDRESS: usize = 16;
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
    cost: HashCost,
    /// One permit for each hash that may be computed at the same time.
    permits: Arc<Semaphore>,
    /// The callers by requester; `None` if requesters are not limited.
    queues: Option<Arc<Queues>>,
    max_wait: Duration,
    probe: HashingProbe,
    /// A hash that matches no password, verified against where there is no hash, so that both cases take
    /// equally long.
    decoy: Arc<str>,
    /// How many hashes may be computed at the same time.
    concurrent: usize,
    refused: Counter,
}

/// The work of a hasher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Hashes that are being computed.
    pub running: u64,
    /// Callers that wait for a processor.
    pub waiting: u64,
    /// Hashes computed so far.
    pub computed: u64,
    /// Callers refused so far.
    pub refused: u64,
}

/// Lets tests count hashes and simulate an overload.
#[derive(Debug, Clone)]
pub struct HashingProbe {
    computed: Arc<AtomicU64>,
    /// One permit for each requester who may wait.
    slots: Arc<Semaphore>,
    max_waiting: usize,
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
    /// Makes a hasher that uses all CPU cores but one, and at least one. `limits` is whether each requester
    /// has a limit of their own, and `cost` what a hash takes. [`Self::renew`]
    /// makes a hash of another cost again.
    #[must_use]
    pub fn new(limits: Switch, cost: HashCost) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            queues: (limits == Switch::On).then(Arc::default),
            ..Self::with_limits(cost, (cores - 1).max(1), MAX_WAITING, MAX_WAIT)
        }
    }

    fn with_limits(
        cost: HashCost,
        concurrent: usize,
        max_waiting: usize,
        max_wait: Duration,
    ) -> Self {
        // 16 bytes of salt and 32 bytes of hash, in unpadded base64. No known password has this hash.
        let decoy = format!(
            "$argon2id$v=19$m={},t={},p={LANES}${}${}",
            cost.memory,
            cost.passes,
            "bm8gc3VjaCBwZXJzb24",
            "bm8gcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXMgdmFsdWU",
        );
        Self {
            cost,
            permits: Arc::new(Semaphore::new(concurrent)),
            queues: Some(Arc::default()),
            max_wait,
            probe: HashingProbe {
                computed: Arc::default(),
                slots: Arc::new(Semaphore::new(max_waiting)),
                max_waiting,
            },
            decoy: decoy.into(),
            concurrent,
            refused: Counter::default(),
        }
    }

    /// Hashes the NFC form of `password` with a random salt. Returns a PHC string.
    ///
    /// # Errors
    /// When hashing fails, the server stops, or the hasher is overloaded.
    pub async fn hash(
        &self,
        requester: Requester,
        password: PlainPassword,
    ) -> Result<String, PasswordError> {
        let cost = self.cost;
        self.compute(requester, move || {
            let password = password.normalized();
            let hash: PasswordHash = argon2(cost)?.hash_password(password.as_bytes())?;
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
        requester: Requester,
        password: PlainPassword,
        hash: Option<&str>,
    ) -> Result<Verified, PasswordError> {
        let hash: Arc<str> = hash.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let mut right = Verified::Right;
        for form in password.forms() {
            if self.matches(requester, form, Arc::clone(&hash)).await? {
                return Ok(right);
            }
            right = Verified::RightInAnotherForm;
        }
        Ok(Verified::Wrong)
    }

    /// Returns whether `hash` is a hash of exactly this form of a password.
    async fn matches(
        &self,
        requester: Requester,
        form: PlainPassword,
        hash: Arc<str>,
    ) -> Result<bool, PasswordError> {
        let cost = self.cost;
        self.compute(requester, move || {
            let hash = PasswordHash::new(&hash).map_err(argon2::password_hash::Error::from)?;
            match argon2(cost)?.verify_password(form.as_bytes(), &hash) {
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
        requester: Requester,
        password: PlainPassword,
        hash: &str,
        verified: Verified,
    ) -> Result<Option<String>, PasswordError> {
        let is_outdated = verified == Verified::RightInAnotherForm || !is_current(hash, self.cost);
        if !verified.is_right() || !is_outdated {
            return Ok(None);
        }
        match self.hash(requester, password).await {
            Ok(hash) => Ok(Some(hash)),
            Err(PasswordError::Overloaded) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the number of requesters who compute or wait for a hash, or 0 if requesters have no limits.
    #[must_use]
    pub fn requesters(&self) -> usize {
        self.queues.as_ref().map_or(0, |queues| queues.lock().len())
    }

    /// Returns the work of this hasher now and so far.
    #[must_use]
    pub fn load(&self) -> Load {
        let taken = |all: usize, semaphore: &Semaphore| {
            let taken = all.saturating_sub(semaphore.available_permits());
            u64::try_from(taken).unwrap_or(u64::MAX)
        };
        Load {
            running: taken(self.concurrent, &self.permits),
            waiting: taken(self.probe.max_waiting, &self.probe.slots),
            computed: self.probe.computed(),
            refused: self.refused.get(),
        }
    }

    /// Returns the probe for tests.
    #[must_use]
    pub fn probe(&self) -> HashingProbe {
        self.probe.clone()
    }

    async fn compute<T: Send + 'static>(
        &self,
        requester: Requester,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = tokio::time::timeout(self.max_wait, self.permit(requester));
        let permit = permit.await.unwrap_or(Err(PasswordError::Overloaded));
        let permit = permit.inspect_err(|_| self.refused.increment())?;
        let computed = Arc::clone(&self.probe.computed);
        let result = tokio::task::spawn_blocking(move || {
            // The work holds the permit: a client that disconnects must not release it early.
            let _permit = permit;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        });
        result.await?.map_err(PasswordError::Hashing)
    }

    /// Waits for a permit to compute a hash: first for the requester's turn, then for a CPU core.
    async fn permit(&self, requester: Requester) -> Result<HashingPermit, PasswordError> {
        let turn = match &self.queues {
            Some(queues) => Some(Queues::turn(queues, requester).await?),
            None => None,
        };
        // Released when the wait is over, and when the caller is dropped.
        let _slot = self
            .probe
            .slots
            .try_acquire()
            .ok()
            .ok_or(PasswordError::Overloaded)?;
        let core = Arc::clone(&self.permits).acquire_owned().await;
        // The semaphore is never closed.
        let core = core.ok().ok_or(PasswordError::Overloaded)?;
        Ok(HashingPermit {
            _core: core,
            _turn: turn,
        })
    }
}

/// The right to compute one hash.
struct HashingPermit {
    _core: OwnedSemaphorePermit,
    _turn: Option<Turn>,
}

/// The turn of one of a requester's callers.
struct Turn {
    // Dropped first: while the place is held, the requester's other callers find this semaphore.
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// The callers of each requester who has any.
#[derive(Default)]
struct Queues(Mutex<HashMap<Requester, Queue>>);

/// The callers of one requester.
struct Queue {
    callers: usize,
    /// The one permit of the caller whose turn it is.
    turn: Arc<Semaphore>,
}

impl Queues {
    /// Waits until none of the requester's earlier callers computes or waits for a hash.
    ///
    /// # Errors
    /// At once, if the requester has too many callers.
    async fn turn(queues: &Arc<Self>, requester: Requester) -> Result<Turn, PasswordError> {
        let max = match requester {
            Requester::Person(_) => MAX_PER_PERSON,
            Requester::Address(_) => MAX_PER_ADDRESS,
        };
        let turn = {
            let mut all = queues.lock();
            let queue = all.entry(requester).or_insert_with(|| Queue {
                callers: 0,
                turn: Arc::new(Semaphore::new(1)),
            });
            if queue.callers >= max {
                return Err(PasswordError::Overloaded);
            }
            queue.callers += 1;
            Arc::clone(&queue.turn)
        };
        let place = Place {
            queues: Arc::clone(queues),
            requester,
        };
        // The semaphore is never closed.
        let permit = turn.acquire_owned().await.ok();
        Ok(Turn {
            _permit: permit.ok_or(PasswordError::Overloaded)?,
            _place: place,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Requester, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one caller in the requester's queue. Freed when dropped.
struct Place {
    queues: Arc<Queues>,
    requester: Requester,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.queues.lock();
        if let Some(queue) = all.get_mut(&self.requester) {
            queue.callers -= 1;
            if queue.callers == 0 {
                all.remove(&self.requester);
            }
        }
    }
}

fn argon2(cost: HashCost) -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(cost.memory, cost.passes, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Returns whether `hash` was made with the current algorithm and version, and at this cost.
fn is_current(hash: &str, cost: HashCost) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    let is_argon2id = hash.algorithm == Algorithm::Argon2id.ident();
    let is_version = hash.version == Some(Version::V0x13.into());
    let params = Params::try_from(&hash);
    let has_params = params.is_ok_and(|params| {
        let costs = (params.m_cost(), params.t_cost(), params.p_cost());
        let length = params.output_len();
        costs == (cost.memory, cost.passes, LANES) && length == Some(Params::DEFAULT_OUTPUT_LEN)
    });
    is_argon2id && is_version && has_params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    const ADA: Requester = Requester::Person(UserId(1));
    const BOB: Requester = Requester::Person(UserId(2));
    const COST: HashCost = HashCost::RECOMMENDED;

    #[tokio::test]
    async fn a_password_matches_its_hash_and_no_other() {
        let passwords = Passwords::new(Switch::On, COST);
        let hash = passwords
            .hash(ADA, PlainPassword::typed("kettle and cup"))
            .await
            .unwrap();

        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify = async |typed| {
            passwords
                .verify(ADA, PlainPassword::typed(typed), Some(&hash))
                .await
        };
        assert_eq!(verify("kettle and cup").await.unwrap(), Verified::Right);
        assert_eq!(verify("kettle and cup ").await.unwrap(), Verified::Wrong);
    }

    #[tokio::test]
    async fn verifying_without_a_hash_fails_after_the_same_work() {
        let passwords = Passwords::new(Switch::On, COST);

        let answer = passwords
            .verify(ADA, PlainPassword::typed("anything"), None)
            .await;

        assert_eq!(answer.unwrap(), Verified::Wrong);
        assert_eq!(passwords.probe().computed(), 1);
    }

    #[tokio::test]
    async fn a_password_matches_in_any_normalization_form() {
        let passwords = Passwords::new(Switch::On, COST);
        let (nfc, nfd) = (
            "th\u{e9} \u{e0} dix heures",
            "the\u{301} a\u{300} dix heures",
        );
        let mixed = "th\u{e9} a\u{300} dix heures";
        let hash_of = |typed: &str| {
            let hash: PasswordHash = argon2(COST)
                .unwrap()
                .hash_password(typed.as_bytes())
                .unwrap();
            hash.to_string()
        };
        let verify = async |typed: &str, hash: &str| {
            let typed = PlainPassword::typed(typed);
            passwords.verify(ADA, typed, Some(hash)).await.unwrap()
        };
        for typed in [nfc, nfd, mixed] {
            let hash = passwords
                .hash(ADA, PlainPassword::typed(typed))
                .await
                .unwrap();
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
            let renewed = passwords.renew(ADA, typed, &hash, verified).await.unwrap();
            assert_eq!(verify(nfc, &renewed.unwrap()).await, Verified::Right);
        }
    }

    #[tokio::test]
    async fn a_wrong_password_takes_one_hash_for_each_form_with_and_without_a_stored_hash() {
        let passwords = Passwords::new(Switch::On, COST);
        let hash = passwords
            .hash(ADA, PlainPassword::typed("tea"))
            .await
            .unwrap();
        for (typed, count) in [("cup", 1), ("th\u{e9}", 2), ("th\u{e9} e\u{301}", 3)] {
            for hash in [Some(hash.as_str()), None] {
                let before = passwords.probe().computed();
                let verified = passwords
                    .verify(ADA, PlainPassword::typed(typed), hash)
                    .await;
                assert_eq!(verified.unwrap(), Verified::Wrong);
                assert_eq!(passwords.probe().computed() - before, count, "{typed}");
            }
        }
    }

    #[tokio::test]
    async fn each_hash_has_its_own_salt() {
        let passwords = Passwords::new(Switch::On, COST);
        let one = passwords
            .hash(ADA, PlainPassword::typed("kettle and cup"))
            .await
            .unwrap();
        let other = passwords
            .hash(ADA, PlainPassword::typed("kettle and cup"))
            .await
            .unwrap();

        assert_ne!(one, other);
    }

    #[tokio::test]
    async fn a_hash_with_outdated_parameters_is_renewed() {
        let passwords = Passwords::new(Switch::On, COST);
        let tea = || PlainPassword::typed("kettle and cup");
        let hash_with = |algorithm, version, (memory, passes, lanes)| {
            let params = Params::new(memory, passes, lanes, None).unwrap();
            let hash: PasswordHash = Argon2::new(algorithm, version, params)
                .hash_password(tea().as_bytes())
                .unwrap();
            hash.to_string()
        };
        let HashCost { memory, passes } = COST;
        let current = (memory, passes, LANES);
        for old in [
            hash_with(Algorithm::Argon2i, Version::V0x13, current),
            hash_with(Algorithm::Argon2id, Version::V0x10, current),
            hash_with(Algorithm::Argon2id, Version::V0x13, (8, passes, LANES)),
            hash_with(Algorithm::Argon2id, Version::V0x13, (memory, 1, LANES)),
            hash_with(Algorithm::Argon2id, Version::V0x13, (memory, passes, 2)),
        ] {
            let verified = passwords.verify(ADA, tea(), Some(&old)).await.unwrap();
            assert_eq!(verified, Verified::Right, "{old}");
            let new = passwords.renew(ADA, tea(), &old, verified).await.unwrap();
            let new = new.unwrap();
            let verified = passwords.verify(ADA, tea(), Some(&new)).await.unwrap();
            assert_eq!(verified, Verified::Right);
            let renewed = passwords.renew(ADA, tea(), &new, verified).await.unwrap();
            assert_eq!(renewed, None);
        }
    }

    #[tokio::test]
    async fn an_overloaded_hasher_fails_at_once_and_renews_no_hash() {
        let passwords = Passwords::with_limits(COST, 1, 2, MAX_WAIT);
        let tea = || PlainPassword::typed("kettle and cup");
        let overload = passwords.probe().overload();

        let hash = passwords.hash(ADA, tea()).await;
        assert!(hash.is_err_and(|error| matches!(error, PasswordError::Overloaded)));
        let renewed = passwords.renew(ADA, tea(), "old", Verified::Right).await;
        assert_eq!(renewed.unwrap(), None);
        assert_eq!(passwords.probe().computed(), 0);

        drop(overload);
        passwords.hash(ADA, tea()).await.unwrap();
    }

    #[tokio::test]
    async fn a_wait_times_out_and_releases_its_slot() {
        let passwords = Passwords::with_limits(COST, 1, 1, Duration::ZERO);
        let permit = Arc::clone(&passwords.permits).acquire_owned().await;
        for _ in 0..3 {
            let verified = passwords.verify(ADA, PlainPassword::typed("x"), None).await;
            assert!(verified.is_err_and(|error| matches!(error, PasswordError::Overloaded)));
            assert_eq!(passwords.probe.slots.available_permits(), 1);
        }

        drop(permit);
        let verified = passwords.verify(ADA, PlainPassword::typed("x"), None).await;
        assert_eq!(verified.unwrap(), Verified::Wrong);
    }

    #[tokio::test]
    async fn a_dropped_caller_releases_its_slot_at_once_and_its_permit_when_the_work_is_done() {
        let passwords = Passwords::with_limits(COST, 1, 1, MAX_WAIT);
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let work = passwords.compute(ADA, move || {
            // Returns when the test drops the sender.
            let _ = finished.recv();
            Ok(())
        });
        start_and_drop(work).await;
        assert_eq!(passwords.permits.available_permits(), 0);
        assert_eq!(passwords.probe.slots.available_permits(), 1);

        let waiting = passwords.compute(BOB, || Ok(()));
        start_and_drop(waiting).await;
        assert_eq!(passwords.probe.slots.available_permits(), 1);
        assert!(passwords.probe().computed() <= 1);

        drop(finish);
        passwords.compute(BOB, || Ok(())).await.unwrap();
        assert_eq!(passwords.probe().computed(), 2);
        assert_eq!(passwords.permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn one_requester_computes_one_hash_and_waits_for_three_while_others_have_their_turn() {
        let passwords = Passwords::with_limits(COST, 2, 50, MAX_WAIT);
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let work = passwords.compute(ADA, move || {
            // Returns when the test drops the sender.
            let _ = finished.recv();
            Ok(())
        });
        let mut work = std::pin::pin!(work);
        assert!(poll_once(work.as_mut()).await.is_none());
        let mut waiting = [(); 3].map(|()| Box::pin(passwords.compute(ADA, || Ok(()))));
        for waiting in &mut waiting {
            assert!(poll_once(waiting.as_mut()).await.is_none());
        }

        let fifth = passwords.compute(ADA, || Ok(())).await;
        assert!(fifth.is_err_and(|error| matches!(error, PasswordError::Overloaded)));
        passwords.compute(BOB, || Ok(())).await.unwrap();
        assert_eq!(passwords.permits.available_permits(), 1);

        drop(finish);
        work.await.unwrap();
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(passwords.probe().computed(), 5);
        assert_eq!(passwords.requesters(), 0);
    }

    #[tokio::test]
    async fn without_limits_a_requester_has_as_many_hashes_as_everybody() {
        let passwords = Passwords {
            queues: None,
            ..Passwords::with_limits(COST, 1, 50, MAX_WAIT)
        };
        let _core = Arc::clone(&passwords.permits).acquire_owned().await;
        let mut waiting = [(); 20].map(|()| Box::pin(passwords.compute(ADA, || Ok(()))));
        for waiting in &mut waiting {
            assert!(poll_once(waiting.as_mut()).await.is_none());
        }
    }

    /// Polls `work` once. Returns its output, if it is done.
    async fn poll_once<T>(work: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        tokio::time::timeout(Duration::ZERO, work).await.ok()
    }

    /// Polls `work` once and drops it.
    async fn start_and_drop(work: impl Future) {
        let polled = tokio::time::timeout(Duration::ZERO, work).await;
        assert!(polled.is_err());
    }
}
