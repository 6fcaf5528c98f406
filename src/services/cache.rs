//! Rows held in memory: read once, dropped when they change.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Fault;

/// What was read from the database, by key.
///
/// Who changes a row calls [`Cache::forget`] after the commit. A value that was read before a change
/// and arrives after it is not kept: it is read again.
pub struct Cache<K, V> {
    held: Mutex<Held<K, V>>,
}

struct Held<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// How often something was forgotten.
    changes: u64,
}

struct Entry<V> {
    value: Arc<V>,
    used: AtomicBool,
}

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    /// A cache that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            held: Mutex::new(Held {
                entries: HashMap::new(),
                changes: 0,
            }),
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
            let changes_before = {
                let held = self.lock();
                if let Some(entry) = held.entries.get(&key) {
                    entry.used.store(true, Ordering::Relaxed);
                    return Ok(Some(Arc::clone(&entry.value)));
                }
                held.changes
            };
            let Some(value) = read().await? else {
                return Ok(None);
            };
            let mut held = self.lock();
            if held.changes == changes_before {
                let entry = held.entries.entry(key).or_insert_with(|| Entry {
                    value: Arc::new(value),
                    used: AtomicBool::new(true),
                });
                return Ok(Some(Arc::clone(&entry.value)));
            }
        }
    }

    /// Drops what is held at `key`, and gives it back.
    pub fn forget(&self, key: K) -> Option<Arc<V>> {
        let mut held = self.lock();
        held.changes += 1;
        held.entries.remove(&key).map(|entry| entry.value)
    }

    /// Drops what was not used since the last time, unless somebody has it in hand.
    pub fn sweep(&self) {
        let mut held = self.lock();
        held.entries.retain(|_, entry| {
            entry.used.swap(false, Ordering::Relaxed) || Arc::strong_count(&entry.value) > 1
        });
        held.entries.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, Held<K, V>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
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
    fn what_is_not_there_is_not_held() {
        let cache = Cache::<u8, u8>::new();
        ready(async {
            assert_eq!(cache.get(1, async || Ok(None)).await.unwrap(), None);
            assert_eq!(
                cache.get(1, async || Ok(Some(8))).await.unwrap().as_deref(),
                Some(&8)
            );
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
