//! Settings of the server, of access and of logs.

use std::time::Duration;

use super::planned;
use crate::config::choices::{LogFormat, LogLevel};
use crate::config::kind::{Kind, MIB, seconds};
use crate::config::secret::Secret;

section! {
    /// The HTTP server.
    pub struct Server = "server" {
        /// Address to listen on. `0.0.0.0` makes the server reachable from other machines.
        host: String = "127.0.0.1".to_owned(), Kind::Host;
        /// Port to listen on; 0 takes any free one.
        port: u16 = 8000, Kind::integer(0, 65_535);
        /// Largest request body with rows.
        max_body_bytes: u64 = 100 * MIB, Kind::bytes(1, u64::MAX);
        /// Longest time to send a request's head.
        header_read_timeout: Duration = seconds(10), Kind::span(1, 600);
        /// Longest time without a byte of a request's body.
        body_idle_timeout: Duration = seconds(30), Kind::span(1, 3_600);
        /// Connections served at once; more wait in the system's backlog.
        max_connections: usize = 1_024, Kind::integer(1, 1_000_000);
        /// Longest time for requests to finish once the server is asked to stop.
        shutdown_grace: Duration = seconds(30), Kind::span(0, 3_600);
        /// Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed. Without any, the
        /// client is whoever opened the connection.
        trusted_proxies: Vec<String> = Vec::new(), Kind::Networks, otherwise "none";
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
        /// Refused keys from one address within a minute, after which it gets 429 until the minute is over. 0 for any
        /// number. An IPv6 network of 64 bits counts as one address.
        max_failures_per_minute: u32 = 30, Kind::integer(0, 1_000_000);
        /// How often it is written down when keys were last used.
        last_used_interval: Duration = seconds(60), Kind::span(1, 3_600);
        /// How long a rotated key's former secret goes on working, unless the request tells.
        rotation_overlap: Duration = seconds(0), Kind::span(0, 604_800);
        /// Whether `/metrics` answers without a key.
        metrics_public: bool = true, Kind::Switch, planned planned::METRICS;
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
    /// What is written to standard error.
    pub struct Logging = "logging" {
        /// Least important events that are logged.
        level: LogLevel = LogLevel::Info, Kind::Choice(LogLevel::WORDS);
        /// Lines for people or for machines.
        format: LogFormat = LogFormat::Human, Kind::Choice(LogFormat::WORDS), otherwise "human; json in production";
    }
}
