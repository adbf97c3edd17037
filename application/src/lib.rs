//! Use cases: what Gadwall does, told in terms of the domain's ports.
//!
//! A use case takes a [`caller::Caller`] first, authorises it, does its work through ports, and names
//! neither a transport nor a driver. It spawns no task and reads no configuration of its own.
#![deny(missing_docs)]

pub mod access;
mod access_cache;
pub mod analytics;
pub mod audit;
pub mod backups;
pub mod breaker;
pub mod buckets;
pub mod caller;
pub mod changes;
pub mod contracts;
pub mod data;
pub mod datasets;
pub mod doctor;
pub mod elsewhere;
pub mod error;
pub mod events;
mod failures;
pub mod guarded;
mod happened;
pub mod history;
pub mod idempotency;
pub mod instances;
pub mod keys;
mod lake_kind;
pub mod lineage;
pub mod maintenance;
mod noted;
pub mod operating;
pub mod operations;
pub mod projection;
pub mod projects;
pub mod queries;
pub mod query_statistics;
pub mod quotas;
mod record;
pub mod records;
pub mod recovery;
mod refused_writes;
pub mod schemas;
pub mod scripts;
pub mod sharing;
pub mod system;
pub mod tables;
pub mod tokens;
pub mod transfers;
pub mod usage;
pub mod versions;
pub mod views;
pub mod webhooks;
pub mod writes;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod world;
