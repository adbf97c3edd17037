//! The server's door as the configuration wants it, and the task that looks after its certificates.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gadwall_http::{
    BodyLimits, ClientAuthority, CorsConfig, DoorConfig, ForwardedHeader, HeadLimits, Hosts, Http2Config, HttpConfig,
    MetricsConfig, Networks, Origins, Proxies, QueryLimits, RateLimits, RatePolicy, ServerConfig, Tls, TlsConfig,
};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::config::{self, ClientCertificates, Config};
use crate::folders::LocalFolders;
use crate::policies::data_dir;
use crate::traces;

pub(crate) fn http_config(config: &Config) -> anyhow::Result<HttpConfig> {
    let server = &config.server;
    let query_limits = QueryLimits {
        default_timeout: config.engine.query_timeout,
        max_timeout: config.engine.max_query_timeout,
        max_async_timeout: config.query.max_async_timeout,
        max_batch_rows: config.engine.max_batch_rows,
    };
    Ok(HttpConfig {
        bodies: BodyLimits {
            rows: server.max_body_bytes,
            files: server.max_upload_bytes.unwrap_or(server.max_body_bytes),
            sql: server.max_sql_bytes,
            documents: server.max_document_bytes,
            idle_timeout: server.body_idle_timeout,
            min_rate: server.min_body_rate,
        },
        query_limits,
        result_cache_bytes: if config.features.enable_request_caching { config.engine.result_cache } else { 0 },
        compression: config.features.enable_data_compression,
        traces: config.traces.endpoint.as_ref().map(|_| traces::sampling(&config.traces)),
        metrics: MetricsConfig {
            enabled: config.features.enable_prometheus_metrics,
            // Without authentication there is no key to be asked for.
            public: config.auth.metrics_public || !config.auth.enabled,
            legacy_names: config.metrics.legacy_names,
            exports: None,
            scheme: if config.tls.certificate.is_some() { "https" } else { "http" },
        },
        staging_dir: LocalFolders::new(data_dir(config)?).staging(),
        environment: config.environment.as_str().to_owned(),
        auth_enabled: config.auth.enabled,
        proxies: proxies(server)?,
        heads: heads(server),
        door: door_config(config)?,
        hsts: config.tls.hsts_max_age,
    })
}

/// Whom the server lets in.
pub(crate) fn door_config(config: &Config) -> anyhow::Result<DoorConfig> {
    Ok(DoorConfig {
        trusted_hosts: Hosts::parse(config.server.trusted_hosts.iter().map(String::as_str))
            .context("server.trusted_hosts is not a list of host names")?,
        cors: CorsConfig {
            origins: Origins::parse(origins(config).iter().map(String::as_str))
                .context("cors.allow_origins is not a list of origins")?,
            max_age: config.cors.max_age.as_secs(),
        },
        rates: rates(&config.rate_limit, config.features.enable_rate_limiting),
    })
}

fn heads(server: &config::Server) -> HeadLimits {
    HeadLimits {
        max_uri_bytes: server.max_uri_bytes,
        max_headers: server.max_headers,
        max_header_bytes: server.max_header_bytes,
    }
}

fn proxies(server: &config::Server) -> anyhow::Result<Proxies> {
    let networks = Networks::parse(server.trusted_proxies.iter().map(String::as_str))
        .context("server.trusted_proxies is not a list of addresses and networks")?;
    let header = match server.forwarded_header {
        config::ForwardedHeader::XForwardedFor => ForwardedHeader::XForwardedFor,
        config::ForwardedHeader::Forwarded => ForwardedHeader::Forwarded,
    };
    Ok(Proxies { networks, header })
}

/// The origins whose pages may read answers.
fn origins(config: &Config) -> &[String] {
    if config.features.enable_cors { &config.cors.allow_origins } else { &[] }
}

fn rates(limits: &config::RateLimit, on: bool) -> RateLimits {
    let policy =
        |requests, window| NonZeroU32::new(requests).filter(|_| on).map(|requests| RatePolicy { requests, window });
    RateLimits {
        address: policy(limits.address_requests, limits.address_window),
        key: policy(limits.key_requests, limits.key_window),
        queries: policy(limits.query_requests, limits.query_window),
    }
}

pub(crate) fn server_config(config: &Config, tls: Option<Arc<Tls>>) -> anyhow::Result<ServerConfig> {
    let server = &config.server;
    Ok(ServerConfig {
        max_connections: server.max_connections,
        max_connections_per_address: server.max_connections_per_address,
        trusted_proxies: proxies(server)?.networks,
        header_read_timeout: server.header_read_timeout,
        keep_alive_timeout: server.keep_alive_timeout,
        write_stall_timeout: server.write_stall_timeout,
        shutdown_grace: server.shutdown_grace,
        heads: heads(server),
        http2: Http2Config {
            max_streams: server.http2_max_streams,
            ping_interval: server.http2_ping_interval,
            ping_timeout: server.http2_ping_timeout,
        },
        tls,
    })
}

/// Reads the certificates, if TLS is wanted.
pub(crate) async fn tls(config: &Config) -> anyhow::Result<Option<Arc<Tls>>> {
    let (Some(certificate), Some(key)) = (config.tls.certificate.clone(), config.tls.key.clone()) else {
        return Ok(None);
    };
    let required = config.tls.client_certificates == ClientCertificates::Required;
    let authority = config.tls.client_ca.clone().filter(|_| config.tls.client_certificates != ClientCertificates::None);
    let clients = authority.map(|certificates| ClientAuthority { certificates, required });
    let files = TlsConfig { certificate, key, clients };
    let tls = spawn_blocking(|| Tls::open(files)).await?.context("TLS can't be spoken")?;
    Ok(Some(Arc::new(tls)))
}

/// The task that reads certificates again; it ends with this.
#[derive(Debug)]
pub(crate) struct Certificates {
    task: JoinHandle<()>,
    asked: Arc<Notify>,
}

impl Certificates {
    /// Looks at the files so often (zero for never by itself), and when asked.
    pub(crate) fn watch(tls: Arc<Tls>, every: Duration) -> Self {
        let asked = Arc::new(Notify::new());
        let ask = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                if every.is_zero() {
                    ask.notified().await;
                } else {
                    // Asked or not: it is time to look.
                    let _ = tokio::time::timeout(every, ask.notified()).await;
                }
                look(Arc::clone(&tls)).await;
            }
        });
        Self { task, asked }
    }

    /// Looks at the files now.
    pub(crate) fn reload(&self) {
        self.asked.notify_one();
    }
}

async fn look(tls: Arc<Tls>) {
    match spawn_blocking(move || tls.reload()).await {
        Ok(Ok(true)) => tracing::info!("new connections use the certificates that are in the files now"),
        Ok(Ok(false)) => tracing::debug!("certificates have not changed"),
        Ok(Err(error)) => tracing::error!(error = %error, "certificates stay as they are"),
        Err(error) => tracing::error!(error = %error, "certificates could not be looked at"),
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        self.task.abort();
    }
}
