//! The background tasks: freeing memory, deleting expired rows, and following the change feed.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use tokio::time::MissedTickBehavior;

use super::allocator;
use crate::core::{Core, Fault};
use crate::database::feed::ChangeFeed;
use crate::domain::Lifespan;
use crate::services::{invites, one_time_links, sessions};

/// The time between two sweeps. Expired messages must be freed within 10 s.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long a sweep of done forms, which may be in Redis, may hold up the next sweep of messages.
const FORMS_SWEEP_TIME: Duration = Duration::from_secs(1);
/// Free memory is returned to the system when messages take this many bytes less than at their peak.
const TRIM_THRESHOLD: usize = 8 * 1024 * 1024;
/// The time between two sweeps of caches and rows.
const ROW_SWEEP_INTERVAL: Duration = Duration::from_secs(20 * 60);
/// The time between two polls of the change feed. Changes by the command line must act within 2 s.
const FEED_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The number of polls of the feed for each deletion of its old rows (20 minutes).
const POLLS_PER_DELETION: u32 = 1200;

/// Frees expired messages, with traffic or without. Runs until aborted.
pub(super) async fn sweep(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut peak_bytes: usize = 0;
    loop {
        ticks.tick().await;
        let now = core.clock.site_time();
        // Without Redis, nothing is freed there. The next sweep does.
        peak_bytes = peak_bytes.max(core.messages.bytes().await.unwrap_or(0));
        let swept = core.messages.sweep(now).await;
        if let (Err(error), None) = (&swept, &core.redis) {
            tracing::error!(%error, "failed to sweep the messages");
        }
        core.presence.sweep(now);
        // The next sweep does what a silent Redis kept this one from doing.
        drop(tokio::time::timeout(FORMS_SWEEP_TIME, core.done_forms.sweep(now)).await);
        let bytes = core.messages.bytes().await.unwrap_or(0);
        if peak_bytes.saturating_sub(bytes) >= TRIM_THRESHOLD {
            peak_bytes = bytes;
            // Joining fails only if the task panics, and this one does not.
            drop(tokio::task::spawn_blocking(allocator::return_free_memory).await);
        }
        core.probes.sweeps.send_replace(());
    }
}

/// Drops idle entries from the caches, and deletes expired rows. Runs until aborted. A task of its own,
/// because each deletion may wait for the database, and expired messages must not.
pub(super) async fn sweep_rows(core: Arc<Core>) {
    loop {
        tokio::time::sleep(ROW_SWEEP_INTERVAL).await;
        let now = core.clock.site_time();
        core.drafts.sweep(now).await;
        core.read_marks
            .sweep(Lifespan(core.config.message_lifespan), now);
        core.limits.sweep();
        core.settings.sweep();
        core.sessions.sweep();
        core.rooms.sweep();
        core.own_rooms.sweep();
        core.public_rooms.sweep();
        log_failure("sessions", sessions::delete_expired(&core).await);
        log_failure("invites", invites::delete_expired(&core).await);
        log_failure("links", one_time_links::delete_expired(&core).await);
    }
}

fn log_failure(rows: &str, deleted: Result<(), Fault>) {
    if let Err(error) = deleted {
        tracing::warn!(rows, %error, "failed to delete expired rows");
    }
}

/// Applies the changes that other processes write to the change feed. Runs until aborted.
pub(super) async fn follow_changes(core: Arc<Core>, mut feed: ChangeFeed) {
    let mut ticks = tokio::time::interval(FEED_POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    for poll in 1_u32.. {
        ticks.tick().await;
        match poll_feed(&core, &mut feed, poll).await {
            Ok(()) => is_failing = false,
            // One warning for each outage, not one a second.
            Err(_) if is_failing => {}
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "failed to poll the change feed");
            }
        }
    }
}

async fn poll_feed(core: &Arc<Core>, feed: &mut ChangeFeed, poll: u32) -> Result<(), DbErr> {
    for change in feed.poll().await? {
        core.apply(change);
    }
    core.mark_feed_read();
    if poll.is_multiple_of(POLLS_PER_DELETION) {
        feed.delete_old(core.clock.now()).await?;
    }
    Ok(())
}
