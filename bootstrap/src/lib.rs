//! Puts Gadwall together: configuration, adapters, use cases, server.
//!
//! The only crate that reads the environment and the only one that knows all adapters.

mod app;
mod background;
pub mod backups;
pub mod bench_data;
mod breakers;
pub mod config;
mod elsewhere;
mod events;
mod files;
mod folders;
mod front;
mod housekeeping;
mod issuers;
mod key_uses;
pub mod keys;
mod lakes;
mod lease;
mod lineage;
mod linked_reads;
mod machine;
mod maintenance;
mod measuring;
mod metadata;
mod metrics;
pub mod migrate;
pub mod ontology;
mod output;
mod policies;
mod purges;
mod query_log;
mod queue_status;
pub mod ready;
mod refusals;
mod reload;
mod remote;
mod rounds;
mod services;
mod settings;
mod statistics;
mod system;
pub mod telemetry;
mod traces;
pub mod version;

pub use app::{Server, openapi};
pub use config::Config;
