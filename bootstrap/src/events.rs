//! The task that hands out events: it follows the log, speaks to those who heard nothing for a while, and tells figures.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::events::{Audience, Bell, EventSettings, Events, HealthRules, HubLimits};
use gadwall_application::webhooks::Webhooks;
use gadwall_domain::ports::system::ProcessMonitor;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::config;

/// How often the log is looked at, whatever the bell says.
const EVERY: Duration = Duration::from_secs(1);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct EventsTask {
    task: JoinHandle<()>,
    webhooks: JoinHandle<()>,
    events: Arc<Events>,
}

impl EventsTask {
    pub(crate) fn start(
        (events, webhooks): (Arc<Events>, Arc<Webhooks>),
        bell: Bell,
        process: Arc<dyn ProcessMonitor>,
        figures_every: Duration,
    ) -> Self {
        let of_task = Arc::clone(&events);
        let task = tokio::spawn(async move {
            let mut rounds = interval(EVERY);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut told, mut fails) = (Instant::now(), false);
            loop {
                tokio::select! {
                    () = bell.rung() => {}
                    _ = rounds.tick() => {
                        of_task.tick();
                        if told.elapsed() >= figures_every {
                            told = Instant::now();
                            tell_figures(&of_task, process.as_ref());
                        }
                    }
                }
                match of_task.follow().await {
                    Ok(events) => {
                        fails = false;
                        if events > 0 {
                            pause(of_task.pause()).await;
                        }
                    }
                    // Once is enough to say: it is tried each second.
                    Err(error) if !fails => {
                        fails = true;
                        tracing::warn!(error = %error, "the log of events can't be followed");
                    }
                    Err(_) => {}
                }
            }
        });
        let webhooks = tokio::spawn(tell_webhooks(webhooks, events.reached()));
        Self { task, webhooks, events }
    }

    /// Ends all streams, so that nobody waits for their ends.
    pub(crate) fn close(&self) {
        self.events.close();
    }
}

/// Waits, if the clock can tell such a time at all.
async fn pause(length: Duration) {
    if length >= Duration::from_millis(1) {
        sleep(length).await;
    }
}

/// Tells webhooks when the log has grown, and looks each second for those whose pause is over.
async fn tell_webhooks(webhooks: Arc<Webhooks>, mut reached: watch::Receiver<u64>) {
    let (mut fails, mut more) = (false, false);
    loop {
        if !more {
            // Nobody appends any more once it is closed; the task ends with the server.
            let _ = tokio::time::timeout(EVERY, reached.changed()).await;
        }
        let told = webhooks.deliver().await;
        more = told.as_ref().is_ok_and(|told| told.delivered > 0);
        match told {
            Ok(_) => fails = false,
            Err(error) if !fails => {
                fails = true;
                tracing::warn!(error = %error, "webhooks can't be told");
            }
            Err(_) => {}
        }
    }
}

/// What the whole process uses is not every tenant's business.
fn tell_figures(events: &Events, process: &dyn ProcessMonitor) {
    let memory = process.memory();
    let metadata = json!({ "unit": "bytes", "total": memory.total });
    let data = json!({ "metric_type": "memory_usage", "value": memory.resident, "metadata": metadata });
    events.announce("system_metric", data, &Audience::Admins);
    events.announce_clients();
}

impl Drop for EventsTask {
    fn drop(&mut self) {
        self.task.abort();
        self.webhooks.abort();
    }
}

/// How events are kept and watched, as configured.
pub(crate) fn settings(config: &config::Events) -> anyhow::Result<EventSettings> {
    let span = chrono::TimeDelta::from_std;
    Ok(EventSettings {
        retention: span(config.retention)?,
        replay: config.replay,
        token_lifetime: span(config.token_lifetime)?,
        limits: HubLimits {
            clients: config.max_clients,
            clients_per_project: config.max_clients_per_project,
            queue: config.queue_size,
            health: HealthRules {
                heartbeat: span(config.heartbeat_interval)?,
                check: span(config.check_interval)?,
                grace: span(config.zombie_grace)?,
                silence: span(config.silence_timeout)?,
                pong: span(config.pong_timeout)?,
                missed_pings: config.max_missed_pings,
                queue_full: config.max_queue_full,
                write_errors: MAX_WRITE_ERRORS,
            },
        },
    })
}

/// Failed writes in a row that a client may have.
const MAX_WRITE_ERRORS: u32 = 3;
