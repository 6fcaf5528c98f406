//! The clocks. Only this module reads the time.

use std::sync::Arc;
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

/// How far the wall clock and the steady clock may drift apart before the wall clock is doubted.
const MAX_DRIFT: Duration = Duration::from_secs(60);
/// How long a doubted wall clock has to come back, before its new time is taken over.
const DOUBTED_FOR: Duration = Duration::from_secs(3600);

/// A clock whose wall clock's time does not follow a step at once.
///
/// While the wall clock is doubted, the time goes on by the steady clock, from where it was before the step. So
/// a wall clock that is set wrong for a while ends no session, link or invite, keeps none alive, and dates no
/// message wrong. One that stays at its new time is right: after an hour, its time is taken over.
pub struct GuardedClock {
    clock: Arc<dyn Clock>,
    /// The trusted time of the wall clock less the site's time, in milliseconds.
    offset: AtomicI64,
    /// The site's time since when the wall clock has been doubted; [`TRUSTED`] if it is not.
    doubted_since: AtomicI64,
}

/// The value of [`GuardedClock::doubted_since`] while the wall clock is trusted.
const TRUSTED: i64 = i64::MIN;

impl GuardedClock {
    /// Guards `clock`, whose wall clock is trusted now.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let offset = clock.now().0.saturating_sub(clock.site_time().0);
        Self {
            clock,
            offset: AtomicI64::new(offset),
            doubted_since: AtomicI64::new(TRUSTED),
        }
    }

    fn trust(&self, offset: i64) {
        self.offset.store(offset, Ordering::Relaxed);
        self.doubted_since.store(TRUSTED, Ordering::Relaxed);
    }
}

impl Clock for GuardedClock {
    fn now(&self) -> Timestamp {
        let (wall, site) = (self.clock.now(), self.clock.site_time());
        let trusted = self.offset.load(Ordering::Relaxed);
        let offset = wall.0.saturating_sub(site.0);
        let drift = Duration::from_millis(offset.abs_diff(trusted));
        let doubted_since = self.doubted_since.load(Ordering::Relaxed);
        if drift <= MAX_DRIFT {
            if offset != trusted || doubted_since != TRUSTED {
                // The clocks run at slightly different speeds.
                self.trust(offset);
            }
            return wall;
        }
        let drift_s = drift.as_secs();
        if doubted_since == TRUSTED {
            tracing::warn!(
                drift_s,
                "wall clock was set: using the steady clock for an hour"
            );
            self.doubted_since.store(site.0, Ordering::Relaxed);
        } else if DOUBTED_FOR <= site.since(SiteTime(doubted_since)) {
            tracing::warn!(
                drift_s,
                "wall clock has kept its new time for an hour: using it"
            );
            self.trust(offset);
            return wall;
        }
        Timestamp(site.0.saturating_add(trusted))
    }

    fn site_time(&self) -> SiteTime {
        self.clock.site_time()
    }
}

/// A clock whose site time is that of several processes.
///
/// Each process goes on by its own steady clock, and all keep the greatest time that any of them has reached in
/// Redis. So the site's time is that of the running processes, whatever Redis's own clock says.
pub struct SiteClock {
    clock: Arc<dyn Clock>,
    /// The site's time less that of `clock`, in milliseconds.
    offset: AtomicI64,
}

impl SiteClock {
    /// Starts at the site time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            offset: AtomicI64::new(0),
        }
    }

    /// Sets the site's time to that of other processes. Only called before the time is used.
    pub fn set(&self, time: SiteTime) {
        self.offset.store(self.offset_to(time), Ordering::SeqCst);
    }

    /// Raises the site's time to `time`, if that is later.
    pub fn raise(&self, time: SiteTime) {
        self.offset
            .fetch_max(self.offset_to(time), Ordering::SeqCst);
    }

    fn offset_to(&self, time: SiteTime) -> i64 {
        time.0.saturating_sub(self.clock.site_time().0)
    }
}

impl Clock for SiteClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn site_time(&self) -> SiteTime {
        let own = self.clock.site_time().0;
        SiteTime(own.saturating_add(self.offset.load(Ordering::SeqCst)))
    }
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

