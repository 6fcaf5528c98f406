//! Commands, scripts and channels of Redis.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSubSink};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, ScriptInvocation, cmd};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::keys::Keys;
use super::peers::{Peers, Told};
use super::trips::Trips;
use crate::clock::{CoarseStopwatch, Stopwatch, millis};
use crate::domain::Timestamp;

/// The time between two words that nobody waits for.
pub(super) const BEAT: Duration = Duration::from_millis(250);

/// Redis did not answer in time, or refused a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Redis does not answer")]
pub struct Unavailable;

/// What is called with each payload of a channel. Called on the link's own task, so it must be quick.
pub type Handler = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The time between two connections in which the link heard everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The number of this session since the process started, from 1.
    pub number: u64,
    /// Names the life of Redis's memory. A Redis that restarted, or that took another's place, has another one.
    pub life: u64,
}

/// Whether the link is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Redis answers.
    Up(Session),
    /// Redis has not answered for the link's timeout.
    Down,
}

/// A link to Redis: one connection for commands and one that hears channels. Shared by all workers. The
/// [`Driver`](super::Driver) connects them, and connects them again after each error and each silence.
pub struct Link {
    keys: Keys,
    timeout: Duration,
    /// The same in milliseconds.
    timeout_ms: u64,
    stopwatch: CoarseStopwatch,
    open: RwLock<Option<Open>>,
    /// The number of the open session, or 0.
    number: AtomicU64,
    /// The life of the open session, or of the last one.
    life: AtomicU64,
    /// When Redis's memory of this site began, by the wall clock; 0 if nobody knows.
    began_at: AtomicI64,
    /// By the stopwatch, in milliseconds: what was published before this time was heard.
    fresh_at: AtomicU64,
    channels: Mutex<HashMap<String, Handler>>,
    words: Words,
    state: watch::Sender<LinkState>,
    /// The number of the latest session in which a command failed as on a broken connection.
    broken: watch::Sender<u64>,
    /// What was sent to Redis, for metrics.
    trips: Trips,
    /// The other processes of the site.
    peers: Peers,
}

/// The words that this process publishes, and hears again.
struct Words {
    /// The number of the latest word that is published, from 1.
    sent: AtomicU64,
    /// The number of the latest word that came back.
    heard: watch::Sender<u64>,
    /// Somebody waits for a word.
    wanted: Notify,
}

/// The connections of the open session.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) session: Session,
    pub(super) commands: MultiplexedConnection,
    pub(super) sink: PubSubSink,
}

impl Link {
    pub(super) fn new(keys: Keys, timeout: Duration) -> Self {
        Self {
            keys,
            timeout,
            timeout_ms: millis(timeout),
            stopwatch: CoarseStopwatch::start(),
            open: RwLock::new(None),
            number: AtomicU64::new(0),
            life: AtomicU64::new(0),
            began_at: AtomicI64::new(0),
            fresh_at: AtomicU64::new(0),
            channels: Mutex::new(HashMap::new()),
            words: Words {
                sent: AtomicU64::new(0),
                heard: watch::Sender::new(0),
                wanted: Notify::new(),
            },
            state: watch::Sender::new(LinkState::Down),
            broken: watch::Sender::new(0),
            trips: Trips::default(),
            peers: Peers::new(millis(timeout + 2 * BEAT)),
        }
    }

