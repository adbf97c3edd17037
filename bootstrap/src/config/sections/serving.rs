//! Settings of the server, of access and of logs.

use std::time::Duration;

use crate::config::choices::{ForwardedHeader, LogFormat, LogLevel, OtlpProtocol};
use crate::config::issuers::Issuer;
use crate::config::kind::{GIB, Kind, MIB, seconds};
use crate::config::secret::Secret;

/// The largest number of bytes that is kept.
const LARGEST: u64 = i64::MAX as u64;

section! {
    /// The HTTP server.
    pub struct Server = "server" {
        /// Address to listen on. `0.0.0.0` makes the server reachable from other machines.
        host: String = "127.0.0.1".to_owned(), Kind::Host;
        /// Port to listen on; 0 takes any free one.
        port: u16 = 8000, Kind::integer(0, 65_535);
        /// Largest request body with rows. No other but a file may be larger.
        max_body_bytes: u64 = 100 * MIB, Kind::bytes(1, u64::MAX);
        /// Largest file that is put into a dataset by one request.
        max_upload_bytes: Option<u64> = None, Kind::bytes(1, u64::MAX), otherwise "as `server.max_body_bytes`";
        /// Largest request body with SQL and its parameters.
        max_sql_bytes: u64 = 4 * MIB, Kind::bytes(1, GIB);
        /// Largest request body of other kinds.
        max_document_bytes: u64 = 4 * MIB, Kind::bytes(1, GIB);
        /// Longest path with its query.
        max_uri_bytes: usize = 16_384, Kind::integer(64, 65_534);
        /// Most headers of a request.
        max_headers: usize = 100, Kind::integer(8, 10_000);
        /// Most bytes of a request's headers.
        max_header_bytes: usize = 32_768, Kind::integer(1_024, 1_048_576);
        /// Longest time to send a request's head, or to agree on TLS.
        header_read_timeout: Duration = seconds(10), Kind::span(1, 600);
        /// Longest time without a byte of a request's body.
        body_idle_timeout: Duration = seconds(30), Kind::span(1, 3_600);
        /// Bytes of a body that must come each second on average, once `server.body_idle_timeout` is over; 0 for any
        /// number.
        min_body_rate: u32 = 500, Kind::integer(0, 1_000_000_000);
        /// Longest time in which a client takes no byte of its answer. Then its query is cancelled and the connection cut.
        write_stall_timeout: Duration = seconds(30), Kind::span(1, 3_600);
        /// Longest time that a connection stays open without a request.
        keep_alive_timeout: Duration = seconds(75), Kind::span(1, 3_600);
        /// Requests of one HTTP/2 connection at once.
        http2_max_streams: u32 = 100, Kind::integer(1, 10_000);
        /// How often an HTTP/2 client is asked whether it is still there; 0 for never.
        http2_ping_interval: Duration = seconds(30), Kind::span(0, 3_600);
        /// Longest wait for its answer.
        http2_ping_timeout: Duration = seconds(20), Kind::span(1, 300);
        /// Connections served at once; more hear 503, or are closed if TLS is on.
        max_connections: usize = 1_024, Kind::integer(1, 1_000_000);
        /// Of them, those of one address that isn't a trusted proxy; 0 for any number. An IPv6 network of 64 bits counts as
        /// one address.
        max_connections_per_address: usize = 256, Kind::integer(0, 1_000_000);
        /// Longest time for requests to finish once the server is asked to stop.
        shutdown_grace: Duration = seconds(30), Kind::span(0, 3_600);
        /// Names (and addresses) under which the server is asked, without ports, such as `api.example.org` or
        /// `*.example.org`. Others hear 421, except for probes.
        trusted_hosts: Vec<String> = Vec::new(), Kind::Hosts, otherwise "any";
        /// Addresses and networks (`10.0.0.0/8`) of proxies whose `server.forwarded_header` is believed. Without any, the
        /// client is whoever opened the connection.
        trusted_proxies: Vec<String> = Vec::new(), Kind::Networks, otherwise "none";
        /// The header in which the proxies name whom they speak for. The other one is never looked at: they may let
        /// through what clients wrote there.
        forwarded_header: ForwardedHeader = ForwardedHeader::XForwardedFor, Kind::Choice(ForwardedHeader::WORDS);
    }
}

section! {
    /// Who may do what.
    pub struct Auth = "auth" {
        /// Whether callers need a key. Switching it off is for a laptop; production refuses it.
        enabled: bool = true, Kind::Switch;
        /// Keys of administrators. Development makes one and prints it when there is none; staging and production
        /// don't start without, and production wants at least 16 characters.
        admin_keys: Vec<Secret> = Vec::new(), Kind::Secrets, otherwise "none";
        /// Identity providers whose tokens are as good as keys.
        oidc: Vec<Issuer> = Vec::new(), Kind::Issuers, otherwise "none";
        /// Refused keys and tokens from one address within a minute, after which it gets 429 until the minute is over. 0 for any
        /// number. An IPv6 network of 64 bits counts as one address.
        max_failures_per_minute: u32 = 30, Kind::integer(0, 1_000_000);
        /// How often it is written down when keys were last used.
        last_used_interval: Duration = seconds(60), Kind::span(1, 3_600);
        /// How long a rotated key's former secret goes on working, unless the request tells.
        rotation_overlap: Duration = seconds(0), Kind::span(0, 604_800);
        /// Whether `GET /metrics` answers without a key. If not, it takes an administrator's. It tells of no project.
        metrics_public: bool = true, Kind::Switch;
    }
}

