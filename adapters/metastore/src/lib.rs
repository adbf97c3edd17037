//! The metadata store: on SQLite, one file beside the data, or on PostgreSQL, for all servers that share a database.
//!
//! Both speak the same statements; what differs (how a database is opened, brought up to date, locked, and what its
//! errors mean) is in a module for each.
#![deny(missing_docs)]

mod archive;
mod audit;
mod consumers;
mod contracts;
mod copy;
mod error;
mod event_tokens;
mod events;
mod health;
mod idempotency;
mod instances;
mod keys;
mod lake_index;
mod lineage;
mod maintenance;
mod migrations;
mod operations;
mod pools;
mod postgres;
mod projects;
mod queries;
mod row;
mod rows;
mod schemas;
mod sharing;
mod sqlite;
mod statement;
mod tags;
mod tx;
mod usage;
mod webhooks;

pub use copy::{CopiedTable, copy, has_gone_on};
pub use postgres::{ConnectError, PostgresConfig, PostgresMetadata, PostgresPeers, PostgresTurns};
pub use sqlite::{OpenError, SqliteConfig, SqliteMetadata};
