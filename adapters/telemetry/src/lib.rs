//! Traces: a request's place in one, and where its spans are sent; and where figures are sent.
//!
//! A library beside the adapters, as the formats are. Code says what it does in spans of `tracing`; with traces switched off
//! that is all, and costs what a span of the log costs. Switched on, spans go to a collector by OTLP, and a trace that came with a
//! request (W3C Trace Context) goes on in it, and in the requests that are made for it.

mod collector;
mod context;
mod export;
mod families;
mod metrics;
mod sampling;

pub use collector::{CollectorError, CollectorSettings, Protocol};
pub use context::{TraceParent, adopt, drop_spans, served, traceparent};
pub use export::Traces;
pub use families::{Attribute, Attributes, Distribution, Family, Points};
pub use metrics::{ExportCounts, ExportTally, MetricExporter};
pub use sampling::{Sampled, Sampling};
