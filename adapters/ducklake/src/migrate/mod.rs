//! Moves lakes with catalogs in files into PostgreSQL and S3, with all their history. A catalog has the same tables in both
//! places, so it is copied row by row, and data files byte by byte. The source is only read.

mod catalog;
mod files;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duckdb::Connection;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::LakeError;
use thiserror::Error;

use crate::cloud::{CatalogServer, CloudError};
use crate::config::{DataPlace, LakeConfig, PostgresPlace, S3Place};
use crate::engine::{OpenError, prepare_folder};
use crate::error::{fault, lake_error};
use crate::instance::{self, OneLake};
use crate::sql;

pub use catalog::CopiedCatalog;
pub use files::CopiedFile;

/// Longest time for one statement: a catalog's largest table is copied in one.
const STATEMENT: Duration = Duration::from_hours(1);

/// Why a lake isn't moved.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// The engine, or the catalogs' server.
    #[error(transparent)]
    Open(#[from] CloudError),
    /// A lake, or where it goes, can't be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Rows are in the catalog itself.
    #[error("the lake keeps rows in its catalog (ducklake.data_inlining_row_limit), which can't be moved")]
    Inlined,
    /// Files of the lake are elsewhere.
    #[error("the lake has files outside of its own folder, which can't be moved")]
    Elsewhere,
    /// The copy isn't what was copied.
    #[error("the copy differs: {0}")]
    Differs(String),
}

/// A lake in files, looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its newest snapshot.
    pub head: SnapshotId,
    /// Its snapshots.
    pub snapshots: u64,
    /// Files in its folder.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Moves lakes, one after the other.
pub struct LakeMigration {
    config: LakeConfig,
    place: S3Place,
    server: Arc<CatalogServer>,
}

impl std::fmt::Debug for LakeMigration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LakeMigration")
    }
}

impl LakeMigration {
    /// Connects to the catalogs' server. The settings are those of the lakes in the cloud; the folder that they name has
    /// the lakes in files.
    pub async fn open(config: &LakeConfig, postgres: &PostgresPlace) -> Result<Self, MigrationError> {
        let DataPlace::S3(place) = &config.data else {
            return Err(fault("lakes with catalogs in PostgreSQL have their data in S3").into());
        };
        prepare_folder("spill", &config.spill_dir, true).map_err(CloudError::from)?;
        let postgres = PostgresPlace { statement_timeout: STATEMENT, ..postgres.clone() };
        let server = Arc::new(CatalogServer::connect(&postgres).await.map_err(CloudError::from)?);
        Ok(Self { config: config.clone(), place: place.clone(), server })
    }

    /// Looks at a lake in files.
    pub async fn source(&self, lake: LakeId) -> Result<Source, MigrationError> {
        let (files, bytes) = self.source_files(lake).await?.iter().fold((0, 0), |(n, sum), f| (n + 1, sum + f.bytes));
        let (head, snapshots) = self.with_engine(lake, catalog::look).await?;
        Ok(Source { head, snapshots, files, bytes })
    }

    /// Whether the lake's copy was written to since it was made: its newest snapshot isn't one of the source.
    pub async fn has_gone_on(&self, lake: LakeId) -> Result<bool, MigrationError> {
        if !self.server.has(lake).await? {
            return Ok(false);
        }
        match self.server.head(lake).await {
            // Nothing more than the schema was made, or a lake without anything in it.
            Err(LakeError::NoLake) | Ok(SnapshotId::ZERO) => Ok(false),
            Ok(_) => self.with_engine(lake, move |engine| catalog::has_gone_on(engine, lake)).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Copies the catalog with all its snapshots, and compares it. What an earlier try copied is replaced.
    pub async fn copy_catalog(&self, lake: LakeId) -> Result<CopiedCatalog, MigrationError> {
        self.server.provide(lake).await?;
        let (attach, data) = (self.attach_target(lake)?, self.data_url(lake));
        let work = move |engine: &Connection| catalog::copy(engine, lake, &attach, &data);
        let copied = self.with_engine(lake, work).await?;
        self.server.keep_rows_in_files(lake).await?;
        self.server.index(lake).await?;
        Ok(copied)
    }

    /// Counts the rows of each table, read from the files in both places; answers how many tables there are.
    pub async fn compare_rows(&self, lake: LakeId) -> Result<u64, MigrationError> {
        let (attach, data) = (self.attach_target(lake)?, self.folder(lake).join("data"));
        self.with_engine(lake, move |engine| catalog::compare_rows(engine, lake, &attach, &data)).await
    }

    fn folder(&self, lake: LakeId) -> PathBuf {
        self.config.lakes_dir.join(lake.uuid().simple().to_string())
    }

    /// Where the engine finds the lake's data files in the bucket.
    fn data_url(&self, lake: LakeId) -> String {
        format!("{}/{}/", self.place.url("lakes").to_string_lossy(), lake.uuid().simple())
    }

    fn one(&self, lake: LakeId) -> Result<OneLake, MigrationError> {
        Ok(OneLake {
            lake,
            data: PathBuf::from(self.data_url(lake).trim_end_matches('/')),
            postgres: self.server.place().clone(),
            role: CatalogServer::schema(lake),
            password: self.server.password(lake)?,
            schema: CatalogServer::schema(lake),
            shares: Vec::new(),
        })
    }

    fn attach_target(&self, lake: LakeId) -> Result<String, MigrationError> {
        Ok(instance::attach(&self.config, &self.one(lake)?))
    }

    /// Does something with an engine of its own, to which the catalog in files is attached as `source`.
    async fn with_engine<T, F>(&self, lake: LakeId, work: F) -> Result<T, MigrationError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, MigrationError> + Send + 'static,
    {
        let (config, one) = (self.config.clone(), self.one(lake)?);
        let source = self.folder(lake).join("catalog.ducklake");
        if !source.is_file() {
            return Err(LakeError::NoLake.into());
        }
        let run = move || {
            let engine = instance::open_unlocked(&config, &one).map_err(CloudError::from)?;
            let attach = format!("ATTACH {} AS source (READ_ONLY)", sql::text(&source.to_string_lossy()));
            batch(&engine, &attach)?;
            work(&engine)
        };
        tokio::task::spawn_blocking(run).await.map_err(|panic| fault(panic.to_string()))?
    }
}

impl From<OpenError> for MigrationError {
    fn from(error: OpenError) -> Self {
        Self::Open(error.into())
    }
}

fn batch(engine: &Connection, statement: &str) -> Result<(), MigrationError> {
    Ok(engine.execute_batch(statement).map_err(|error| lake_error(&error))?)
}
