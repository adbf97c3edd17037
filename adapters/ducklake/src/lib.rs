//! DuckLake on an embedded DuckDB: tables, their snapshots, and queries over them.
//!
//! One engine serves all projects; each has a catalog of its own, attached on first use. `engine` and `catalogs`
//! hold DuckDB, `structure` reads a lake's own tables, `stage`, `writer` and `commit` take rows in, `gate` and `query` let
//! users' SQL at them. Only `sql` turns names into SQL text, and nothing calls DuckDB on the async runtime.

mod archive;
mod area;
mod catalogs;
mod cloud;
mod commit;
mod config;
mod control;
mod delivery;
mod doctor;
mod durable;
mod engine;
mod error;
mod explain;
mod filter;
mod gate;
mod history;
mod instance;
mod interrupt;
mod known;
mod links;
mod maintenance;
mod measure;
mod migrate;
mod names;
mod orphans;
mod planning;
mod priority;
mod profiles;
mod profiling;
mod query;
mod read;
mod readers;
mod reading;
mod room;
mod root;
mod runtime;
mod sample;
mod script;
mod settled;
mod sql;
mod stage;
mod store;
mod structure;
mod transfer;
mod types;
mod values;
mod version;
mod writer;

pub use archive::{CatalogFilesReader, LakeArchives};
pub use cloud::{CloudError, CloudLakes, EngineLimits, ServerError};
pub use config::{DataPlace, LakeConfig, PostgresPlace, S3Place};
pub use durable::{FileSync, Fsync};
pub use engine::OpenError;
pub use migrate::{CopiedCatalog, CopiedFile, LakeMigration, MigrationError, Source};
pub use runtime::{MissingExtension, find_extension_dir};
pub use sample::{SAMPLE, SampleError, SampleFile, SampleTable, engine_version, write_sample};
pub use store::EmbeddedLakes;
pub use transfer::EngineTransfers;

#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod revival_tests;
#[cfg(test)]
mod testing;
