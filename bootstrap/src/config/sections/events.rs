//! Settings of events and of lineage, of those who watch them, and of those who follow tables.

use std::time::Duration;

use crate::config::kind::{Kind, seconds};
use crate::config::secret::Secret;

section! {
    /// What happens, as it happens: the log of events, its streams, and the changes of tables.
    pub struct Events = "events" {
        /// How long events are kept. Who was away for longer hears that something may be missing.
        retention: Duration = seconds(30 * 86_400), Kind::span(1, 3_650 * 86_400);
        /// Streams of events at once; who opens one more hears 503. Each server counts for itself.
        max_clients: usize = 1_000, Kind::integer(1, 1_000_000);
        /// Of them, those of one project.
        max_clients_per_project: usize = 200, Kind::integer(1, 1_000_000);
        /// Events that wait for one client. Who takes less than there is reads on in the log later.
        queue_size: usize = 100, Kind::integer(1, 100_000);
        /// Events that are sent again to who comes to `/events/stream`, `/events/jobs` or `/events/lineage` without a position.
        replay: usize = 50, Kind::integer(0, 1_000);
        /// After so long without an event a client gets a heartbeat, and the next time a ping.
        heartbeat_interval: Duration = seconds(30), Kind::span(1, 3_600);
        /// How often it is looked who counts as dead.
        check_interval: Duration = seconds(60), Kind::span(1, 3_600);
        /// How long who counts as dead is waited for until its stream is ended.
        zombie_grace: Duration = seconds(60), Kind::span(0, 3_600);
        /// Who takes nothing for so long counts as dead.
        silence_timeout: Duration = seconds(120), Kind::span(1, 86_400);
        /// Who answers pings and lets so much time pass after the first one counts as dead.
        pong_timeout: Duration = seconds(90), Kind::span(1, 86_400);
        /// Who answers pings and misses more than that in a row counts as dead.
        max_missed_pings: u32 = 3, Kind::integer(0, 1_000);
        /// Who takes nothing while so many events in a row find its queue full counts as dead.
        max_queue_full: u32 = 10, Kind::integer(1, 1_000_000);
        /// How often figures are told to who watches them.
        metrics_interval: Duration = seconds(30), Kind::span(1, 3_600);
        /// How long a token opens streams.
        token_lifetime: Duration = seconds(300), Kind::span(1, 86_400);
        /// Whether webhooks may lead to private, local and reserved addresses. They are asked from where the server is.
        webhook_private_addresses: bool = false, Kind::Switch;
        /// How long a consumer that doesn't move keeps the changes of its table from being removed.
        consumer_max_hold: Duration = seconds(7 * 86_400), Kind::span(0, 3_650 * 86_400);
    }
}

/// Settings of lineage.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// Another server of lineage.
    #[serde(default)]
    pub forward: LineageForward,
}

section! {
    /// Another server of lineage, such as Marquez, to which all events are handed on: those that come in, and those of own writes.
    pub struct LineageForward = "lineage.forward" {
        /// Where it takes events, such as `http://marquez:5000/api/v1/lineage`. It may be inside: the operator chooses it.
        url: Option<String> = None, Kind::Url, otherwise "none: nothing is handed on";
        /// Its key, sent as a bearer's.
        api_key: Option<Secret> = None, Kind::Secret, otherwise "none";
        /// Longest wait for its answer.
        timeout: Duration = seconds(10), Kind::span(1, 300);
        /// Events that may wait for it. Of more than that the oldest are left out, and counted.
        queue_size: u64 = 100_000, Kind::integer(1, 10_000_000);
    }
}
