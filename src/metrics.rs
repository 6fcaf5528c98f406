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

/// The upper bounds of a histogram's buckets, in microseconds, each with its text in seconds.
pub type Bounds<const N: usize> = [(u64, &'static str); N];

/// Counts of times by their length.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static Bounds<N>,
    /// In the order of the bounds, each without those of smaller bounds.
    buckets: [Counter; N],
    /// Those that are longer than all bounds.
    longer: Counter,
    sum: TimeSum,
}

impl<const N: usize> Histogram<N> {
    /// Creates a histogram with these bounds, the smallest first.
    #[must_use]
    pub fn new(bounds: &'static Bounds<N>) -> Self {
        Self {
            bounds,
            buckets: std::array::from_fn(|_| Counter::default()),
            longer: Counter::default(),
            sum: TimeSum::default(),
        }
    }

    /// Counts a time.
    pub fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut buckets = self.bounds.iter().zip(&self.buckets);
        let bucket = buckets.find(|((bound, _), _)| micros <= *bound);
        bucket
            .map_or(&self.longer, |(_, bucket)| bucket)
            .increment();
        self.sum.0.add(micros);
    }

    /// Returns how many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        let buckets: u64 = self.buckets.iter().map(Counter::get).sum();
        buckets + self.longer.get()
    }

    /// Writes the samples of the metric `name`, each with these labels.
    pub fn write<const LABELS: usize>(
        &self,
        text: &mut Exposition,
        name: &str,
        labels: [(&str, &str); LABELS],
    ) {
        let bucket = format!("{name}_bucket");
        let mut within = 0;
        for ((_, bound), counter) in self.bounds.iter().zip(&self.buckets) {
            within += counter.get();
            text.sample(&bucket, &[&labels[..], &[("le", bound)]].concat(), within);
        }
        within += self.longer.get();
        text.sample(&bucket, &[&labels[..], &[("le", "+Inf")]].concat(), within);
        let sum = self.sum.get().as_secs_f64();
        text.sample(&format!("{name}_sum"), &labels, sum);
        // Not counted again, because times are counted meanwhile.
        text.sample(&format!("{name}_count"), &labels, within);
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

    #[test]
    fn a_bucket_counts_everything_up_to_its_bound() {
        let histogram = Histogram::new(&[(1_000, "0.001"), (2_500, "0.0025"), (5_000, "0.005")]);
        for micros in [900, 1_000, 1_001, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut text = Exposition::default();

        histogram.write(&mut text, "tea_seconds", [("pot", "1")]);

        let lines = "tea_seconds_bucket{pot=\"1\",le=\"0.001\"} 2\n\
                     tea_seconds_bucket{pot=\"1\",le=\"0.0025\"} 3\n\
                     tea_seconds_bucket{pot=\"1\",le=\"0.005\"} 3\n\
                     tea_seconds_bucket{pot=\"1\",le=\"+Inf\"} 4\n\
                     tea_seconds_sum{pot=\"1\"} 60.002901\n\
                     tea_seconds_count{pot=\"1\"} 4\n";
        assert_eq!(text.into_text(), lines);
        assert_eq!(histogram.count(), 4);
    }
}
