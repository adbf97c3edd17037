//! Many clients for a while, and what it took each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::wire::Wire;

/// What the clients do before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// A client whose request failed waits this long, so that failures are not faster than answers.
const AFTER_FAILURE: Duration = Duration::from_millis(5);

/// When a measurement counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    begin: Instant,
    end: Instant,
}

impl Span {
    /// A span of this length, after the warm-up.
    pub(super) fn of(length: Duration) -> Self {
        let begin = Instant::now() + WARM_UP;
        Self { begin, end: begin + length }
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.end
    }

    fn seconds(self) -> f64 {
        (self.end - self.begin).as_secs_f64()
    }
}

/// What one client saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How long each answer took, in microseconds.
    micros: Vec<u32>,
    /// How many of them came in time to count for the rate.
    in_time: u32,
    failed: u64,
}

impl Seen {
    /// Takes down a request that began then and ends now.
    ///
    /// The last one of each client ends too late for the rate, but its time still counts: leaving out requests for
    /// being slow would make the rest look fast.
    pub(super) fn take(&mut self, span: Span, begun: Instant, succeeded: bool) {
        let now = Instant::now();
        if now < span.begin {
            return;
        }
        if succeeded {
            self.micros.push(u32::try_from((now - begun).as_micros()).unwrap_or(u32::MAX));
            self.in_time += u32::from(now <= span.end);
        } else {
            self.failed += 1;
        }
    }
}

/// What all clients saw.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Answers per second.
    pub per_second: f64,
    /// Half of the answers took at most this, in milliseconds.
    pub p50: f64,
    /// 99 of 100 answers took at most this, in milliseconds.
    pub p99: f64,
    /// Requests that failed.
    pub failed: u64,
}

impl Figures {
    /// The figures of all clients together.
    pub(super) fn of(span: Span, clients: Vec<Seen>) -> Self {
        let failed = clients.iter().map(|seen| seen.failed).sum();
        let in_time: u32 = clients.iter().map(|seen| seen.in_time).sum();
        let mut micros: Vec<u32> = clients.into_iter().flat_map(|seen| seen.micros).collect();
        micros.sort_unstable();
        let at = |percent: usize| {
            let rank = (micros.len() * percent).div_ceil(100).saturating_sub(1);
            micros.get(rank).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
        };
        Self { per_second: f64::from(in_time) / span.seconds(), p50: at(50), p99: at(99), failed }
    }
}

/// Makes the bytes of the n-th request.
pub(super) type MakeRequest = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// Sends requests from so many clients at once, each waiting for its answer before it sends the next.
pub(super) async fn hammer(address: &str, clients: usize, length: Duration, make: MakeRequest) -> Result<Figures> {
    let mut wires = Vec::with_capacity(clients);
    for _ in 0..clients {
        wires.push(Wire::connect(address).await?);
    }
    let numbers = Arc::new(AtomicU64::new(0));
    let span = Span::of(length);
    let one = |wire| client(wire, address.to_owned(), span, Arc::clone(&numbers), Arc::clone(&make));
    let tasks: Vec<_> = wires.into_iter().map(|wire| tokio::spawn(one(wire))).collect();
    let mut seen = Vec::with_capacity(clients);
    for task in tasks {
        seen.push(task.await.context("a client failed")??);
    }
    Ok(Figures::of(span, seen))
}

async fn client(
    mut wire: Wire,
    address: String,
    span: Span,
    numbers: Arc<AtomicU64>,
    make: MakeRequest,
) -> Result<Seen> {
    let mut seen = Seen::default();
    while !span.is_over() {
        let request = make(numbers.fetch_add(1, Ordering::Relaxed));
        let begun = Instant::now();
        let answer = wire.exchange(&request).await;
        let succeeded = answer.as_ref().is_ok_and(|answer| matches!(answer.status, 200..=299 | 304));
        seen.take(span, begun, succeeded);
        if answer.is_err() {
            wire = Wire::connect(&address).await?;
        }
        if !succeeded {
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let now = Instant::now();
        let span = Span { begin: now, end: now + Duration::from_secs(2) };
        let half =
            |from: u32| Seen { micros: (from..=100).step_by(2).map(|n| n * 1000).collect(), in_time: 50, failed: 1 };
        let figures = Figures::of(span, vec![half(1), half(2)]);
        assert!((figures.per_second - 50.0).abs() < 1e-9);
        assert!((figures.p50 - 50.0).abs() < 1e-9);
        assert!((figures.p99 - 99.0).abs() < 1e-9);
        assert_eq!(figures.failed, 2);
        assert!(Figures::of(span, Vec::new()).p50.is_nan());
    }

    #[test]
    fn a_late_answer_counts_for_its_time_alone() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut seen = Seen::default();
        seen.take(Span { begin: now + second, end: now + 2 * second }, now, true);
        assert!(seen.micros.is_empty());
        seen.take(Span { begin: now, end: now + second }, now, true);
        seen.take(Span { begin: now, end: now }, now, true);
        assert_eq!((seen.micros.len(), seen.in_time), (2, 1));
    }
}
