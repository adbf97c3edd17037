//! The servers that tests run against: real ones, thrown away afterwards.
//!
//! Each is taken, in this order, from an address in the environment, from a container where a Docker engine answers
//! (feature `containers`), or from a process that is started here, out of what `make setup-test` fetched into
//! `.services`. Where none of the three works, the test fails and says so.
//!
//! Nothing is shared between tests: a server takes a few tenths of a second (one of S3 two seconds, so few tests start
//! one), and a test that starts its own can stop it, too. Between a test and a server a proxy can fail on command.
#![deny(missing_docs)]

mod collector;
#[cfg(feature = "containers")]
mod container;
mod folder;
mod issuer;
mod ontology;
mod postgres;
mod proxy;
mod recorder;
mod s3;
mod supervisor;

pub use collector::{Collector, Mood, SeenFigures, SeenPoint, SeenSpan, SeenValue};
pub use folder::service;
pub use issuer::{Answers, Issuer, SigningKey};
pub use ontology::{Ontology, Says};
pub use postgres::{Database, Postgres, PostgresProcess};
pub use proxy::{Mode, Proxy};
pub use recorder::{Recorded, Recorder};
pub use s3::{Keys, S3};
pub use supervisor::{Supervised, free_port};
