//! Counters that any module may count in, and the text in which Prometheus reads them.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>. Names:
//! <https://prometheus.io/docs/practices/naming/>.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `number`.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Returns the number so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A sum of times.
#[derive(Debug, Default)]
pub struct TimeSum(Counter);

impl TimeSum {
    /// Adds a time.
    pub fn add(&self, time: Duration) {
        self.0
            .add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Returns the sum so far.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.get())
    }
}

/// What the values of a metric mean to Prometheus.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that grows and shrinks.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

/// The text of a scrape.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Begins a metric. Its samples follow.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a sample. The values of labels are our own words, which need no escaping.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.line(format_args!("{name}"));
        for (number, (label, text)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            self.line(format_args!("{before}{label}=\"{text}\""));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.line(format_args!("{end} {value}\n"));
    }

    /// Adds a metric with one sample.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Returns the text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_its_help_its_type_and_its_samples() {
        let mut text = Exposition::default();
        text.metric("tea_cups_total", Kind::Counter, "Cups of tea.");
        text.sample("tea_cups_total", &[("kind", "green"), ("pot", "1")], 3);
        text.single("tea_seconds", Kind::Gauge, "Age of the tea.", 1.5);

        let lines = "# HELP tea_cups_total Cups of tea.\n# TYPE tea_cups_total counter\n\
                     tea_cups_total{kind=\"green\",pot=\"1\"} 3\n\
                     # HELP tea_seconds Age of the tea.\n# TYPE tea_seconds gauge\ntea_seconds 1.5\n";
        assert_eq!(text.into_text(), lines);
    }
}