section! {
    /// The log of who did what, and of what was refused.
    pub struct Audit = "audit" {
        /// How long it is kept who changed what.
        retention: Duration = seconds(400 * 86_400), Kind::span(60, 3_650 * 86_400);
        /// How long it is kept what was refused.
        refusals_retention: Duration = seconds(30 * 86_400), Kind::span(60, 3_650 * 86_400);
    }
}

section! {
    /// Projects.
    pub struct Projects = "projects" {
        /// How long a deleted project can be brought back; then its data goes. With 0 it goes at once.
        undelete_for: Duration = seconds(7 * 86_400), Kind::span(0, 365 * 86_400);
    }
}

section! {
    /// What a project may hold and do, unless an admin says otherwise of it (`PUT /projects/{id}/quota`).
    pub struct Quota = "quota" {
        /// Bytes of its tables in their newest version; 0 for any number, as everywhere here.
        table_bytes: u64 = 0, Kind::bytes(0, LARGEST);
        /// Bytes of its datasets.
        dataset_bytes: u64 = 0, Kind::bytes(0, LARGEST);
        /// Tables in all of its buckets.
        tables: u32 = 0, Kind::integer(0, 1_000_000_000);
        /// Its buckets.
        buckets: u32 = 0, Kind::integer(0, 1_000_000_000);
        /// Its queries that begin in a minute. Each server counts for itself.
        queries_per_minute: u32 = 0, Kind::integer(0, 1_000_000_000);
        /// Its queries that run or wait at once; more hear 429. Each server counts for itself.
        concurrent_queries: u32 = 0, Kind::integer(0, 1_000_000_000);
        /// Rows that one request puts into a table.
        rows_per_append: u64 = 0, Kind::integer(0, 1_000_000_000_000);
    }
}

section! {
    /// What is written to standard error.
    pub struct Logging = "logging" {
        /// Least important events that are logged.
        level: LogLevel = LogLevel::Info, Kind::Choice(LogLevel::WORDS);
        /// Lines for people or for machines.
        format: LogFormat = LogFormat::Human, Kind::Choice(LogFormat::WORDS), otherwise "human; json in production";
    }
}

section! {
    /// Traces (OpenTelemetry) of what the server does, sent to a collector by OTLP. A trace that comes with a request (`traceparent`)
    /// goes on in it.
    pub struct Traces = "traces" {
        /// The collector's address, such as `http://localhost:4318`, or `http://localhost:4317` with gRPC. Without one no trace is made.
        endpoint: Option<String> = None, Kind::Url, otherwise "none";
        /// How the collector is spoken to.
        protocol: OtlpProtocol = OtlpProtocol::Http, Kind::Choice(OtlpProtocol::WORDS);
        /// What is sent along with each request to it: `name=value`, with commas between several.
        headers: Option<Secret> = None, Kind::Secret, otherwise "none";
        /// Of 100 traces that begin here, how many are kept. One that came with a request is kept if it is kept there.
        sampled_percent: u32 = 10, Kind::integer(0, 100);
        /// How long sending may take.
        timeout: Duration = seconds(10), Kind::span(1, 300);
    }
}

section! {
    /// Figures for Prometheus, at `GET /metrics` (see `features.enable_prometheus_metrics` and `auth.metrics_public`); and the same figures,
    /// sent to a collector by OTLP.
    pub struct Metrics = "metrics" {
        /// Whether figures are told under the older services' names, too, for dashboards that ask for these.
        legacy_names: bool = true, Kind::Switch;
        /// Whether figures are sent to `traces.endpoint`, by its protocol and with its headers. With `metrics.endpoint` they are sent in any case.
        export: bool = false, Kind::Switch;
        /// Another collector to send figures to. Over HTTP it is the whole address, such as `http://localhost:4318/v1/metrics`.
        endpoint: Option<String> = None, Kind::Url, otherwise "none";
        /// How that is spoken to.
        protocol: Option<OtlpProtocol> = None, Kind::Choice(OtlpProtocol::WORDS), otherwise "as `traces.protocol`";
        /// What is sent along with figures: `name=value`, with commas between several.
        headers: Option<Secret> = None, Kind::Secret, otherwise "as `traces.headers` where it is that collector; else none";
        /// How often figures are sent. `OTEL_METRIC_EXPORT_INTERVAL` is a number of milliseconds.
        interval: Duration = seconds(60), Kind::span(1, 3_600);
        /// How long gathering and sending them may take; the last time, when the server ends, it is 5 seconds at most.
        timeout: Duration = seconds(10), Kind::span(1, 300);
    }
}
