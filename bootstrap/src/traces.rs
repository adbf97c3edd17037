//! Traces: from their settings to what sends them.

use std::time::Duration;

use anyhow::Context as _;
use gadwall_domain::ports::system::IdGenerator as _;
use gadwall_telemetry::{CollectorSettings, Protocol, Sampling, Traces};
use tokio::runtime::Handle;

use crate::config::{self, OtlpProtocol, Secret};
use crate::system::SystemIds;

/// What sends spans; none where there is nobody to send them to.
pub(crate) fn start(config: &config::Traces) -> anyhow::Result<Option<Traces>> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let headers = headers("traces.headers", config.headers.as_ref())?;
    let settings = collector(endpoint.clone(), config.protocol, headers, config.timeout);
    let started = Traces::start(&settings, &sampling(config), &Handle::current());
    started.context("traces can't be sent (traces.endpoint)").map(Some)
}

/// Which traces are kept.
pub(crate) fn sampling(config: &config::Traces) -> Sampling {
    Sampling::of_percent(config.sampled_percent)
}

/// A collector that this server sends to.
pub(crate) fn collector(
    endpoint: String,
    protocol: OtlpProtocol,
    headers: Vec<(String, String)>,
    timeout: Duration,
) -> CollectorSettings {
    let protocol = match protocol {
        OtlpProtocol::Http => Protocol::Http,
        OtlpProtocol::Grpc => Protocol::Grpc,
    };
    let (version, instance) = (env!("CARGO_PKG_VERSION"), SystemIds.next_id().to_string());
    CollectorSettings { endpoint, protocol, headers, timeout, version, instance }
}

/// What a setting says that is sent along.
pub(crate) fn headers(key: &str, setting: Option<&Secret>) -> anyhow::Result<Vec<(String, String)>> {
    setting.map_or(Ok(Vec::new()), |setting| pairs(key, setting.expose()))
}

/// `name=value`, with commas between several.
fn pairs(key: &str, text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').with_context(|| format!("{key} is a list of name=value"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs() {
        let read = pairs("x", "authorization=Bearer a=b, x-team = lake ,").unwrap();
        let expected = [("authorization", "Bearer a=b"), ("x-team", "lake")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let error = pairs("x", "a-secret").unwrap_err().to_string();
        assert!(!error.contains("a-secret"), "{error}");
    }
}
