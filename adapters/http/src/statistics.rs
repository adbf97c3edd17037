//! How a statement was answered: told as the last member of a JSON document, and for all formats in headers or, where it
//! is known only behind the last row, in trailers (RFC 9110, 6.5).

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, future, stream};
use gadwall_application::queries::Timing;
use gadwall_domain::ids::QueryId;
use gadwall_domain::query::ReadScope;
use gadwall_domain::query_figures::{Figures, FiguresLater};
use gadwall_formats::OutputFormat;
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};
use poem::{Body, Response};
use poem_openapi::Object;
use poem_openapi::types::ToJSON as _;

const ROWS: HeaderName = HeaderName::from_static("x-row-count");
const ROWS_SCANNED: HeaderName = HeaderName::from_static("x-rows-scanned");
const BYTES_SCANNED: HeaderName = HeaderName::from_static("x-bytes-scanned");
const PEAK_MEMORY: HeaderName = HeaderName::from_static("x-peak-memory-bytes");
const PEAK_SPILL: HeaderName = HeaderName::from_static("x-peak-spill-bytes");
const TIMING: HeaderName = HeaderName::from_static("server-timing");
/// All that trailers may say.
const TRAILERS: &str =
    "server-timing, x-row-count, x-rows-scanned, x-bytes-scanned, x-peak-memory-bytes, x-peak-spill-bytes";

/// How a statement was answered. What isn't known, or wasn't measured, is left out.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct QueryStatistics {
    /// The query; if the answer was kept, the one that it was made for.
    query_id: Option<String>,
    /// Whether the answer was kept from an earlier time.
    cached: bool,
    /// Milliseconds that it waited for its turn.
    queued_ms: Option<f64>,
    /// Milliseconds from when the engine began to the last row; a reader that takes its time counts.
    execution_ms: Option<f64>,
    /// Rows that the scans of tables and files handed on, after what a scan itself filters out.
    rows_scanned: Option<u64>,
    /// Bytes of these rows in the columns that were needed, as the engine holds them: a text counts 16.
    bytes_scanned: Option<u64>,
    /// The most memory that the engine held while the query ran. Others that ran at that time are in it.
    peak_memory_bytes: Option<u64>,
    /// The most that the engine had put aside on disk meanwhile. Others are in it, too.
    peak_spill_bytes: Option<u64>,
    /// The snapshots of other projects' buckets that were read, by the names of their links.
    linked_snapshots: Option<BTreeMap<String, u64>>,
}

/// What is told of an answer. Parts of it may be known only at its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statistics {
    pub(crate) query: Option<QueryId>,
    pub(crate) cached: bool,
    pub(crate) queued: Option<Duration>,
    pub(crate) linked: BTreeMap<String, u64>,
    pub(crate) figures: FiguresLater,
}

/// Marks a response whose trailers are still to be told.
#[derive(Clone)]
struct Trailing(FiguresLater);

impl Statistics {
    /// Of a query that runs.
    pub(crate) fn running(query: QueryId, timing: Timing, scope: &ReadScope, figures: FiguresLater) -> Self {
        Self { query: Some(query), cached: false, queued: Some(timing.queued), linked: linked(scope), figures }
    }

    /// Of an answer that was kept.
    pub(crate) fn kept(query: QueryId, figures: Option<Figures>) -> Self {
        let figures = figures.map(FiguresLater::known).unwrap_or_default();
        Self { query: Some(query), cached: true, queued: None, linked: BTreeMap::new(), figures }
    }

    /// Of a statement of which nothing is measured.
    pub(crate) fn of(query: Option<QueryId>) -> Self {
        Self { query, ..Self::default() }
    }

    /// The same for a kept answer to whoever asks in this scope: nothing was scanned for it.
    pub(crate) fn again(&self, scope: &ReadScope) -> Self {
        let figures = self.figures.get().map(|figures| Figures { profile: None, ..figures });
        let figures = figures.map(FiguresLater::known).unwrap_or_default();
        Self { query: self.query, cached: true, queued: None, linked: linked(scope), figures }
    }

