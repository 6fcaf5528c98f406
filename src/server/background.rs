//! The background tasks: freeing memory, deleting expired rows, and following the change feed.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use tokio::time::MissedTickBehavior;

use super::allocator;
use crate::core::{Core, Fault};
use crate::database::feed::ChangeFeed;
use crate::domain::{Lifespan, SiteTime};
use crate::services::{invites, one_time_links, sessions};

/// How often memory is freed of what has expired, which is promised within 10 s.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Free memory is returned to the system when messages take so many bytes less than at most.
const WORTH_RETURNING: usize = 8 * 1024 * 1024;
/// How many sweeps of messages there are to one sweep of rows.
const SWEEPS_TO_SWEEP_ROWS: u32 = 240;
/// How often the change feed is polled: changes of the command line are promised to act within 2 s.
const POLL_FEED_EVERY: Duration = Duration::from_secs(1);
/// How many polls of the feed there are to one deletion of its old rows.
const POLLS_TO_DELETE: u32 = 1200;

/// Frees what has expired, with traffic or without. Runs until it is aborted.
pub(super) async fn sweep(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    let mut most_bytes: usize = 0;
    for sweep in 1_u32.. {
        ticks.tick().await;
        let now = core.clock.site_time();
        most_bytes = most_bytes.max(core.messages.bytes().await);
        core.messages.sweep(now).await;
        core.presence.sweep(now);
        let bytes = core.messages.bytes().await;
        if most_bytes.saturating_sub(bytes) >= WORTH_RETURNING {
            most_bytes = bytes;
            // It fails only if it panics, and it does not.
            drop(tokio::task::spawn_blocking(allocator::return_free_memory).await);
        }
        core.probes.sweeps.send_replace(());
        if sweep.is_multiple_of(SWEEPS_TO_SWEEP_ROWS) {
            sweep_rows(&core, now).await;
        }
    }
}

/// Frees what was not used for a while, and deletes expired rows.
async fn sweep_rows(core: &Core, now: SiteTime) {
    core.drafts.sweep(now);
    core.read_marks
        .sweep(Lifespan(core.config.message_lifespan), now);
    core.limits.sweep();
    core.settings.sweep();
    core.sessions.sweep();
    core.rooms.sweep();
    core.public_rooms.sweep();
    warn("sessions", sessions::delete_expired(core).await);
    warn("invites", invites::delete_expired(core).await);
    warn("links", one_time_links::delete_expired(core).await);
}

fn warn(rows: &str, deleted: Result<(), Fault>) {
    if let Err(error) = deleted {
        tracing::warn!(rows, %error, "failed to delete expired rows");
    }
}

/// Applies the changes of other processes. Runs until it is aborted.
pub(super) async fn follow_changes(core: Arc<Core>, mut feed: ChangeFeed) {
    let mut ticks = tokio::time::interval(POLL_FEED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    for poll in 1_u32.. {
        ticks.tick().await;
        match poll_feed(&core, &mut feed, poll).await {
            Ok(()) => is_failing = false,
            // Logged once, not each second.
            Err(_) if is_failing => {}
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "failed to poll the change feed");
            }
        }
    }
}

async fn poll_feed(core: &Core, feed: &mut ChangeFeed, poll: u32) -> Result<(), DbErr> {
    for change in feed.poll().await? {
        core.apply(change).await;
    }
    if poll.is_multiple_of(POLLS_TO_DELETE) {
        feed.delete_old(core.clock.now()).await?;
    }
    Ok(())
}
