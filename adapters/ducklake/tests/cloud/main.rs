//! Lakes with catalogs in PostgreSQL and data in S3, on real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod engines;
mod place;
mod shares;
