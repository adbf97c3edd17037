//! The API over real HTTP, one binary for all areas.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod analytics;
mod async_queries;
mod audit;
mod buckets;
mod conditions;
mod datasets;
mod deletion;
mod edits;
mod formats;
mod hostile;
mod idempotency;
mod introspection;
mod isolation;
mod keys;
mod matrix;
mod openapi;
mod problems;
mod projects;
mod query;
mod query_cache;
mod readme;
mod restart;
mod rows;
mod running_queries;
mod scripts;
mod scripts_hostile;
mod service;
mod shape;
mod sharing;
mod short_routes;
mod sql_files;
mod tables;
mod transfers;
mod views;
