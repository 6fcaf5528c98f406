//! Counts what a process sends to Redis, for Prometheus.

use crate::metrics::{Bounds, Counter, Exposition, Histogram, Kind};

/// A Redis nearby answers within a tenth of a millisecond. After `--link-timeout`, nobody waits for an answer.
const BOUNDS: Bounds<11> = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
];

/// The round trips of a link. Those that keep the link alive are not counted.
#[derive(Debug)]
pub struct Trips {
    pub(super) durations: Histogram<{ BOUNDS.len() }>,
    pub(super) unanswered: Counter,
    pub(super) refused: Counter,
    /// Those that were not made, because the link was down.
    pub(super) unsent: Counter,
}

impl Default for Trips {
    fn default() -> Self {
        Self {
            durations: Histogram::new(&BOUNDS),
            unanswered: Counter::default(),
            refused: Counter::default(),
            unsent: Counter::default(),
        }
    }
}

impl Trips {
    /// Writes the counts.
    pub fn write(&self, text: &mut Exposition) {
        let name = "mirage_redis_round_trip_duration_seconds";
        let help = "Time from a command or script to the answer of Redis.";
        text.metric(name, Kind::Histogram, help);
        self.durations.write(text, name, []);
        let name = "mirage_redis_errors_total";
        let help = "Commands and scripts that were not answered, were refused, or were not sent because the link was down.";
        text.metric(name, Kind::Counter, help);
        for (reason, errors) in [
            ("unanswered", &self.unanswered),
            ("refused", &self.refused),
            ("unsent", &self.unsent),
        ] {
            text.sample(name, &[("reason", reason)], errors.get());
        }
    }
}
