//! Following the change feed of PostgreSQL by its notifications, and watching the link to it.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::Stopwatch;
use crate::core::Core;
use crate::database::connection::{Connections, OpenError};
use crate::database::feed;
use crate::database::link::{LinkState, SentAt};
use crate::database::listener::{Deaf, Heard, Lost, Subscriber, Subscription, send_heartbeat};
use crate::domain::Timestamp;

/// The time between two heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// The number of heartbeats for each deletion of the feed's old rows (20 minutes).
const HEARTBEATS_PER_DELETION: u32 = 4800;
/// How far the clocks of two machines may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Follows the changes of other processes, and what is known of the link to PostgreSQL.
pub(super) struct Follower {
    core: Arc<Core>,
    /// Connections of which no statement is counted.
    connections: Connections,
    subscriber: Subscriber,
    timeout: Duration,
    subscription: Option<Subscription>,
    /// The process of PostgreSQL that holds the server's lock, or held it last.
    holder: Option<i32>,
    /// Whether another server has taken the lock.
    is_locked_out: bool,
    /// Whether the present subscription has heard anything.
    has_heard: bool,
    /// Since when the present subscription is made.
    subscribed: Stopwatch,
    /// The wall clock when the feed was last known to be followed.
    followed_at: Timestamp,
    /// The heartbeat on its way, one at most. Says when it was sent, if PostgreSQL has answered.
    beats: JoinSet<Option<SentAt>>,
    subscribing: JoinSet<Result<Subscription, Lost>>,
}

impl Follower {
    /// Goes on with a subscription that was made at the start.
    pub(super) fn new(
        core: Arc<Core>,
        connections: Connections,
        (subscriber, subscription): (Subscriber, Subscription),
    ) -> Self {
        let timeout = core.config.redis.link_timeout;
        let followed_at = core.clock.now();
        Self {
            core,
            connections,
            subscriber,
            timeout,
            holder: subscription.holder(),
            subscription: Some(subscription),
            is_locked_out: false,
            has_heard: true,
            subscribed: Stopwatch::start(),
            followed_at,
            beats: JoinSet::new(),
            subscribing: JoinSet::new(),
        }
    }

    /// Runs until `leaving` is cancelled, and frees the server's lock then.
    pub(super) async fn run(mut self, leaving: CancellationToken) {
        let following = leaving.run_until_cancelled(self.follow());
        following.await;
        if let Some(subscription) = self.subscription {
            // Otherwise, the lock ends with the connection.
            drop(tokio::time::timeout(self.timeout, subscription.unlock()).await);
        }
    }

