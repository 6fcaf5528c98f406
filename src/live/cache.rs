//! A cache of rows: each row is read once, and dropped when it changes.

use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::{HashMap, HashMapExt};
use tokio::sync::{OnceCell, Semaphore};

use crate::database::link::DatabaseLink;

/// The maximum number of reads at once. A read takes kilobytes while it runs, which the allocator keeps for the process,
/// and the database has no more connections for reading. The others wait for their turn in a few bytes.
const MAX_READS: usize = 8;

/// Values read from the database, by key.
///
/// Call [`Cache::forget`] after committing a change of a row. Concurrent callers who ask for a value that is
/// not held share one read; a value that is forgotten while it is being read is read again.
pub struct Cache<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
    /// While it is not up, nothing is held: changes of the rows may not be heard of.
    link: Arc<DatabaseLink>,
    /// The turns to read.
    turns: Semaphore,
}

struct Slot<V> {
    value: OnceCell<Option<Arc<V>>>,
    was_used: AtomicBool,
    /// Whether an exclusive update is running. Callers wait for the update, and read the value afterwards.
    is_exclusive: AtomicBool,
}

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    /// Makes a cache that holds nothing yet, of rows whose changes are heard of by `link`.
    #[must_use]
    pub fn new(link: Arc<DatabaseLink>) -> Self {
        Self {
            slots: Mutex::new(HashMap::new()),
            link,
            turns: Semaphore::new(MAX_READS),
        }
    }

    /// Returns the value at `key`, from the cache or else from `read`. The cache does not hold the absence of
    /// a value.
    ///
    /// # Errors
    /// Returns the errors of `read`.
    pub async fn get<E>(
        &self,
        key: K,
        read: impl AsyncFn() -> Result<Option<V>, E>,
    ) -> Result<Option<Arc<V>>, E> {
        loop {
            if !self.link.is_up() {
                return Ok(self.read_in_turn(&read).await?.map(Arc::new));
            }
            let slot = self.slot(key);
            if let Some(Some(value)) = slot.value.get() {
                slot.was_used.store(true, Ordering::Relaxed);
                return Ok(Some(Arc::clone(value)));
            }
            let value = slot.value.get_or_try_init(async || {
                Ok::<_, E>(self.read_in_turn(&read).await?.map(Arc::new))
            });
            let value = value.await;
            let mut slots = self.lock();
            let is_current = slots
                .get(&key)
                .is_some_and(|current| Arc::ptr_eq(current, &slot));
            if is_current && !matches!(value, Ok(Some(_))) {
                slots.remove(&key);
            }
            match value {
                Ok(Some(_)) if !is_current => {}
                value => return value.cloned(),
            }
        }
    }

    async fn read_in_turn<E>(
        &self,
        read: &impl AsyncFn() -> Result<Option<V>, E>,
    ) -> Result<Option<V>, E> {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        // Boxed because the future is large and seldom needed, and every waiting caller would carry it.
        Box::pin(read()).await
    }

    /// Drops the value at `key`, waits for a running read of it, and runs `update`. Callers who ask for the
    /// value during the update wait, and read it afterwards.
    pub async fn update_exclusive<T>(&self, key: K, update: impl Future<Output = T>) -> T {
        let mut update = std::pin::pin!(update);
        loop {
            let slot = self.empty_slot(key);
            let mut result = None;
            // The initialization fails on purpose: the next caller who waits then reads the value.
            let _ = slot
                .value
                .get_or_try_init(async || {
                    slot.is_exclusive.store(true, Ordering::SeqCst);
                    result = Some(update.as_mut().await);
                    slot.is_exclusive.store(false, Ordering::SeqCst);
                    Err(())
                })
                .await;
            // Without a result, another caller was already reading: wait for that read and try again.
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Returns the value held at `key`, without reading it from the database.
    pub fn held(&self, key: K) -> Option<Arc<V>> {
        if !self.link.is_up() {
            return None;
        }
        let slots = self.lock();
        let slot = slots.get(&key)?;
        let value = slot.value.get()?.as_ref()?;
        slot.was_used.store(true, Ordering::Relaxed);
        Some(Arc::clone(value))
    }

    /// Returns the value held at `key`, without reading it from the database or marking it as used.
    pub fn peek(&self, key: K) -> Option<Arc<V>> {
        let slots = self.lock();
        slots.get(&key)?.value.get().cloned().flatten()
    }

    /// Drops and returns the values that match `predicate`. Values that are being read are read again.
    pub fn forget_where(&self, predicate: impl Fn(&V) -> bool) -> Vec<Arc<V>> {
        let mut forgotten = Vec::new();
        self.lock().retain(|_, slot| match slot.value.get() {
            Some(Some(value)) if predicate(value) => {
                forgotten.push(Arc::clone(value));
                false
            }
            Some(Some(_)) => true,
            Some(None) | None => slot.is_exclusive.load(Ordering::SeqCst),
        });
        forgotten
    }

    /// Drops and returns the value at `key`.
    pub fn forget(&self, key: K) -> Option<Arc<V>> {
        let mut slots = self.lock();
        if slots
            .get(&key)
            .is_some_and(|slot| slot.is_exclusive.load(Ordering::SeqCst))
        {
            // No value is held, and callers already wait for the update.
            return None;
        }
        slots.remove(&key)?.value.get().cloned().flatten()
    }

    /// Returns the sum of `number` over all values that are held.
    #[must_use]
    pub fn sum(&self, number: impl Fn(&V) -> usize) -> usize {
        let slots = self.lock();
        let held = slots.values().filter_map(|slot| slot.value.get()?.as_ref());
        held.map(|value| number(value)).sum()
    }

    /// Returns the number of values that are held or being read.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().len()
    }

    /// Drops the values that were not used since the last sweep, unless a caller still holds a reference to
    /// one.
    pub fn sweep(&self) {
        let mut slots = self.lock();
        slots.retain(|_, slot| {
            let is_in_use = |value: &Arc<V>| Arc::strong_count(value) > 1;
            slot.was_used.swap(false, Ordering::Relaxed)
                || Arc::strong_count(slot) > 1
                || slot
                    .value
                    .get()
                    .is_some_and(|value| value.as_ref().is_some_and(is_in_use))
        });
        slots.shrink_to_fit();
    }

    /// Returns the slot at `key` if it has no value yet, or else replaces it with a new slot.
    fn empty_slot(&self, key: K) -> Arc<Slot<V>> {
        let mut slots = self.lock();
        if slots.get(&key).is_some_and(|slot| slot.value.initialized()) {
            slots.remove(&key);
        }
        drop(slots);
        self.slot(key)
    }

    fn slot(&self, key: K) -> Arc<Slot<V>> {
        let mut slots = self.lock();
        let slot = slots.entry(key).or_insert_with(|| {
            Arc::new(Slot {
                value: OnceCell::new(),
                was_used: AtomicBool::new(true),
                is_exclusive: AtomicBool::new(false),
            })
        });
        Arc::clone(slot)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Slot<V>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;
    use crate::database::link::LinkState;

    fn cache() -> Cache<u8, u8> {
        Cache::new(Arc::new(DatabaseLink::to_a_file()))
    }

    /// Returns a read that succeeds with `value`.
    fn read<V: Copy>(value: V) -> impl AsyncFn() -> Result<Option<V>, ()> {
        async move || Ok(Some(value))
    }

    #[tokio::test]
    async fn a_value_is_read_once() {
        let cache = cache();
        assert_eq!(cache.get(1, read(7)).await.unwrap().as_deref(), Some(&7));
        assert_eq!(cache.get(1, read(8)).await.unwrap().as_deref(), Some(&7));
    }

    #[tokio::test]
    async fn concurrent_callers_share_one_read() {
        let cache = cache();
        let reads = AtomicUsize::new(0);
        let read = async || {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok::<_, ()>(Some(7))
        };

        let (one, other) = tokio::join!(cache.get(1, read), cache.get(1, read));

        assert_eq!(
            (one.unwrap().as_deref(), other.unwrap().as_deref()),
            (Some(&7), Some(&7))
        );
        assert_eq!(reads.into_inner(), 1);
    }

    #[tokio::test]
    async fn a_cache_whose_link_is_lost_holds_nothing() {
        let link = Arc::new(DatabaseLink::to_a_server(Duration::from_secs(3_600)));
        let cache = Cache::<u8, u8>::new(Arc::clone(&link));
        cache.get(1, read(7)).await.unwrap();
        link.notice(LinkState::Deaf);

        assert_eq!(cache.held(1), None);
        assert_eq!(cache.get(1, read(8)).await.unwrap().as_deref(), Some(&8));
        assert_eq!(cache.get(1, read(9)).await.unwrap().as_deref(), Some(&9));

        cache.forget_where(|_| true);
        link.notice(LinkState::Up);
        assert_eq!(cache.get(1, read(1)).await.unwrap().as_deref(), Some(&1));
        assert_eq!(cache.get(1, read(2)).await.unwrap().as_deref(), Some(&1));
    }

    #[tokio::test]
    async fn a_cache_whose_link_was_not_proved_in_time_holds_nothing() {
        let cache = Cache::<u8, u8>::new(Arc::new(DatabaseLink::to_a_server(Duration::ZERO)));

        cache.get(1, read(7)).await.unwrap();

        assert_eq!(cache.held(1), None);
        assert_eq!(cache.get(1, read(8)).await.unwrap().as_deref(), Some(&8));
    }

    #[tokio::test]
    async fn a_read_that_began_before_the_link_was_lost_is_not_held() {
        let link = Arc::new(DatabaseLink::to_a_server(Duration::from_secs(3_600)));
        let cache = Cache::<u8, u8>::new(Arc::clone(&link));
        let row = Mutex::new(1);
        let value = cache
            .get(1, async || {
                let read = *row.lock().unwrap();
                if read == 1 {
                    *row.lock().unwrap() = 2;
                    link.notice(LinkState::Deaf);
                    cache.forget_where(|_| true);
                }
                Ok::<_, ()>(Some(read))
            })
            .await;

        assert_eq!(value.unwrap().as_deref(), Some(&2));
        assert_eq!(cache.size(), 0);
    }

    #[tokio::test]
    async fn a_missing_value_is_not_held() {
        let cache = cache();
        assert_eq!(
            cache.get(1, async || Ok::<_, ()>(None)).await.unwrap(),
            None
        );
        assert_eq!(cache.size(), 0);
        assert_eq!(cache.get(1, read(8)).await.unwrap().as_deref(), Some(&8));
    }

    #[tokio::test]
    async fn a_failed_read_is_not_held() {
        let cache = cache();
        let fault = async || Err("no");
        assert!(cache.get(1, fault).await.is_err());
        assert_eq!(cache.size(), 0);
    }

    #[tokio::test]
    async fn a_value_that_changes_while_it_is_read_is_read_again() {
        let cache = cache();
        let row = Mutex::new(1);
        let value = cache
            .get(1, async || {
                let read = *row.lock().unwrap();
                if read == 1 {
                    *row.lock().unwrap() = 2;
                    cache.forget(1);
                }
                Ok::<_, ()>(Some(read))
            })
            .await;

        assert_eq!(value.unwrap().as_deref(), Some(&2));
    }

    #[tokio::test]
    async fn a_value_is_held_until_it_is_forgotten() {
        let cache = cache();
        let value = cache.get(1, read(7)).await.unwrap();
        assert_eq!(cache.peek(1), value);

        assert_eq!(cache.forget(1), value);
        assert_eq!(cache.peek(1), None);
        let value = cache.get(1, read(8)).await.unwrap();
        assert_eq!(value.as_deref(), Some(&8));
    }

    #[tokio::test]
    async fn a_value_forgotten_during_an_exclusive_update_is_read_after_it() {
        let cache = cache();
        let row = Mutex::new(1);
        let read = async || Ok::<_, ()>(Some(*row.lock().unwrap()));
        let update = cache.update_exclusive(1, async {
            assert_eq!(cache.forget(1), None);
            assert!(cache.forget_where(|_| true).is_empty());
            tokio::task::yield_now().await;
            *row.lock().unwrap() = 2;
        });

        let ((), asked) = tokio::join!(update, cache.get(1, read));

        assert_eq!(asked.unwrap().as_deref(), Some(&2));
    }

    #[tokio::test]
    async fn a_read_during_an_exclusive_update_returns_the_new_value() {
        let cache = cache();
        let row = Mutex::new(1);
        let read = async || Ok::<_, ()>(Some(*row.lock().unwrap()));
        let before = cache.get(1, read).await.unwrap().unwrap();
        let change = cache.update_exclusive(1, async {
            assert_eq!(before.as_ref(), &1);
            assert_eq!(cache.peek(1), None);
            tokio::task::yield_now().await;
            *row.lock().unwrap() = 2;
            tokio::task::yield_now().await;
            "done"
        });

        let (changed, asked) = tokio::join!(change, cache.get(1, read));

        assert_eq!(changed, "done");
        assert_eq!(asked.unwrap().as_deref(), Some(&2));
    }

    #[tokio::test]
    async fn an_exclusive_update_waits_for_a_running_read_and_the_value_is_read_again() {
        let cache = cache();
        let row = Mutex::new(1);
        let read = async || {
            let read = *row.lock().unwrap();
            tokio::task::yield_now().await;
            Ok::<_, ()>(Some(read))
        };
        let change = cache.update_exclusive(1, async {
            *row.lock().unwrap() = 2;
        });

        let (_, ()) = tokio::join!(cache.get(1, read), change);

        assert_eq!(cache.get(1, read).await.unwrap().as_deref(), Some(&2));
    }

    #[tokio::test]
    async fn peeking_does_not_count_as_use() {
        let cache = cache();
        cache.get(1, read(7)).await.unwrap();
        cache.sweep();

        assert_eq!(cache.peek(1).as_deref(), Some(&7));
        assert_eq!(cache.peek(2), None);
        cache.sweep();
        assert_eq!(cache.peek(1), None);
    }

    #[tokio::test]
    async fn values_are_forgotten_by_a_predicate() {
        let cache = cache();
        for key in 1..=4 {
            cache.get(key, read(key)).await.unwrap();
        }

        let mut forgotten = cache.forget_where(|value| value % 2 == 0);

        forgotten.sort_unstable();
        assert_eq!(forgotten, [Arc::new(2), Arc::new(4)]);
        assert_eq!(cache.size(), 2);
        assert_eq!((cache.peek(2), cache.peek(4)), (None, None));
    }

    #[tokio::test]
    async fn forgetting_by_a_predicate_restarts_a_running_read() {
        let cache = cache();
        let row = Mutex::new(1);
        let value = cache
            .get(1, async || {
                let read = *row.lock().unwrap();
                if read == 1 {
                    *row.lock().unwrap() = 2;
                    cache.forget_where(|value| *value == 1);
                }
                Ok::<_, ()>(Some(read))
            })
            .await;

        assert_eq!(value.unwrap().as_deref(), Some(&2));
    }

    #[tokio::test]
    async fn sweeping_keeps_values_that_are_used_or_referenced() {
        let cache = cache();
        let referenced = cache.get(1, read(1)).await.unwrap();
        cache.get(2, read(2)).await.unwrap();
        cache.sweep();
        cache.sweep();

        assert_eq!(cache.get(1, read(9)).await.unwrap(), referenced);
        assert_eq!(cache.get(2, read(9)).await.unwrap().as_deref(), Some(&9));
    }
}
