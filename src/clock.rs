//! The clocks. Only this module reads the time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::{SiteTime, Timestamp};

/// A source of the time: the wall clock's time, for display and for what is stored in the database, and the
/// site's steady time, for deadlines in memory.
pub trait Clock: Send + Sync {
    /// Returns the wall clock's time, which can jump forwards and back.
    fn now(&self) -> Timestamp;

    /// Returns the site's steady time, which never jumps.
    fn site_time(&self) -> SiteTime;
}

/// The machine's clocks.
pub struct SystemClock {
    /// The wall clock's time when the server started.
    started_at: Timestamp,
    /// The steady clock's time when the server started.
    boot_time_at_start: Duration,
}

impl SystemClock {
    /// Starts the site's time at the wall clock's time.
    #[must_use]
    pub fn start() -> Self {
        Self {
            started_at: wall_clock(),
            boot_time_at_start: since_boot(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        wall_clock()
    }

    fn site_time(&self) -> SiteTime {
        SiteTime(self.started_at.0).plus(since_boot().saturating_sub(self.boot_time_at_start))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(0).plus(since_epoch)
}

/// Returns the time since the machine booted, including the time it was suspended (`clock_gettime(2)`,
/// `CLOCK_BOOTTIME`).
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the time since an arbitrary point. On systems other than Linux, this clock may stop while the
/// machine is suspended.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// A clock that only moves when a test moves it.
pub struct FixedClock {
    now: AtomicI64,
    site_time: AtomicI64,
}

impl FixedClock {
    /// Makes a clock with both its times at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(start.0),
            site_time: AtomicI64::new(start.0),
        }
    }

    /// Sets the wall clock to `now`, forwards or back, as an operator could. The site's time does not change.
    pub fn set_wall(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }

    /// Advances both times by `span`.
    pub fn advance(&self, span: Duration) {
        self.set_wall(self.now().plus(span));
        let later = self.site_time().plus(span);
        self.site_time.store(later.0, Ordering::SeqCst);
    }

    /// Advances both times until the wall clock shows `then`, which must not be in the past.
    pub fn advance_to(&self, then: Timestamp) {
        let millis = u64::try_from(then.0.saturating_sub(self.now().0)).unwrap_or(0);
        self.advance(Duration::from_millis(millis));
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn site_time(&self) -> SiteTime {
        SiteTime(self.site_time.load(Ordering::SeqCst))
    }
}

/// A stopwatch that is not affected when the machine's clock is set.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts a stopwatch.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Returns the time since the stopwatch was started.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
