//! Figures on their way to a collector, again and again while the server runs, and once more at its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gadwall_http::App;
use gadwall_telemetry::MetricExporter;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Config, OtlpProtocol, Secret};
use crate::traces;

/// How long the last figures may hold up the server's end.
const LAST: Duration = Duration::from_secs(5);

/// Where figures go, and how that is spoken to.
struct Destination<'c> {
    endpoint: String,
    protocol: OtlpProtocol,
    headers: Option<&'c Secret>,
}

/// The collector of figures: one of their own, or that of traces.
fn destination(config: &Config) -> Option<Destination<'_>> {
    let (metrics, traces) = (&config.metrics, &config.traces);
    let protocol = metrics.protocol.unwrap_or(traces.protocol);
    if let Some(endpoint) = &metrics.endpoint {
        // A key of one collector is nothing that another shall see.
        return Some(Destination { endpoint: endpoint.clone(), protocol, headers: metrics.headers.as_ref() });
    }
    let endpoint = traces.endpoint.as_ref().filter(|_| metrics.export)?;
    let endpoint = match protocol {
        OtlpProtocol::Http => format!("{}/v1/metrics", endpoint.trim_end_matches('/')),
        OtlpProtocol::Grpc => endpoint.clone(),
    };
    Some(Destination { endpoint, protocol, headers: metrics.headers.as_ref().or(traces.headers.as_ref()) })
}

/// What sends figures; none where there is nobody to send them to.
pub(crate) fn exporter(config: &Config) -> anyhow::Result<Option<MetricExporter>> {
    let Some(Destination { endpoint, protocol, headers }) = destination(config) else { return Ok(None) };
    let headers = traces::headers("metrics.headers", headers)?;
    let settings = traces::collector(endpoint, protocol, headers, config.metrics.timeout);
    MetricExporter::new(settings).context("metrics can't be sent (metrics.endpoint)").map(Some)
}

/// A task that sends figures.
#[derive(Debug)]
pub(crate) struct MetricsTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl MetricsTask {
    /// Sends the figures of this server after each interval. One that takes longer delays the next.
    pub(crate) fn start(mut exporter: MetricExporter, app: Arc<App>, every: Duration) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // At once there is nothing to tell yet.
            ticks.tick().await;
            loop {
                let round = async {
                    ticks.tick().await;
                    exporter.export(app.families()).await;
                };
                tokio::select! {
                    // One that is under way is given up: the last one says it all once more.
                    _ = &mut stopped => break,
                    () = round => {}
                }
            }
            exporter.export(app.families()).await;
        });
        Self { stop, task }
    }

    /// Sends the last figures.
    pub(crate) async fn finish(mut self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(LAST, &mut self.task).await.is_err() {
            tracing::warn!("the last metrics were not sent");
            self.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(change: impl FnOnce(&mut Config)) -> Option<(String, OtlpProtocol, Option<String>)> {
        let mut config = Config::default();
        change(&mut config);
        let Destination { endpoint, protocol, headers } = destination(&config)?;
        Some((endpoint, protocol, headers.map(|headers| headers.expose().to_owned())))
    }

    #[test]
    fn figures_go_nowhere_unless_it_is_said() {
        assert_eq!(found(|_| ()), None);
        assert_eq!(found(|config| config.traces.endpoint = Some("http://a:4318".to_owned())), None);
        assert_eq!(found(|config| config.metrics.export = true), None, "there is no collector");
    }

    #[test]
    fn they_go_to_the_collector_of_traces_or_to_one_of_their_own() {
        let of_traces = |config: &mut Config| {
            config.traces.endpoint = Some("http://a:4318/".to_owned());
            config.traces.headers = Some(Secret::new("x=1".to_owned()));
            config.metrics.export = true;
        };
        let there = ("http://a:4318/v1/metrics".to_owned(), OtlpProtocol::Http, Some("x=1".to_owned()));
        assert_eq!(found(of_traces), Some(there));
        let by_grpc = found(|config| {
            of_traces(config);
            config.traces.protocol = OtlpProtocol::Grpc;
        });
        assert_eq!(by_grpc, Some(("http://a:4318/".to_owned(), OtlpProtocol::Grpc, Some("x=1".to_owned()))));
        let elsewhere = found(|config| {
            of_traces(config);
            config.metrics.endpoint = Some("http://b/in".to_owned());
        });
        assert_eq!(elsewhere, Some(("http://b/in".to_owned(), OtlpProtocol::Http, None)), "a secret stays where it is");
    }
}
