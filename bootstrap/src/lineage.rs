//! The tasks that work off what events of lineage say of datasets, and hand them on to another server.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use gadwall_application::lineage::{Forwarded, Forwarding, Lineage};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_webhooks::OpenLineageSender;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::config::{LineageForward, Secret};
use crate::system::SystemClock;

/// How long the queue isn't looked at, unless something comes here. What another server left behind waits so long.
const EVERY: Duration = Duration::from_secs(1);

/// The task; it ends with this. What it was at is done by who comes next.
#[derive(Debug)]
pub(crate) struct LineageTask(JoinHandle<()>);

impl LineageTask {
    /// Starts it: at once, for what an earlier life of the process left.
    pub(crate) fn start(lineage: Arc<Lineage>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                match lineage.work_off().await {
                    Ok(0) => lineage.wait(EVERY).await,
                    Ok(events) => tracing::debug!(events, "events of lineage worked off"),
                    Err(error) => {
                        tracing::warn!(error = %error, "events of lineage were not worked off");
                        sleep(EVERY).await;
                    }
                }
            }
        }))
    }
}

impl Drop for LineageTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The task that hands events on to another server of lineage; it ends with this.
#[derive(Debug)]
pub(crate) struct ForwardTask(JoinHandle<()>);

impl ForwardTask {
    /// Starts it. What an earlier life of the process left is handed on first.
    pub(crate) fn start(forwarding: Forwarding) -> Self {
        Self(tokio::spawn(async move {
            let mut fails = false;
            loop {
                let failure = match forwarding.deliver().await {
                    Ok(Forwarded { sent, refused, failed: None }) if sent + refused > 0 => {
                        fails = false;
                        continue;
                    }
                    Ok(Forwarded { failed, .. }) => failed.map(|error| error.to_string()),
                    Err(error) => Some(error.to_string()),
                };
                // Once is enough to say: it is tried again and again.
                if let Some(error) = failure.as_ref().filter(|_| !fails) {
                    tracing::warn!(error, "events of lineage can't be handed on");
                }
                fails |= failure.is_some();
                sleep(EVERY).await;
            }
        }))
    }
}

impl Drop for ForwardTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What hands events on to another server, if one is configured.
pub(crate) fn forwarding(
    config: &LineageForward,
    store: &Arc<dyn MetadataStore>,
) -> anyhow::Result<Option<Forwarding>> {
    let Some(url) = &config.url else { return Ok(None) };
    let key = config.api_key.as_ref().map(Secret::expose);
    let sender = Arc::new(OpenLineageSender::new(url, key, config.timeout)?);
    let timeout = TimeDelta::from_std(config.timeout)?;
    Ok(Some(Forwarding::new(Arc::clone(store), sender, Arc::new(SystemClock), timeout)))
}