/// A stopwatch for what is asked many times a request, up to [`CoarseStopwatch::LAG_MS`] behind.
///
/// It takes a fraction of the time of [`Stopwatch`], because it reads the time of the kernel's latest tick
/// (`clock_gettime(2)`, `CLOCK_MONOTONIC_COARSE`).
#[derive(Debug, Clone, Copy)]
pub struct CoarseStopwatch(u64);

impl CoarseStopwatch {
    /// How far the stopwatch can be behind, in milliseconds: five of the ticks of a kernel that has 250 a second, because
    /// Linux makes up for the ticks of a processor that is held up after so many (`tick_sched_do_timer`).
    pub const LAG_MS: u64 = 20;

    /// Starts a stopwatch.
    #[must_use]
    pub fn start() -> Self {
        Self(latest_tick())
    }

    /// Returns the time since the stopwatch was started, in milliseconds.
    #[must_use]
    pub fn elapsed_ms(self) -> u64 {
        latest_tick().saturating_sub(self.0)
    }
}

/// Returns a span in whole milliseconds.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the time of the kernel's latest tick, in milliseconds since an arbitrary point.
fn latest_tick() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::MonotonicCoarse;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * 1_000 + part(time.tv_nsec) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_352_700_000);
    const DAYS: Duration = Duration::from_secs(400 * 86_400);
    const SECOND: Duration = Duration::from_secs(1);

    fn guarded() -> (GuardedClock, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(START));
        (GuardedClock::new(clock.clone()), clock)
    }

    #[test]
    fn a_wall_clock_that_steps_and_comes_back_is_not_followed() {
        for wrong in [START.plus(DAYS), START.minus(DAYS)] {
            let (guarded, clock) = guarded();
            clock.set_wall(wrong);
            assert_eq!(guarded.now(), START);
            clock.advance(6 * SECOND);
            assert_eq!(guarded.now(), START.plus(6 * SECOND));
            clock.set_wall(START.plus(7 * SECOND));
            assert_eq!(guarded.now(), START.plus(7 * SECOND));
        }
    }

    #[test]
    fn a_wall_clock_that_stays_at_its_new_time_is_followed_after_an_hour() {
        let (guarded, clock) = guarded();
        clock.set_wall(START.plus(DAYS));
        assert_eq!(guarded.now(), START);

        clock.advance(DOUBTED_FOR - SECOND);
        assert_eq!(guarded.now(), START.plus(DOUBTED_FOR - SECOND));
        clock.advance(SECOND);
        assert_eq!(guarded.now(), START.plus(DAYS + DOUBTED_FOR));
    }

    #[test]
    fn small_corrections_are_followed_at_once_however_many() {
        let (guarded, clock) = guarded();
        for minute in 1..10 {
            let corrected = START.plus(60 * SECOND * minute);
            clock.set_wall(corrected);
            assert_eq!(guarded.now(), corrected);
        }
    }

    #[test]
    fn the_sites_time_is_raised_and_never_lowered() {
        let own = Arc::new(FixedClock::at(START));
        let clock = SiteClock::new(own.clone());
        let start = SiteTime(START.0);

        clock.raise(start.plus(SECOND));
        clock.raise(start.minus(SECOND));
        assert_eq!(clock.site_time(), start.plus(SECOND));
        own.advance(SECOND);
        assert_eq!(clock.site_time(), start.plus(2 * SECOND));
        assert_eq!(clock.now(), START.plus(SECOND));
        clock.set(start);
        assert_eq!(clock.site_time(), start);
    }

    #[test]
    fn the_machines_clocks_agree() {
        let clock = SystemClock::start();

        let apart = clock.now().0.abs_diff(clock.site_time().0);

        assert!(apart < 60_000, "{apart} ms");
    }

    #[test]
    fn a_coarse_stopwatch_goes_as_fast_as_another() {
        let (coarse, watch) = (CoarseStopwatch::start(), Stopwatch::start());
        while coarse.elapsed_ms() < 100 {
            // A busy machine may hold up its ticks, but not for this long.
            assert!(watch.elapsed() < Duration::from_secs(2));
        }

        let least = Duration::from_millis(100 - CoarseStopwatch::LAG_MS);
        assert!(watch.elapsed() >= least, "{:?}", watch.elapsed());
    }
}
