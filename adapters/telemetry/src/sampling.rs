//! Which traces are kept. Decided before a request's first span is made: spans that nobody will see cost as much as others.

use opentelemetry::trace::{Link, SpanKind, TraceFlags, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator as _, RandomIdGenerator, Sampler, SamplingDecision, SamplingResult, ShouldSample,
};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

use crate::context::TraceParent;

/// The field of a span that begins a trace, or that goes on in one from elsewhere.
const KIND: &str = "otel.kind";

/// Of so many traces that begin here some are kept; one that came with a request is kept if it is kept there.
#[derive(Debug, Clone)]
pub struct Sampling(Sampler);

/// What becomes of a request's spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampled {
    /// They are sent: the first one is to say its kind.
    Kept,
    /// None is made. Others are told that the request stands here.
    Dropped(TraceParent),
}

impl Sampling {
    /// So many of 100 are kept.
    pub fn of_percent(percent: u32) -> Self {
        Self(Sampler::TraceIdRatioBased(f64::from(percent.min(100)) / 100.0))
    }

    /// Decides about a request.
    pub fn decide(&self, came_in: Option<TraceParent>) -> Sampled {
        let ids = RandomIdGenerator::default();
        let trace = came_in.map_or_else(|| ids.new_trace_id(), |parent| parent.trace);
        let is_kept = match came_in {
            Some(parent) => parent.flags.is_sampled(),
            None => keeps(&self.0, trace),
        };
        if is_kept {
            Sampled::Kept
        } else {
            Sampled::Dropped(TraceParent { trace, span: ids.new_span_id(), flags: TraceFlags::default() })
        }
    }

    /// What decides about all that wasn't decided here.
    pub(crate) fn sampler(&self) -> Sampler {
        Sampler::ParentBased(Box::new(Undecided(self.0.clone())))
    }
}

fn keeps(sampler: &Sampler, trace: TraceId) -> bool {
    sampler.should_sample(None, trace, "", &SpanKind::Server, &[], &[]).decision == SamplingDecision::RecordAndSample
}

/// Requests' spans are made only to be kept; others' begin without being asked about.
#[derive(Debug, Clone)]
struct Undecided(Sampler);

impl ShouldSample for Undecided {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = if *kind == SpanKind::Server { &Sampler::AlwaysOn } else { &self.0 };
        sampler.should_sample(parent, trace, name, kind, attributes, links)
    }
}

/// Lets through Gadwall's own spans that begin a trace, which are those that say their kind, the spans in them, and what goes
/// wrong there. What else is logged tells no more than the spans do.
pub(crate) struct InTraces;

impl<S> layer::Filter<S> for InTraces
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &layer::Context<'_, S>) -> bool {
        // Inside of what isn't kept nothing begins.
        let begins = || metadata.fields().field(KIND).is_some() && context.current_span().id().is_none();
        is_ours(metadata) && (context.lookup_current().is_some() || begins())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let least = if metadata.is_span() { LevelFilter::INFO } else { LevelFilter::WARN };
    *metadata.level() <= least && metadata.target().starts_with("gadwall")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use tracing::info_span;
    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::context::{drop_spans, traceparent};

    const ELSEWHERE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

    #[test]
    fn so_many_of_those_that_begin_here_are_kept() {
        let kept = |percent| {
            let sampling = Sampling::of_percent(percent);
            (0..10_000).filter(|_| sampling.decide(None) == Sampled::Kept).count()
        };
        assert_eq!((kept(0), kept(100)), (0, 10_000));
        assert!((800..1_200).contains(&kept(10)), "{} of 10,000", kept(10));
    }

    #[test]
    fn who_asks_decides_about_their_own() {
        for percent in [0, 100] {
            let decide = |flag| {
                let parent = TraceParent::parse(&format!("{ELSEWHERE}{flag}")).unwrap();
                (parent, Sampling::of_percent(percent).decide(Some(parent)))
            };
            assert_eq!(decide(1).1, Sampled::Kept);
            let (parent, Sampled::Dropped(place)) = decide(0) else { panic!("kept what isn't kept there") };
            assert_eq!((place.trace, place.flags), (parent.trace, parent.flags));
            assert_ne!(place.span, parent.span, "it is another's place");
        }
    }

    /// Names of the spans that were sent.
    #[derive(Debug, Clone, Default)]
    struct Sent(Arc<Mutex<Vec<String>>>);

    impl SpanExporter for Sent {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch.into_iter().map(|span| span.name.into_owned()));
            Ok(())
        }
    }

    /// The names of the spans that are sent.
    fn sent(percent: u32, work: impl FnOnce()) -> Vec<String> {
        let sent = Sent::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(sent.clone())
            .with_sampler(Sampling::of_percent(percent).sampler())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test")).with_filter(InTraces);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        std::mem::take(&mut sent.0.lock().unwrap())
    }

    #[test]
    fn what_is_dropped_is_not_made_at_all() {
        let seen = sent(100, || {
            let request = info_span!("request");
            let Sampled::Dropped(place) = Sampling::of_percent(0).decide(None) else { panic!("kept") };
            drop_spans(&request, place);
            let inner = request.in_scope(|| info_span!("inner"));
            inner.in_scope(|| tracing::info!("event"));
            assert_eq!(traceparent(&inner), Some(place), "others are told all the same");
            let later = request.in_scope(|| info_span!("background", otel.kind = "internal"));
            drop(request);
            assert_eq!(traceparent(&later), Some(place));
        });
        assert_eq!(seen, [""; 0]);
    }

    #[test]
    fn a_request_that_is_kept_is_not_asked_about_again() {
        let seen = sent(0, || {
            let request = info_span!("request", otel.kind = "server");
            let inner = request.in_scope(|| info_span!("inner"));
            assert!(traceparent(&inner).unwrap().flags.is_sampled());
            let _other = inner.in_scope(|| info_span!(target: "library", "other"));
        });
        assert_eq!(seen, ["inner", "request"]);
    }

    #[test]
    fn other_work_is_sampled_when_it_begins() {
        let work = || drop(info_span!("background", otel.kind = "internal"));
        assert_eq!((sent(0, work), sent(100, work)), (Vec::new(), vec!["background".to_owned()]));
    }
}
