//! How long something took, by classes. Counting is a few atomic additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds for requests in seconds, as OpenTelemetry advises.
pub(super) const REQUEST_BOUNDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Upper bounds for what databases do in seconds, as OpenTelemetry advises.
pub(super) const DATABASE_BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Counts durations by classes.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is longer than all.
    classes: Vec<AtomicU64>,
    micros: AtomicU64,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramFigures {
    /// The upper bound of each class in seconds, and how many are in it; the last class has no bound.
    pub classes: Vec<(Option<f64>, u64)>,
    /// All durations together, in seconds.
    pub sum: f64,
    /// How many there are.
    pub count: u64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let classes = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, classes, micros: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = self.bounds.partition_point(|bound| *bound < seconds);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> HistogramFigures {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        let counts = self.classes.iter().map(|class| class.load(Ordering::Relaxed));
        let classes: Vec<_> = bounds.zip(counts).collect();
        let count = classes.iter().map(|(_, count)| count).sum();
        HistogramFigures {
            classes,
            sum: Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64(),
            count,
        }
    }
}

impl HistogramFigures {
    /// Both together. They have the same classes.
    pub fn add(&mut self, other: &Self) {
        for ((_, mine), (_, theirs)) in self.classes.iter_mut().zip(&other.classes) {
            *mine += theirs;
        }
        self.sum += other.sum;
        self.count += other.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_class_that_holds_it() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for millis in [0, 100, 101, 1_000, 60_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut figures = histogram.figures();
        assert_eq!(figures.classes, [(Some(0.1), 2), (Some(1.0), 2), (None, 1)]);
        assert_eq!((figures.count, figures.sum), (5, 61.201));
        figures.add(&histogram.figures());
        assert_eq!((figures.count, figures.classes[2].1), (10, 2));
    }
}