    async fn follow(&mut self) {
        let mut ticks = tokio::time::interval(HEARTBEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    beats = beats.wrapping_add(1);
                    self.beat(beats);
                }
                Some(sent) = self.beats.join_next() => {
                    if let Ok(Some(sent_at)) = sent {
                        self.core.database_link.note_answered(sent_at);
                    }
                }
                heard = hear(&mut self.subscription) => self.take(heard),
                Some(made) = self.subscribing.join_next() => self.begin_subscription(made.ok()),
            }
            self.judge().await;
        }
    }

    /// Sends a heartbeat if none is on its way, and subscribes again after the subscription has ended.
    fn beat(&mut self, number: u32) {
        if self.beats.is_empty() {
            let (readers, origin) = (self.connections.readers.clone(), self.core.origin);
            let (timeout, sent_at) = (self.timeout, self.core.database_link.time());
            self.beats.spawn(async move {
                let sending = send_heartbeat(&readers, origin, sent_at);
                // On a connection that is cut without a word, it would never end.
                let sent = tokio::time::timeout(timeout, sending).await;
                matches!(sent, Ok(Ok(()))).then_some(sent_at)
            });
        }
        if self.subscription.is_none() && self.subscribing.is_empty() {
            let (subscriber, timeout, holder) =
                (self.subscriber.clone(), self.timeout, self.holder);
            self.subscribing.spawn(async move {
                let subscribing = subscriber.subscribe_again(holder);
                let subscribed = tokio::time::timeout(timeout, subscribing).await;
                subscribed.unwrap_or_else(|_| Err(Deaf::no_answer().into()))
            });
        }
        if number.is_multiple_of(HEARTBEATS_PER_DELETION) {
            let (writer, now) = (self.connections.writer.clone(), self.core.clock.now());
            drop(tokio::spawn(async move {
                if let Err(error) = feed::delete_old(&writer, now).await {
                    tracing::warn!(%error, "failed to delete old rows of the change feed");
                }
            }));
        }
    }

    /// Takes what the subscription has heard.
    fn take(&mut self, heard: Result<Heard, Deaf>) {
        match heard {
            Ok(heard) => {
                self.has_heard = true;
                match heard {
                    Heard::Changes(changes) => self.core.apply_heard(changes),
                    Heard::Heartbeat(sent_at) => self.core.database_link.note_heard(sent_at),
                    Heard::Own => {}
                }
                if self.core.database_link.is_up() {
                    self.followed_at = self.core.clock.now();
                    self.core.mark_feed_read();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "lost the change feed");
                self.subscription = None;
                self.has_heard = false;
            }
        }
    }

    /// Takes what became of subscribing again. A failure is tried again with the next heartbeat.
    fn begin_subscription(&mut self, made: Option<Result<Subscription, Lost>>) {
        match made {
            Some(Ok(subscription)) => {
                self.is_locked_out = false;
                self.holder = subscription.holder();
                self.subscription = Some(subscription);
                self.subscribed = Stopwatch::start();
            }
            Some(Err(Lost::Lock(error @ OpenError::InUse { .. }))) => {
                if !self.is_locked_out {
                    tracing::error!(%error, "lost the database to another server");
                }
                self.is_locked_out = true;
            }
            Some(Err(error)) => tracing::debug!(%error, "failed to subscribe to the change feed"),
            None => {}
        }
    }

    /// Decides what is known of the link.
    async fn judge(&mut self) {
        let link = &self.core.database_link;
        let had_time = self.subscribed.elapsed() >= self.timeout;
        if self.subscription.is_some() && had_time && link.is_unheard() {
            self.subscription = None;
            self.has_heard = false;
        }
        let proved = link.proved();
        // Who does not hold the lock may serve nothing.
        let state = if self.is_locked_out {
            LinkState::Silent
        } else if self.has_heard {
            proved
        } else {
            proved.max(LinkState::Deaf)
        };
        if state == link.noticed() {
            return;
        }
        if state != LinkState::Up {
            tracing::warn!(?state, "the link to PostgreSQL is lost");
            link.notice(state);
            self.core.forget_rows();
            return;
        }
        match tokio::time::timeout(self.timeout, self.catch_up()).await {
            Err(_) => {}
            Ok(Ok(())) => {
                // Somebody who asked before the link was lost may have put a row there after that.
                self.core.forget_rows();
                self.core.database_link.notice(LinkState::Up);
                tracing::info!("the link to PostgreSQL is back");
            }
            Ok(Err(error)) => tracing::warn!(%error, "failed to read the change feed"),
        }
    }

    /// Applies the changes that may have been missed, among them this process's own: one may have been committed though its
    /// answer was lost with the connection.
    async fn catch_up(&mut self) -> Result<(), DbErr> {
        let since = self.followed_at.minus(CLOCK_SKEW);
        for change in feed::since(&self.connections.readers, since).await? {
            self.core.apply(change);
        }
        self.followed_at = self.core.clock.now();
        self.core.mark_feed_read();
        Ok(())
    }
}

/// Waits for what the subscription hears next; forever, if there is none.
async fn hear(subscription: &mut Option<Subscription>) -> Result<Heard, Deaf> {
    match subscription {
        Some(subscription) => subscription.hear().await,
        None => std::future::pending().await,
    }
}
