//! Histograms with fixed buckets. The library's histograms keep every value until they are rendered, so their memory grows
//! with the load. These keep counts only, and add any number of equal values in one step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{HistogramFn, Key, SharedString};
use parking_lot::Mutex;

use super::text::{self, MetricType};

/// The upper bounds of durations, in seconds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// The upper bounds of numbers of actions.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// All histograms by name.
#[derive(Default)]
pub(super) struct Histograms(Mutex<BTreeMap<String, Family>>);

#[derive(Default)]
struct Family {
    help: SharedString,
    /// Keyed by the labels as rendered.
    series: BTreeMap<String, Arc<Buckets>>,
}

impl Histograms {
    pub(super) fn describe(&self, name: &str, help: SharedString) {
        self.0.lock().entry(name.to_owned()).or_default().help = help;
    }

    /// The series of this name and these labels; created at zero if missing.
    pub(super) fn series(&self, key: &Key) -> Arc<Buckets> {
        let labels = text::labels(key.labels().map(|label| (label.key(), label.value())));
        let bounds = match key.name().ends_with("_seconds") {
            true => SECONDS,
            false => COUNTS,
        };
        let mut families = self.0.lock();
        let family = families.entry(key.name().to_owned()).or_default();
        let series = family.series.entry(labels);
        series
            .or_insert_with(|| Arc::new(Buckets::new(bounds)))
            .clone()
    }

    pub(super) fn render(&self, out: &mut String) {
        for (name, family) in &*self.0.lock() {
            if family.series.is_empty() {
                continue;
            }
            text::head(out, name, MetricType::Histogram, &family.help);
            for (labels, buckets) in &family.series {
                buckets.render(out, name, labels);
            }
        }
    }
}

/// The counts of one series.
pub(super) struct Buckets {
    bounds: &'static [f64],
    /// The number of values in each bucket, not cumulative; the last bucket has no upper bound.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
        }
    }

    fn render(&self, out: &mut String, name: &str, labels: &str) {
        let mut total = 0;
        let bounds = self.bounds.iter().map(ToString::to_string);
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let comma = if labels.is_empty() { "" } else { "," };
        for (count, bound) in self.counts.iter().zip(bounds) {
            total += count.load(Relaxed);
            let labels = format!("{labels}{comma}le=\"{bound}\"");
            text::sample(out, &format!("{name}_bucket"), &labels, total);
        }
        let sum = f64::from_bits(self.sum.load(Relaxed));
        text::sample(out, &format!("{name}_sum"), labels, sum);
        text::sample(out, &format!("{name}_count"), labels, total);
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(count as u64, Relaxed);
        if value != 0.0 {
            let more = |sum| Some((f64::from_bits(sum) + value * count as f64).to_bits());
            // The closure never refuses, so this cannot fail.
            let _ = self.sum.fetch_update(Relaxed, Relaxed, more);
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::Label;

    use super::*;

    #[test]
    fn values_are_counted_at_the_first_bound_that_is_not_below_them() {
        let histograms = Histograms::default();
        histograms.describe("x_actions", "Help.".into());
        let series = histograms.series(&Key::from_name("x_actions"));
        series.record_many(1.0, 3);
        series.record(3.0);
        series.record(1000.0);
        let mut text = String::new();
        histograms.render(&mut text);
        let expected = "# HELP x_actions Help.\n# TYPE x_actions histogram\n\
            x_actions_bucket{le=\"1\"} 3\nx_actions_bucket{le=\"2\"} 3\nx_actions_bucket{le=\"4\"} 4\n\
            x_actions_bucket{le=\"8\"} 4\nx_actions_bucket{le=\"16\"} 4\nx_actions_bucket{le=\"32\"} 4\n\
            x_actions_bucket{le=\"64\"} 4\nx_actions_bucket{le=\"128\"} 4\nx_actions_bucket{le=\"256\"} 4\n\
            x_actions_bucket{le=\"+Inf\"} 5\nx_actions_sum 1006\nx_actions_count 5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_series_is_found_again_by_its_labels() {
        let histograms = Histograms::default();
        let key = |provider| {
            let label = Label::new("provider", provider);
            Key::from_parts("x_seconds", vec![label])
        };
        histograms.series(&key("a\"b")).record(0.5);
        histograms.series(&key("a\"b")).record(0.25);
        histograms.series(&key("c")).record(0.0);
        let mut text = String::new();
        histograms.render(&mut text);
        assert!(
            text.contains("x_seconds_sum{provider=\"a\\\"b\"} 0.75\n"),
            "{text}"
        );
        assert!(
            text.contains("x_seconds_bucket{provider=\"c\",le=\"0.0005\"} 1\n"),
            "{text}"
        );
    }
}
