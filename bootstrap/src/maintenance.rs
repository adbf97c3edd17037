//! The lakes' maintenance: what holds for all projects, and the task that begins runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gadwall_application::maintenance::{Maintenance, MaintenanceSettings};
use gadwall_domain::maintenance::{MaintenancePolicy, PolicyChanges};

use crate::config;
use crate::rounds::Rounds;

/// What holds where a project wants nothing else.
pub(crate) fn settings(config: &config::Maintenance) -> anyhow::Result<MaintenanceSettings> {
    let wanted = PolicyChanges {
        enabled: Some(config.enabled),
        interval_seconds: Some(config.interval.as_secs()),
        keep_snapshots_for_seconds: Some(config.keep_snapshots_for.as_secs()),
        keep_snapshots: Some(config.keep_snapshots),
        target_file_bytes: Some(config.target_file_size),
        small_file_bytes: Some(config.small_file_size),
        min_small_files: Some(config.min_small_files),
        delete_ratio: Some(f64::from(config.delete_percentage) / 100.0),
    };
    let defaults =
        MaintenancePolicy::default().with(&wanted).context("the settings of maintenance don't go together")?;
    Ok(MaintenanceSettings { defaults, jitter: config.jitter, keep_files_for: config.keep_files_for })
}

/// Starts it.
pub(crate) fn start(maintenance: Arc<Maintenance>, every: Duration) -> Rounds {
    Rounds::start(every, move || tick(Arc::clone(&maintenance)))
}

async fn tick(maintenance: Arc<Maintenance>) {
    match maintenance.tick().await {
        Ok(0) => {}
        Ok(runs) => tracing::info!(runs, "maintenance of projects began"),
        Err(error) => tracing::warn!(error = %error, "it was not looked for projects to be maintained"),
    }
}
