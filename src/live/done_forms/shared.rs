//! Done forms in Redis.
//!
//! A turn is a key with a short time to live, which the process of the request renews as long as the request has its turn.
//! So the requests that wait for a process that was killed, or that is cut off from Redis, wait a few seconds at most. The
//! second of two requests that run at once after that finds the name taken, the link spent, or nothing left to end: the
//! database keeps what is unique so.

use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ScriptInvocation};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

use super::super::detached;
use super::super::redis::{Link, Unavailable, millis};
use super::made::{MAX_FORMS, Made, RETENTION};
use super::memory::{MemoryForms, MemoryTurn};
use super::text;
use crate::domain::{NonceId, SiteTime};
use crate::security::secret::random_bytes;

/// How long a turn lasts if its process does not renew it.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// How often a turn is renewed.
const RENEWED_EVERY: Duration = Duration::from_millis(500);
/// The shortest and the longest time between two looks at whether a turn of another process is over.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// How long a key stays if no process forgets the form before. Redis's clock may step by a day.
const KEY_STAYS: Duration = Duration::from_secs(86_400);

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
    nonce: String,
    request: String,
    redis: Arc<Forms>,
}

impl SharedForms {
    pub(super) fn new(link: Arc<Link>) -> Self {
        let script = |code| Script::new(&[include_str!("forms.lua"), code].concat());
        let redis = Arc::new(Forms {
            link,
            take: script(include_str!("take.lua")),
            note: script(include_str!("note.lua")),
            hold: script(include_str!("hold.lua")),
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
        let local = self.local.turn(nonce, now).await;
        let name = TurnName {
            nonce: format!("{:032x}", u128::from_be_bytes(nonce)),
            request: format!("{:032x}", u128::from_be_bytes(random_bytes())),
            redis: Arc::clone(&self.redis),
        };
        let mut pause = LOOKS.0;
        let made = loop {
            if let Some(made) = self.redis.take(&name, now).await? {
                break made;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOKS.1);
        };
        let renewal = tokio::spawn(renew(
            Arc::clone(&self.redis),
            name.nonce.clone(),
            name.request.clone(),
        ));
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
        call.arg(self.name.nonce.as_str()).arg(text::write(made));
        call.arg(now.plus(RETENTION).0);
        call.arg(MAX_FORMS).arg(millis(KEY_STAYS));
        redis.link.script(&call).await
    }
}

impl Forms {
    /// Takes the turn. Returns what the form has made, as text, or `None` if another request has its turn.
    async fn take(&self, name: &TurnName, now: SiteTime) -> Result<Option<String>, Unavailable> {
        let mut call = self.call(&self.take, now);
        call.arg(name.nonce.as_str()).arg(name.request.as_str());
        call.arg(millis(LEASE));
        let (is_taken, made): (bool, String) = self.link.script(&call).await?;
        Ok(is_taken.then_some(made))
    }

    /// Lets a turn last this long from now on.
    async fn hold(&self, nonce: &str, request: &str, span: Duration) -> Result<(), Unavailable> {
        let mut call = self.call(&self.hold, SiteTime(0));
        call.arg(nonce).arg(request).arg(millis(span));
        self.link.script(&call).await
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

async fn renew(redis: Arc<Forms>, nonce: String, request: String) {
    let mut ticks = interval(RENEWED_EVERY);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // The next renewal may succeed.
        let _: Result<(), Unavailable> = redis.hold(&nonce, &request, LEASE).await;
    }
}

impl Drop for TurnName {
    fn drop(&mut self) {
        let redis = Arc::clone(&self.redis);
        let nonce = std::mem::take(&mut self.nonce);
        let request = std::mem::take(&mut self.request);
        // Without an answer, the turn ends by itself.
        detached::spawn(async move {
            let _: Result<(), Unavailable> = redis.hold(&nonce, &request, Duration::ZERO).await;
        });
    }
}
