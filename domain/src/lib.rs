//! The language of Gadwall: projects own buckets, buckets own tables, tables
//! hold rows, and every change is a snapshot.
//!
//! This crate has types, rules and ports. It does no I/O, reads no clock, mints
//! no identifier, and knows neither SQL nor HTTP. Text is parsed into a type
//! once, at the edge; from there on a `BucketName` *is* a legal bucket name.
#![deny(missing_docs)]

pub mod access;
pub mod alteration;
#[cfg(test)]
mod alteration_tests;
pub mod audit;
pub mod backup;
pub mod bucket;
pub mod check;
pub mod commit;
pub mod contract;
pub mod dataset;
pub mod error;
pub mod events;
pub mod filter;
pub mod history;
pub mod idempotency;
pub mod ids;
pub mod instance;
pub mod layout;
pub mod lineage;
pub mod live;
pub mod maintenance;
pub mod names;
pub mod ontology;
pub mod operation;
pub mod ports;
pub mod project;
pub mod query;
pub mod query_figures;
pub mod query_record;
pub mod quota;
pub mod rows;
pub mod schema;
pub mod script;
pub mod selection;
pub mod sharing;
pub mod table;
pub mod transfer;
pub mod types;
pub mod view;
pub mod webhook;
