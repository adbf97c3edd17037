//! The servers that tests run against: real ones, thrown away afterwards.
//!
//! Each is taken, in this order, from an address in the environment, from a container where a Docker engine answers
//! (feature `containers`), or from a process that is started here, out of what `make setup-test` fetched into
//! `.services`. Where none of the three works, the test fails and says so.
//!
//! Nothing is shared between tests: a server takes a few tenths of a second, and a test that starts its own can
//! stop it, too.
#![deny(missing_docs)]

mod child;
#[cfg(feature = "containers")]
mod container;
mod folder;
mod postgres;
pub mod proxy;
pub mod s3;
mod supervisor;

pub use folder::service;
pub use postgres::{Database, Postgres, PostgresProcess};
pub use proxy::{Mode, Proxy};
pub use s3::S3;
pub use supervisor::{Supervised, free_port};
