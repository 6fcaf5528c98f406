//! The time. The only place that asks for it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::{SiteTime, Timestamp};

/// Tells the time: the wall clock's, for what is shown and what lasts, and the site's own, for everything
/// in memory that ends after a while.
pub trait Clock: Send + Sync {
    /// Returns the wall clock's time. It can step, forwards and back.
    fn now(&self) -> Timestamp;

    /// Returns the site's steady time. It never steps.
    fn site_time(&self) -> SiteTime;
}

/// The machine's clocks.
pub struct SystemClock {
    /// The wall clock's time at the start.
    began: Timestamp,
    /// The steady clock's time at the start.
    booted: Duration,
}

impl SystemClock {
    /// Starts the site's time at the wall clock's.
    #[must_use]
    pub fn start() -> Self {
        Self {
            began: wall_clock(),
            booted: since_boot(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        wall_clock()
    }

    fn site_time(&self) -> SiteTime {
        SiteTime(self.began.0).plus(since_boot().saturating_sub(self.booted))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(0).plus(since_epoch)
}

/// Returns the time since the machine started, the time it was suspended included
/// (`clock_gettime(2)`, `CLOCK_BOOTTIME`).
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the time since some moment. Elsewhere than on Linux, it may stand still while the machine is
/// suspended.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// A clock that stands still until a test moves it.
pub struct FixedClock {
    now: AtomicI64,
    site_time: AtomicI64,
}

impl FixedClock {
    /// Makes a clock whose both times are `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(start.0),
            site_time: AtomicI64::new(start.0),
        }
    }

    /// Sets the wall clock to `now`, forwards or back, as an operator would. The site's time stays.
    pub fn set_wall(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }

    /// Lets `span` pass, by both times.
    pub fn advance(&self, span: Duration) {
        self.set_wall(self.now().plus(span));
        let later = self.site_time().plus(span);
        self.site_time.store(later.0, Ordering::SeqCst);
    }

    /// Lets time pass, by both times, until the wall clock shows `then`, which must not be in the past.
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

/// Measures how long something takes, whatever is done to the machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts a stopwatch.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Returns the time since its start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
