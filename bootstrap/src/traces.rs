//! Traces: from their settings to what sends them.

use anyhow::Context as _;
use gadwall_domain::ports::system::IdGenerator as _;
use gadwall_telemetry::{Protocol, TraceSettings, Traces};
use tokio::runtime::Handle;

use crate::config::{self, OtlpProtocol};
use crate::system::SystemIds;

/// What sends spans; none where there is nobody to send them to.
pub(crate) fn start(config: &config::Traces) -> anyhow::Result<Option<Traces>> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let headers = config
        .headers
        .as_ref()
        .map(|headers| pairs("traces.headers", headers.expose()))
        .transpose()?
        .unwrap_or_default();
    let settings = TraceSettings {
        endpoint: endpoint.clone(),
        protocol: protocol(config.protocol),
        headers,
        sampled_percent: config.sampled_percent,
        timeout: config.timeout,
        version: env!("CARGO_PKG_VERSION"),
        instance: SystemIds.next_id().to_string(),
    };
    Traces::start(&settings, &Handle::current()).context("traces can't be sent (traces.endpoint)").map(Some)
}

pub(crate) fn protocol(configured: OtlpProtocol) -> Protocol {
    match configured {
        OtlpProtocol::Http => Protocol::Http,
        OtlpProtocol::Grpc => Protocol::Grpc,
    }
}

/// `name=value`, with commas between several.
pub(crate) fn pairs(key: &str, text: &str) -> anyhow::Result<Vec<(String, String)>> {
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
