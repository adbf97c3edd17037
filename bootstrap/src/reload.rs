//! Has a configuration that was read again hold while the server runs, as far as it can.

use std::sync::{Arc, Mutex, PoisonError};

use gadwall_application::access::{Access, AdminPolicy};
use gadwall_domain::ports::operating::LogControl;
use gadwall_http::App;

use crate::config::{Config, changed};
use crate::front::door_config;
use crate::policies::admin_keys;
use crate::telemetry;

/// What may change while the server runs.
pub(crate) struct Live {
    /// What it was started with, for all that a change of holds from the next start on.
    started: Config,
    /// What holds now, for all else.
    holds: Mutex<Config>,
    app: Arc<App>,
    access: Arc<Access>,
    log: Arc<dyn LogControl>,
}

/// Whether a change of it holds from the next request on.
fn is_live(key: &str) -> bool {
    const KEYS: [&str; 5] = [
        "logging.level",
        "auth.admin_keys",
        "server.trusted_hosts",
        "features.enable_cors",
        "features.enable_rate_limiting",
    ];
    KEYS.contains(&key) || ["cors.", "rate_limit."].iter().any(|section| key.starts_with(section))
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

impl Live {
    pub(crate) fn new(config: &Config, app: Arc<App>, access: Arc<Access>, log: Arc<dyn LogControl>) -> Self {
        Self { started: config.clone(), holds: Mutex::new(config.clone()), app, access, log }
    }

    /// Has another configuration hold. All of it is looked at before anything of it does.
    pub(crate) fn change(&self, next: Config) -> anyhow::Result<()> {
        let door = door_config(&next)?;
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let live: Vec<&str> = changed(&holds, &next).into_iter().filter(|key| is_live(key)).collect();
        let later: Vec<&str> = changed(&self.started, &next).into_iter().filter(|key| !is_live(key)).collect();
        if live.contains(&"auth.admin_keys") && self.started.auth.enabled {
            // Without one, another would be made up that nobody is told.
            anyhow::ensure!(!next.auth.admin_keys.is_empty(), "auth.admin_keys is empty; the keys stay as they are");
            self.access.set_admins(AdminPolicy::Keys(admin_keys(&next)));
        }
        self.app.set_door(&door);
        if live.contains(&"logging.level") {
            self.log.set(telemetry::level(next.logging.level), None)?;
        }
        if live.is_empty() {
            tracing::info!("the configuration was read again; nothing of it holds anew");
        } else {
            tracing::info!(settings = live.join(", "), "the configuration was read again and holds");
        }
        if !later.is_empty() {
            tracing::warn!(settings = later.join(", "), "these settings changed and hold from the next start on");
        }
        *holds = next;
        Ok(())
    }
}
