//! Spans on their way to a collector.

use std::time::Duration;

use gadwall_telemetry::{CollectorSettings, Protocol, Sampling, TraceParent, Traces, adopt, served, traceparent};
use gadwall_test_services::Collector;
use tokio::runtime::Handle;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt as _;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn settings(protocol: Protocol, endpoint: String) -> CollectorSettings {
    CollectorSettings {
        endpoint,
        protocol,
        headers: vec![("Authorization".to_owned(), "Bearer x".to_owned())],
        timeout: Duration::from_secs(10),
        version: "1.2.3",
        instance: "one".to_owned(),
    }
}

/// Only what Gadwall itself does is sent.
const OURS: &str = "gadwall_test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_came_in_is_sent_by_either_protocol() {
    let collector = Collector::start().await.unwrap();
    for (protocol, endpoint) in [(Protocol::Http, collector.http()), (Protocol::Grpc, collector.grpc())] {
        let before = collector.seen().len();
        let traces =
            Traces::start(&settings(protocol, endpoint), &Sampling::of_percent(0), &Handle::current()).unwrap();
        with_default(tracing_subscriber::registry().with(traces.layer()), || {
            let span = tracing::info_span!(target: OURS, "request", otel.kind = "server");
            adopt(&span, TraceParent::parse(PARENT).unwrap(), Some("vendor=1"));
            assert_eq!(traceparent(&span).unwrap().trace_id(), TRACE);
            let inner = span.in_scope(|| tracing::info_span!(target: OURS, "inner"));
            let place = traceparent(&inner).unwrap();
            assert!(place.trace_id() == TRACE && place.to_string() != PARENT);
            drop(inner);
            served(&span, "GET", "/x/1", "/x/{y}", 503);
            // Of those that begin here none is kept.
            drop(tracing::info_span!(target: OURS, "other", otel.kind = "internal"));
        });
        tokio::task::spawn_blocking(move || traces.finish()).await.unwrap();
        let seen = collector.seen().split_off(before);
        let [inner, request] = &seen[..] else { panic!("{protocol:?}: {seen:?}") };
        assert_eq!((inner.name.as_str(), request.name.as_str()), ("inner", "GET /x/{y}"));
        assert_eq!((&inner.parent, request.parent.as_str()), (&request.id, &PARENT[36..52]));
        assert!(request.is_server && request.failed && !inner.is_server && !inner.failed, "{request:?}");
        assert_eq!(request.attributes["http.route"], "/x/{y}");
        assert_eq!(request.attributes["http.response.status_code"], "503");
        assert_eq!(request.resource["service.name"], "gadwall");
        assert_eq!(request.resource["service.version"], "1.2.3");
        assert_eq!(request.authorization.as_deref(), Some("Bearer x"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_holds_nobody_up() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let away = CollectorSettings {
            timeout: Duration::from_millis(200),
            ..settings(protocol, "http://127.0.0.1:9".to_owned())
        };
        let traces = Traces::start(&away, &Sampling::of_percent(100), &Handle::current()).unwrap();
        with_default(tracing_subscriber::registry().with(traces.layer()), || {
            // More than there is room for.
            for _ in 0..10_000 {
                drop(tracing::info_span!(target: OURS, "lost", otel.kind = "internal"));
            }
        });
        let finished = tokio::task::spawn_blocking(move || traces.finish());
        tokio::time::timeout(Duration::from_secs(30), finished).await.unwrap().unwrap();
    }
}
