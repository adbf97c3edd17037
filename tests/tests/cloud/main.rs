//! Servers with catalogs and metadata in PostgreSQL and data in S3, and what else reads and writes there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backups;
mod doctor;
mod metadata;
mod migrate;
mod open_lake;
mod servers;