    /// Ends a document that was left open; rows in other formats stay as they are.
    pub(crate) fn close(&self, format: OutputFormat, body: Body) -> Body {
        if format != OutputFormat::Json {
            return body;
        }
        let statistics = self.clone();
        let end = stream::once(future::lazy(move |_| Ok(Bytes::from(statistics.end()))));
        Body::from_bytes_stream(body.into_bytes_stream().chain(end))
    }

    /// The same for a body that is there as a whole.
    pub(crate) fn close_whole(&self, format: OutputFormat, body: Bytes) -> Bytes {
        if format != OutputFormat::Json {
            return body;
        }
        [&body, self.end().as_bytes()].concat().into()
    }

    fn end(&self) -> String {
        format!(",\"statistics\":{}}}", self.document().to_json_string())
    }

    fn document(&self) -> QueryStatistics {
        let figures = self.figures.get();
        let profile = figures.and_then(|figures| figures.profile);
        QueryStatistics {
            query_id: self.query.map(|query| query.to_string()),
            cached: self.cached,
            queued_ms: self.queued.map(milliseconds),
            execution_ms: figures.filter(|_| !self.cached).map(|figures| milliseconds(figures.execution)),
            rows_scanned: profile.map(|profile| profile.rows_scanned),
            bytes_scanned: profile.map(|profile| profile.bytes_scanned),
            peak_memory_bytes: profile.map(|profile| profile.peak_memory),
            peak_spill_bytes: profile.map(|profile| profile.peak_spill),
            linked_snapshots: Some(self.linked.clone()).filter(|linked| !linked.is_empty()),
        }
    }

    /// Tells in the headers what is known, and announces what comes behind the last row.
    pub(crate) fn announce(&self, response: &mut Response) {
        if let Some(query) = self.query.and_then(|query| HeaderValue::from_str(&query.to_string()).ok()) {
            response.headers_mut().insert("x-query-id", query);
        }
        match self.figures.get() {
            Some(figures) if self.cached => drop(response.headers_mut().insert(ROWS, figures.rows.into())),
            _ if self.cached || self.queued.is_none() => {}
            _ => {
                response.headers_mut().insert(header::TRAILER, HeaderValue::from_static(TRAILERS));
                response.extensions_mut().insert(Trailing(self.figures.clone()));
            }
        }
    }
}

/// Puts the trailers that were announced behind the body. To be called when nothing is done to the body any more.
pub(crate) fn trail(response: &mut Response) {
    let Some(Trailing(figures)) = response.extensions_mut().remove() else { return };
    let body = BoxBody::<Bytes, io::Error>::from(response.take_body());
    let trailers = future::lazy(move |_| figures.get().map(|figures| Ok(trailers(&figures))));
    response.set_body(BoxBody::new(body.with_trailers(trailers)));
}

fn trailers(figures: &Figures) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(ROWS, figures.rows.into());
    let timing = format!("execution;dur={:.3}", milliseconds(figures.execution));
    if let Ok(timing) = HeaderValue::from_str(&timing) {
        trailers.insert(TIMING, timing);
    }
    if let Some(profile) = figures.profile {
        trailers.insert(ROWS_SCANNED, profile.rows_scanned.into());
        trailers.insert(BYTES_SCANNED, profile.bytes_scanned.into());
        trailers.insert(PEAK_MEMORY, profile.peak_memory.into());
        trailers.insert(PEAK_SPILL, profile.peak_spill.into());
    }
    trailers
}

fn linked(scope: &ReadScope) -> BTreeMap<String, u64> {
    let link = |link: &gadwall_domain::query::Linked| Some((link.name.to_string(), link.source.as_ref()?.at.get()));
    scope.links.iter().filter_map(link).collect()
}

fn milliseconds(duration: Duration) -> f64 {
    // Microseconds are as exact as it gets.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