    /// Returns the names of this site's keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns the session if the link heard everything until a moment ago. Costs no round trip.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        let number = self.number.load(Ordering::Acquire);
        let life = self.life.load(Ordering::Acquire);
        (number != 0 && !self.is_silent()).then_some(Session { number, life })
    }

    /// Returns when Redis's memory of this site began, by the wall clock: when the site first used this Redis, or was the
    /// first to come back after Redis had lost its memory. `None` if nobody knows.
    #[must_use]
    pub fn memory_began_at(&self) -> Option<Timestamp> {
        let began_at = self.began_at.load(Ordering::Acquire);
        (began_at != 0).then_some(Timestamp(began_at))
    }

    /// Returns the life of Redis's memory in the open session, if there is one, without a look at the clock: for what is
    /// only told.
    #[must_use]
    pub fn open_life(&self) -> Option<u64> {
        let is_open = self.number.load(Ordering::Acquire) != 0;
        is_open.then(|| self.life.load(Ordering::Acquire))
    }

    /// Waits for a session, at most until the link has been silent for its timeout.
    ///
    /// # Errors
    /// When Redis does not answer in that time.
    pub async fn ready(&self) -> Result<Session, Unavailable> {
        match self.session() {
            Some(session) => Ok(session),
            None => self.wait_for_session().await,
        }
    }

    async fn wait_for_session(&self) -> Result<Session, Unavailable> {
        let left = self
            .timeout
            .saturating_sub(Duration::from_millis(self.age_ms()));
        let mut states = self.state.subscribe();
        let is_ready = async {
            loop {
                if let Some(session) = self.session() {
                    return Ok(session);
                }
                // The sender lives as long as this link.
                states.changed().await.or(Err(Unavailable))?;
            }
        };
        timeout(left, is_ready).await.unwrap_or(Err(Unavailable))
    }

    /// Returns what was sent to Redis, and how it went.
    #[must_use]
    pub fn trips(&self) -> &Trips {
        &self.trips
    }

    /// Waits until Redis answers, however long.
    pub async fn up(&self) {
        let is_up = |state: &LinkState| *state != LinkState::Down;
        // The sender lives as long as this link.
        drop(self.state.subscribe().wait_for(is_up).await);
    }

    /// Returns the state of the link, and each later one.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Sends a command.
    ///
    /// # Errors
    /// When Redis does not answer in time, or refuses the command.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let mut open = self.open().await?;
        self.trip(open.session, command.query_async(&mut open.commands))
            .await
    }

    /// Sends several commands in one round trip. They are not one transaction.
    ///
    /// # Errors
    /// When Redis does not answer in time, or refuses one of the commands. The others may have been carried out.
    pub async fn run_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Unavailable> {
        let mut open = self.open().await?;
        self.trip(open.session, commands.query_async(&mut open.commands))
            .await
    }

    /// Runs a script, which is sent only if Redis does not know it yet.
    ///
    /// # Errors
    /// When Redis does not answer in time, or refuses the script.
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Unavailable> {
        let mut open = self.open().await?;
        self.trip(open.session, script.invoke_async(&mut open.commands))
            .await
    }

    /// Hears a channel from now on, in this session and all later ones, until [`Link::unsubscribe`] is called.
    /// Returns the session in which the channel was first heard. `heard` takes the place of an earlier handler.
    ///
    /// # Errors
    /// When Redis does not answer in time. The channel is heard from the next session on.
    pub async fn subscribe(&self, channel: &str, heard: Handler) -> Result<Session, Unavailable> {
        self.channels().insert(channel.to_owned(), heard);
        let mut open = self.open().await?;
        let subscribed = async {
            let subscribed = timeout(self.timeout, open.sink.subscribe(channel)).await;
            subscribed.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        };
        self.trip(open.session, subscribed).await?;
        Ok(open.session)
    }

    /// Waits until all that was published before this call was heard. All who wait at the same time share one word, so
    /// that many callers cost Redis no more than one.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn hear_all(&self) -> Result<(), Unavailable> {
        let session = self.ready().await?;
        let mut heard = self.words.heard.subscribe();
        // An earlier word may have been published before what the caller wants to hear.
        let next = self.words.sent.load(Ordering::SeqCst) + 1;
        self.words.wanted.notify_one();
        let is_heard = timeout(self.timeout, heard.wait_for(|heard| *heard >= next)).await;
        // What was published between two sessions was not heard.
        if is_heard.is_ok() && self.session() == Some(session) {
            Ok(())
        } else {
            Err(Unavailable)
        }
    }

    /// Stops hearing a channel.
    pub async fn unsubscribe(&self, channel: &str) {
        self.channels().remove(channel);
        let open = self.peek();
        if let Some(mut open) = open
            && !matches!(
                timeout(self.timeout, open.sink.unsubscribe(channel)).await,
                Ok(Ok(()))
            )
        {
            self.break_session(open.session);
        }
    }

    /// Has the driver end a session, whose connections do not work.
    fn break_session(&self, session: Session) {
        self.broken.send_replace(session.number);
    }

    /// Returns the open connections, without a look at their age.
    fn peek(&self) -> Option<Open> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone()
    }

    async fn open(&self) -> Result<Open, Unavailable> {
        let open = match self.ready().await {
            Ok(session) => self.peek().filter(|open| open.session == session),
            Err(Unavailable) => None,
        };
        open.ok_or_else(|| {
            self.trips.unsent.increment();
            Unavailable
        })
    }

    /// Waits for Redis's answer, and judges it.
    async fn trip<T>(
        &self,
        session: Session,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Unavailable> {
        let taken = Stopwatch::start();
        let answer = answer.await;
        self.trips.durations.observe(taken.elapsed());
        answer.map_err(|error| {
            if is_cut(&error) {
                self.trips.unanswered.increment();
                self.break_session(session);
            } else {
                self.trips.refused.increment();
                tracing::error!(%error, "Redis refused a command");
            }
            Unavailable
        })
    }

    /// Returns how long ago it was, at most, that the link is known to have heard everything, in milliseconds.
    fn age_ms(&self) -> u64 {
        let latest = self.stopwatch.elapsed_ms() + CoarseStopwatch::LAG_MS;
        latest.saturating_sub(self.fresh_at.load(Ordering::Acquire))
    }

    fn is_silent(&self) -> bool {
        self.age_ms() >= self.timeout_ms
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<String, Handler>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Telling the other processes of the site.
impl Link {
    /// Sets what applies a text that another process tells, before that process goes on. Only the first one counts.
    pub fn apply_told(&self, apply: Handler) {
        self.peers.apply_with(apply);
    }

    /// Tells a text to all other processes, and waits until each has applied it, or has been silent for so long that it
    /// serves nothing that needs Redis; at most twice the link's timeout. Costs no round trip if there are none.
    ///
    /// # Errors
    /// When Redis does not answer. Others may not have heard the text then.
    pub async fn tell_peers(&self, text: &str) -> Result<(), Unavailable> {
        // Without it, nobody knows who is alive.
        self.ready().await?;
        let Some(told) = self.peers.tell(self.time()) else {
            return Ok(());
        };
        let mut publish = cmd("PUBLISH");
        publish.arg(self.keys.site("told")).arg(told.message(text));
        self.run::<()>(&publish).await?;
        let is_applied = async {
            while let Some(lapse) = told.next_lapse(self.time()) {
                tokio::select! {
                    () = told.complete.notified() => {}
                    () = sleep(lapse.min(BEAT)) => self.drop_the_gone(&told).await,
                }
            }
        };
        if timeout(self.patience(), is_applied).await.is_err() {
            tracing::warn!("another process has not applied a change in time");
        }
        Ok(())
    }

    /// Stops waiting for processes whose subscription has ended: they were killed, or know that their link is cut.
    async fn drop_the_gone(&self, told: &Told<'_>) {
        let mut listeners = cmd("PUBSUB");
        listeners.arg("NUMSUB");
        for name in told.missing() {
            listeners.arg(self.keys.site(&format!("answers:{name}")));
        }
        match self.run::<Vec<(String, u64)>>(&listeners).await {
            Ok(listeners) => {
                for (channel, _) in listeners.iter().filter(|(_, number)| *number == 0) {
                    let name = channel.rsplit(':').next().unwrap_or_default();
                    self.peers.forget(name);
                }
            }
            // Who is alive is not known then.
            Err(Unavailable) => self.up().await,
        }
    }

    /// Returns the time until each process has read a change from the change feed, or serves nothing because its links are
    /// silent.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.timeout * 2
    }

    /// Tells the other processes that this one serves nothing any more.
    pub async fn leave(&self) {
        if self.session().is_none() {
            return;
        }
        let mut publish = cmd("PUBLISH");
        publish.arg(self.keys.site("words"));
        publish.arg(self.peers.farewell());
        // If it is not told in time, they notice the silence.
        drop(timeout(BEAT, self.run::<()>(&publish)).await);
    }
}

/// What only the driver does.
impl Link {
    pub(super) fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the time by the link's stopwatch, in milliseconds.
    pub(super) fn time(&self) -> u64 {
        self.stopwatch.elapsed_ms()
    }

    /// Returns the number of the next word, which is about to be published.
    pub(super) fn next_word(&self) -> u64 {
        self.words.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Notes that a word came back.
    pub(super) fn hear_word(&self, number: u64) {
        self.words.heard.send_replace(number);
    }

    /// Waits until somebody waits for a word.
    pub(super) async fn word_wanted(&self) {
        self.words.wanted.notified().await;
    }

    /// Begins a session that has heard everything since `time`.
    pub(super) fn begin(&self, open: Open, time: u64) {
        let session = open.session;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(open);
        self.life.store(session.life, Ordering::Release);
        self.hear_everything_until(time);
        self.number.store(session.number, Ordering::Release);
        self.state.send_replace(LinkState::Up(session));
    }

    /// Notes when Redis's memory of this site began.
    pub(super) fn set_memory_began_at(&self, began_at: Option<Timestamp>) {
        let began_at = began_at.map_or(0, |began_at| began_at.0);
        self.began_at.store(began_at, Ordering::Release);
    }

    /// Notes that what was published before `time` was heard.
    pub(super) fn hear_everything_until(&self, time: u64) {
        self.fresh_at.fetch_max(time, Ordering::AcqRel);
    }

    /// Waits until a command fails in this session as on a broken connection.
    pub(super) async fn broken(&self, session: Session) {
        let mut broken = self.broken.subscribe();
        // The sender lives as long as this link.
        drop(broken.wait_for(|number| *number == session.number).await);
    }

    /// Ends the session, after an error or silence.
    pub(super) fn end(&self) {
        self.number.store(0, Ordering::Release);
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says that the link is down, if it has been silent for its timeout, and that it is up again after that.
    pub(super) fn watch(&self) {
        let state = self.session().map_or(LinkState::Down, LinkState::Up);
        let is_silent = self.is_silent();
        self.state.send_if_modified(|shown| {
            let has_changed = *shown != state && (state != LinkState::Down || is_silent);
            if has_changed {
                if state == LinkState::Down {
                    tracing::error!("Redis does not answer");
                }
                *shown = state;
            }
            has_changed
        });
    }

    /// Returns the names of all channels.
    pub(super) fn heard_channels(&self) -> Vec<String> {
        self.channels().keys().cloned().collect()
    }

    /// Calls the handler of a channel.
    pub(super) fn dispatch(&self, channel: &str, payload: &[u8]) {
        let handler = self.channels().get(channel).map(Arc::clone);
        if let Some(handler) = handler {
            handler(payload);
        }
    }
}

/// Returns whether the connection cannot be used any more, or leads to a Redis that cannot be written.
pub(super) fn is_cut(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "LOADING" | "MASTERDOWN"))
}
