//! The other processes of the site: which of them are alive, and whether they have applied what this one told them.
//!
//! Every process says a few times a second that it is alive (`driver.rs`). One that was heard a moment ago counts as
//! alive. What a process tells goes to all in one message with a number, and each of them answers with that number on the
//! channel of the process that told it, once it has applied it. A process that is silent for so long that its own link has
//! given up serves nothing that needs Redis, so nobody waits for its answer.
//!
//! A process that begins a session greets the others: it tells them nothing, under the number 0. They know it once they
//! have answered, and it knows them, so that nobody is overlooked after a start or a cut.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::security::secret::random_bytes;

/// The number of a greeting.
pub(super) const GREETING: u64 = 0;
/// What a process adds to its name when it says that it leaves.
const LEAVES: &str = " leaves";

/// What applies a text that another process tells.
type Apply = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The other processes of the site, as this one knows them.
pub(super) struct Peers {
    /// This process's name.
    name: String,
    /// How long a process counts as alive after it was heard, in milliseconds. Longer than its own link lasts if it is cut.
    alive_for: u64,
    /// Applies what another process tells.
    apply: OnceLock<Apply>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// When each other process was last heard, by the link's stopwatch in milliseconds.
    heard_at: HashMap<String, u64>,
    /// What was told and is not answered by all, by its number.
    told: HashMap<u64, Awaited>,
    /// The latest number.
    number: u64,
}

/// The answers to one message that are missing.
struct Awaited {
    from: HashSet<String>,
    /// Notified when none is missing.
    complete: Arc<Notify>,
}

/// Something that was told, until its answers are in.
pub(super) struct Told<'a> {
    peers: &'a Peers,
    number: u64,
    pub(super) complete: Arc<Notify>,
}

impl Peers {
    /// Makes a list of no processes. Each counts as alive for `alive_for` milliseconds after it was heard.
    pub(super) fn new(alive_for: u64) -> Self {
        Self {
            name: format!("{:016x}", u64::from_be_bytes(random_bytes())),
            alive_for,
            apply: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sets what applies the messages of other processes. Only the first one counts.
    pub(super) fn apply_with(&self, apply: Apply) {
        // Set once, when the process starts.
        drop(self.apply.set(apply));
    }

    /// Returns what this process says when it leaves.
    pub(super) fn farewell(&self) -> String {
        format!("{}{LEAVES}", self.name)
    }

    /// Returns a message to all processes.
    pub(super) fn message(&self, number: u64, text: &str) -> String {
        format!("{} {number}\n{text}", self.name)
    }

    /// Returns this process's answer to a message.
    pub(super) fn answer(&self, number: u64) -> String {
        format!("{} {number}", self.name)
    }

    /// Begins to wait for the answers of all processes that are alive. Returns `None` if there are none.
    pub(super) fn tell(&self, now: u64) -> Option<Told<'_>> {
        let mut known = self.lock();
        let alive_for = self.alive_for;
        known
            .heard_at
            .retain(|_, heard_at| now < heard_at.saturating_add(alive_for));
        if known.heard_at.is_empty() {
            return None;
        }
        let from = known.heard_at.keys().cloned().collect();
        let complete = Arc::new(Notify::new());
        known.number += 1;
        let number = known.number;
        let awaited = Awaited {
            from,
            complete: Arc::clone(&complete),
        };
        known.told.insert(number, awaited);
        Some(Told {
            peers: self,
            number,
            complete,
        })
    }

    /// Forgets a process that has ended.
    pub(super) fn forget(&self, name: &str) {
        self.lock().leave(name);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the driver hears.
impl Peers {
    /// Takes what another process says: its name if it is alive, or its farewell.
    pub(super) fn hear_alive(&self, said: &[u8], now: u64) {
        let Ok(said) = str::from_utf8(said) else {
            return;
        };
        match said.strip_suffix(LEAVES) {
            Some(name) => self.forget(name),
            None if said != self.name => self.lock().hear(said, now),
            None => {}
        }
    }

    /// Applies a message of another process. Returns that process's name and the number to answer with.
    pub(super) fn hear_message(&self, message: &[u8], now: u64) -> Option<(String, u64)> {
        let (head, text) = parse(message, '\n')?;
        let (name, number) = head.split_once(' ')?;
        let number = number.parse().ok()?;
        if name == self.name {
            return None;
        }
        self.lock().hear(name, now);
        // Without it, the process has not finished its start, and holds nothing.
        if let Some(apply) = self.apply.get()
            && number != GREETING
        {
            apply(text.as_bytes());
        }
        Some((name.to_owned(), number))
    }

    /// Takes the answer of another process. Returns its name and the number of what it has applied.
    pub(super) fn hear_answer(&self, answer: &[u8], now: u64) -> Option<(String, u64)> {
        let (name, number) = parse(answer, ' ')?;
        let number = number.parse().ok()?;
        let mut known = self.lock();
        known.hear(name, now);
        if let Some(awaited) = known.told.get_mut(&number) {
            awaited.drop_name(name);
        }
        Some((name.to_owned(), number))
    }
}

impl Known {
    fn hear(&mut self, name: &str, now: u64) {
        match self.heard_at.get_mut(name) {
            Some(heard_at) => *heard_at = now,
            None => drop(self.heard_at.insert(name.to_owned(), now)),
        }
    }

    fn leave(&mut self, name: &str) {
        self.heard_at.remove(name);
        for awaited in self.told.values_mut() {
            awaited.drop_name(name);
        }
    }
}

impl Awaited {
    fn drop_name(&mut self, name: &str) {
        self.from.remove(name);
        if self.from.is_empty() {
            self.complete.notify_one();
        }
    }
}

impl Told<'_> {
    /// Returns the message with this text.
    pub(super) fn message(&self, text: &str) -> String {
        self.peers.message(self.number, text)
    }

    /// Returns the names of the processes whose answers are missing.
    pub(super) fn missing(&self) -> Vec<String> {
        let known = self.peers.lock();
        let awaited = known.told.get(&self.number);
        awaited.map_or_else(Vec::new, |awaited| awaited.from.iter().cloned().collect())
    }

    /// Stops waiting for processes that are not alive any more. Returns how long at least another one will be, or `None`
    /// if no answer is missing.
    pub(super) fn next_lapse(&self, now: u64) -> Option<Duration> {
        let mut known = self.peers.lock();
        let Known { heard_at, told, .. } = &mut *known;
        let awaited = told.get_mut(&self.number)?;
        let ends_at = |name: &String| {
            let heard_at = heard_at.get(name).copied().unwrap_or(0);
            heard_at.saturating_add(self.peers.alive_for)
        };
        awaited.from.retain(|name| now < ends_at(name));
        let next = awaited.from.iter().map(ends_at).min()?;
        Some(Duration::from_millis(next.saturating_sub(now)))
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.peers.lock().told.remove(&self.number);
    }
}

fn parse(payload: &[u8], separator: char) -> Option<(&str, &str)> {
    str::from_utf8(payload).ok()?.split_once(separator)
}
