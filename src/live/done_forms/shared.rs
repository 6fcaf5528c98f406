//! Done forms in Redis.
//!
//! A turn is a key that says when the turn ends by the site's time, which the process of the request puts off as long as the
//! request has its turn. So the requests that wait for a process that was killed, or that is cut off from Redis, wait a few
//! seconds at most. The second of two requests that run at once after that finds the name taken, the link spent, or nothing
//! left to end: the database keeps what is unique so.

use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ScriptInvocation};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

use super::super::detached;
use super::super::redis::{KEY_MARGIN, Link, Unavailable};
use super::made::{MAX_FORMS, Made, RETENTION};
use super::memory::{MemoryForms, MemoryTurn};
use super::text;
use crate::clock::{Stopwatch, millis};
use crate::domain::{NonceId, SiteTime};
use crate::security::secret::random_bytes;

/// How long a turn lasts if its process does not renew it.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// How often a turn is renewed.
const RENEWED_EVERY: Duration = Duration::from_millis(500);
/// The shortest and the longest time between two looks at whether a turn of another process is over.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// The forms that all processes of a site know.
pub(super) struct SharedForms {
    redis: Arc<Forms>,
    /// The turns of the requests at this process, of which one at a time asks Redis.
    local: MemoryForms,
}

struct Forms {
    link: Arc<Link>,
    take: Script,
    note: Script,
    hold: Script,
    end_turn: Script,
    sweep: Script,
}

/// The turn of one request with a form.
pub(super) struct SharedTurn {
    pub(super) made: Option<Made>,
    name: TurnName,
    redis: Arc<Forms>,
    /// Renews the turn.
    _renewal: Renewal,
    /// Dropped last.
    _local: MemoryTurn,
}

/// Names a turn in Redis. Dropping it ends the turn, also one that was taken and not heard of.
struct TurnName {
    id: TurnId,
    redis: Arc<Forms>,
}

#[derive(Clone)]
struct TurnId {
    nonce: String,
    request: String,
    /// The site's time when the request came, and the time since then.
    came_at: SiteTime,
    since: Stopwatch,
}

impl TurnId {
    fn now(&self) -> SiteTime {
        self.came_at.plus(self.since.elapsed())
    }
}

impl SharedForms {
    pub(super) fn new(link: Arc<Link>) -> Self {
        let script = |code| Script::new(&[include_str!("forms.lua"), code].concat());
        let redis = Arc::new(Forms {
            link,
            take: script(include_str!("take.lua")),
            note: script(include_str!("note.lua")),
            hold: script(include_str!("hold.lua")),
            end_turn: script(include_str!("end_turn.lua")),
            sweep: script(include_str!("sweep.lua")),
        });
        Self {
            redis,
            local: MemoryForms::default(),
        }
    }

    pub(super) async fn turn(
        &self,
        nonce: NonceId,
        now: SiteTime,
    ) -> Result<SharedTurn, Unavailable> {
        let since = Stopwatch::start();
        let local = self.local.turn(nonce, now).await;
        let id = TurnId {
            nonce: format!("{:032x}", u128::from_be_bytes(nonce)),
            request: format!("{:032x}", u128::from_be_bytes(random_bytes())),
            came_at: now,
            since,
        };
        let redis = Arc::clone(&self.redis);
        let name = TurnName { id, redis };
        let mut pause = LOOKS.0;
        let made = loop {
            if let Some(made) = self.redis.take(&name.id).await? {
                break made;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOKS.1);
        };
        let renewal = tokio::spawn(renew(Arc::clone(&self.redis), name.id.clone()));
        Ok(SharedTurn {
            made: text::read(&made),
            name,
            redis: Arc::clone(&self.redis),
            _renewal: Renewal(renewal),
            _local: local,
        })
    }

    pub(super) async fn sweep(&self, now: SiteTime) -> Result<(), Unavailable> {
        let call = self.redis.call(&self.redis.sweep, now);
        self.redis.link.script(&call).await
    }

    /// Returns the number of forms that are being done at this process.
    pub(super) fn size(&self) -> usize {
        self.local.size()
    }
}

impl SharedTurn {
    pub(super) async fn note(&self, made: &Made, now: SiteTime) {
        if self.try_to_note(made, now).await.is_err() {
            // The form is done all the same.
            tracing::warn!("a form was done that Redis does not know of");
        }
    }

    async fn try_to_note(&self, made: &Made, now: SiteTime) -> Result<(), Unavailable> {
        let redis = &self.redis;
        let mut call = redis.call(&redis.note, now);
        call.arg(self.name.id.nonce.as_str()).arg(text::write(made));
        call.arg(now.plus(RETENTION).0);
        call.arg(MAX_FORMS).arg(millis(RETENTION + KEY_MARGIN));
        redis.link.script(&call).await
    }
}

impl Forms {
    /// Takes the turn. Returns what the form has made, as text, or `None` if another request has its turn.
    async fn take(&self, id: &TurnId) -> Result<Option<String>, Unavailable> {
        let mut call = self.call_for(&self.take, id);
        call.arg(millis(LEASE)).arg(millis(LEASE + KEY_MARGIN));
        let (is_taken, made): (bool, String) = self.link.script(&call).await?;
        Ok(is_taken.then_some(made))
    }

    /// Lets a turn last for [`LEASE`] from now on.
    async fn hold(&self, id: &TurnId) -> Result<(), Unavailable> {
        let mut call = self.call_for(&self.hold, id);
        call.arg(millis(LEASE)).arg(millis(LEASE + KEY_MARGIN));
        self.link.script(&call).await
    }

    async fn end_turn(&self, id: &TurnId) -> Result<(), Unavailable> {
        let call = self.call_for(&self.end_turn, id);
        self.link.script(&call).await
    }

    fn call_for<'a>(&self, script: &'a Script, id: &TurnId) -> ScriptInvocation<'a> {
        let mut call = self.call(script, id.now());
        call.arg(id.nonce.as_str()).arg(id.request.as_str());
        call
    }

    fn call<'a>(&self, script: &'a Script, now: SiteTime) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(self.link.keys().site("forms:")).arg(now.0);
        call
    }
}

/// Renews a turn until it is dropped.
struct Renewal(JoinHandle<()>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn renew(redis: Arc<Forms>, id: TurnId) {
    let mut ticks = interval(RENEWED_EVERY);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // The next renewal may succeed.
        let _: Result<(), Unavailable> = redis.hold(&id).await;
    }
}

impl Drop for TurnName {
    fn drop(&mut self) {
        let (redis, id) = (Arc::clone(&self.redis), self.id.clone());
        // Without an answer, the turn ends by itself.
        detached::spawn(async move {
            let _: Result<(), Unavailable> = redis.end_turn(&id).await;
        });
    }
}
