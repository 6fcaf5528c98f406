//! Rows held in memory: read once, dropped when they change.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::Fault;

/// What was read from the database, by key.
///
/// Who changes a row calls [`Cache::forget`] after the commit. However many ask for a value that is
/// not held, it is read once; one that was forgotten while it was read is read again.
pub struct Cache<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

struct Slot<V> {
    value: OnceCell<Option<Arc<V>>>,
    used: AtomicBool,
}

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    /// A cache that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: Mutex::new(HashMap::new()),
        }
    }

    /// The value at `key`: the one held, or the one that `read` brings. None is not held.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn get(
        &self,
        key: K,
        read: impl AsyncFn() -> Result<Option<V>, Fault>,
    ) -> Result<Option<Arc<V>>, Fault> {
        loop {
            let slot = self.slot(key);
            if let Some(Some(value)) = slot.value.get() {
                slot.used.store(true, Ordering::Relaxed);
                return Ok(Some(Arc::clone(value)));
            }
            let value = slot
                .value
                .get_or_try_init(async || Ok::<_, Fault>(read().await?.map(Arc::new)));
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

    /// Drops what is held at `key`, and gives it back.
    pub fn forget(&self, key: K) -> Option<Arc<V>> {
        let slot = self.lock().remove(&key)?;
        slot.value.get().cloned().flatten()
    }

    /// Drops what was not used since the last time, unless somebody has it in hand.
    pub fn sweep(&self) {
        let mut slots = self.lock();
        slots.retain(|_, slot| {
            let in_hand = |value: &Arc<V>| Arc::strong_count(value) > 1;
            slot.used.swap(false, Ordering::Relaxed)
                || Arc::strong_count(slot) > 1
                || slot
                    .value
                    .get()
                    .is_some_and(|value| value.as_ref().is_some_and(in_hand))
        });
        slots.shrink_to_fit();
    }

    fn slot(&self, key: K) -> Arc<Slot<V>> {
        let mut slots = self.lock();
        let slot = slots.entry(key).or_insert_with(|| {
            Arc::new(Slot {
                value: OnceCell::new(),
                used: AtomicBool::new(true),
            })
        });
        Arc::clone(slot)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Slot<V>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn ready<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_value_is_read_once() {
        let cache = Cache::<u8, u8>::new();
        ready(async {
            assert_eq!(
                cache.get(1, async || Ok(Some(7))).await.unwrap().as_deref(),
                Some(&7)
            );
            assert_eq!(
                cache.get(1, async || Ok(Some(8))).await.unwrap().as_deref(),
                Some(&7)
            );
        });
    }

    #[test]
    fn a_value_that_many_ask_for_at_once_is_read_once() {
        let cache = Cache::<u8, u8>::new();
        let reads = AtomicUsize::new(0);
        let read = async || {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(Some(7))
        };

        let (one, other) = ready(async { tokio::join!(cache.get(1, read), cache.get(1, read)) });

        assert_eq!(
            (one.unwrap().as_deref(), other.unwrap().as_deref()),
            (Some(&7), Some(&7))
        );
        assert_eq!(reads.into_inner(), 1);
    }

    #[test]
    fn what_is_not_there_is_not_held() {
        let cache = Cache::<u8, u8>::new();
        ready(async {
            assert_eq!(cache.get(1, async || Ok(None)).await.unwrap(), None);
            assert!(cache.lock().is_empty());
            assert_eq!(
                cache.get(1, async || Ok(Some(8))).await.unwrap().as_deref(),
                Some(&8)
            );
        });
    }

    #[test]
    fn a_fault_is_not_held() {
        let cache = Cache::<u8, u8>::new();
        ready(async {
            let fault = async || Err(Fault::Bug("no".into()));
            assert!(cache.get(1, fault).await.is_err());
            assert!(cache.lock().is_empty());
        });
    }

    #[test]
    fn a_value_that_changes_while_it_is_read_is_read_again() {
        let cache = Cache::<u8, u8>::new();
        let row = Mutex::new(1);
        let value = ready(cache.get(1, async || {
            let read = *row.lock().unwrap();
            if read == 1 {
                *row.lock().unwrap() = 2;
                cache.forget(1);
            }
            Ok(Some(read))
        }));

        assert_eq!(value.unwrap().as_deref(), Some(&2));
    }

    #[test]
    fn sweeping_keeps_what_is_used_or_in_hand() {
        let cache = Cache::<u8, u8>::new();
        ready(async {
            let in_hand = cache.get(1, async || Ok(Some(1))).await.unwrap();
            cache.get(2, async || Ok(Some(2))).await.unwrap();
            cache.sweep();
            cache.sweep();

            assert_eq!(cache.get(1, async || Ok(Some(9))).await.unwrap(), in_hand);
            assert_eq!(
                cache.get(2, async || Ok(Some(9))).await.unwrap().as_deref(),
                Some(&9)
            );
        });
    }
}
