//! Where a span stands in a trace, as W3C Trace Context (Level 1) writes it.

use std::fmt;

use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _, TraceState};
use opentelemetry::{Context, KeyValue, SpanId, TraceFlags, TraceId};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan as _;

/// Longest `tracestate` that is handed on: what the standard asks for at least.
const MAX_STATE: usize = 512;

/// A header `traceparent`: whose trace it is, who asks in it, and whether they keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) flags: TraceFlags,
}

impl TraceParent {
    /// Reads a header. What the standard doesn't allow is none: a trace begins anew then.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |part: &str, length| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Later versions may say more at the end; the first one says no more.
        let known = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !known || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
        let is_valid = trace != TraceId::INVALID && span != SpanId::INVALID;
        is_valid.then_some(Self { trace, span, flags })
    }

    /// The trace, in 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace.to_bytes())
    }
}

/// As a header says it.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each request has one, and what the formatter makes of numbers takes several times as long.
        let mut bytes = [0; 25];
        bytes[..16].copy_from_slice(&self.trace.to_bytes());
        bytes[16..24].copy_from_slice(&self.span.to_bytes());
        bytes[24] = self.flags.to_u8();
        let digits = hex::encode(bytes);
        let (trace, rest) = digits.split_at(32);
        let (span, flags) = rest.split_at(16);
        ["00-", trace, "-", span, "-", flags].into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// Makes a span part of the trace that who asks is in. To be done before anything happens in it.
pub fn adopt(span: &Span, parent: TraceParent, state: Option<&str>) {
    let state = state.filter(|state| state.len() <= MAX_STATE).and_then(|state| state.parse::<TraceState>().ok());
    let TraceParent { trace, span: asking, flags } = parent;
    let remote = SpanContext::new(trace, asking, flags, true, state.unwrap_or_default());
    // Refused where no traces are made.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}

/// What a span knows of the trace that isn't kept.
struct Dropped(TraceParent);

/// Tells a span where it stands in a trace that isn't kept, for the requests that are made in it.
pub fn drop_spans(span: &Span, place: TraceParent) {
    span.with_subscriber(|(id, subscriber)| {
        if let Some(span) = subscriber.downcast_ref::<Registry>().and_then(|registry| registry.span(id)) {
            span.extensions_mut().replace(Dropped(place));
        }
    });
}

/// Where a span stands, for a request that is made in it. None where no traces are made.
pub fn traceparent(span: &Span) -> Option<TraceParent> {
    kept(span).or_else(|| dropped(span))
}

fn dropped(span: &Span) -> Option<TraceParent> {
    let found = span.with_subscriber(|(id, subscriber)| {
        let mut around = subscriber.downcast_ref::<Registry>()?.span(id)?.scope();
        around.find_map(|span| span.extensions().get().map(|Dropped(place)| *place))
    });
    found.flatten()
}

fn kept(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let spans = context.span();
    let known = spans.span_context();
    let (trace, span, flags) = (known.trace_id(), known.span_id(), known.trace_flags());
    known.is_valid().then_some(TraceParent { trace, span, flags })
}

/// Names a request's span after its route, and tells how it was answered, in the words of the semantic conventions for HTTP servers.
pub fn served(span: &Span, method: &'static str, path: &str, route: &str, status: u16) {
    let context = span.context();
    let span = context.span();
    span.update_name(format!("{method} {route}").trim_end().to_owned());
    span.set_attribute(KeyValue::new("http.request.method", method));
    span.set_attribute(KeyValue::new("url.path", path.to_owned()));
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    if !route.is_empty() {
        span.set_attribute(KeyValue::new("http.route", route.to_owned()));
    }
    if status >= 500 {
        span.set_attribute(KeyValue::new("error.type", status.to_string()));
        span.set_status(Status::error(""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_reads_back_as_written() {
        let parent = TraceParent::parse(GOOD).unwrap();
        assert_eq!((parent.to_string().as_str(), parent.trace_id().as_str()), (GOOD, &GOOD[3..35]));
        let later = TraceParent::parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more").unwrap();
        assert_eq!(later.to_string(), GOOD, "what a later version says is handed on as far as it is known");
    }

    #[test]
    fn what_the_standard_does_not_allow_begins_a_trace_anew() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "0é-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn without_traces_nothing_is_told() {
        let span = tracing::info_span!("request");
        adopt(&span, TraceParent::parse(GOOD).unwrap(), Some("a=b"));
        assert_eq!(traceparent(&span), None);
    }
}
