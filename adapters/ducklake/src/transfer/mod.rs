//! Whole files, read and written by the engine itself.
//!
//! What comes from a client's file is first copied into one file in the staging folder, as it is; the load checks it
//! from there as it checks what was sent in a request. What goes out is written there, too, and taken over when it
//! is whole.

mod error;
mod export;
mod infer;
mod read;
mod run;
mod scan;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::{EngineFile, LakeError};
use gadwall_domain::ports::transfer::{BulkTransfer, ExportSource, Exported, ReadIn, TransferError, Watcher};
use gadwall_domain::query::ReadScope;
use gadwall_domain::rows::StagedFile;
use gadwall_domain::schema::Column;
use gadwall_domain::transfer::FileFormat;

use crate::catalogs::Catalogs;
use crate::cloud::CloudLakes;
use crate::config::LakeConfig;
use crate::engine::Engine;
use crate::root::Lent;
use crate::store::EmbeddedLakes;

use error::FileErrors;
use run::{interruptible, watched};

/// Transfers on the lakes' engines.
pub struct EngineTransfers {
    engines: Engines,
    staging_dir: PathBuf,
    files: AtomicU64,
}

/// Where the engine of a lake is.
enum Engines {
    /// It is the same for all.
    One(Arc<Engine>, Arc<Catalogs>),
    /// Each has its own.
    Each(Arc<CloudLakes>),
}

impl fmt::Debug for EngineTransfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineTransfers")
    }
}

/// Removes a file that nobody took.
struct Remove(PathBuf);

impl Drop for Remove {
    fn drop(&mut self) {
        // It may never have been written, or it was moved away.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn parts(lakes: &EmbeddedLakes) -> (Arc<Engine>, Arc<Catalogs>) {
    (Arc::clone(&lakes.engine), Arc::clone(&lakes.catalogs))
}

impl EngineTransfers {
    /// Transfers of these lakes, which were opened with these settings.
    pub fn new(lakes: &EmbeddedLakes, config: &LakeConfig) -> Self {
        Self::on(Engines::One(Arc::clone(&lakes.engine), Arc::clone(&lakes.catalogs)), config)
    }

    /// The same of lakes that have an engine each.
    pub fn in_cloud(lakes: Arc<CloudLakes>, config: &LakeConfig) -> Self {
        Self::on(Engines::Each(lakes), config)
    }

    fn on(engines: Engines, config: &LakeConfig) -> Self {
        Self { engines, staging_dir: config.staging_dir.clone(), files: AtomicU64::new(0) }
    }

    async fn engine(&self, lake: LakeId) -> Result<(Arc<Engine>, Arc<Catalogs>), LakeError> {
        match &self.engines {
            Engines::One(engine, catalogs) => Ok((Arc::clone(engine), Arc::clone(catalogs))),
            Engines::Each(lakes) => Ok(parts(&*lakes.of(lake).await?)),
        }
    }

    /// The same for a statement that may read other lakes.
    async fn engine_within(&self, scope: &ReadScope) -> Result<(Arc<Engine>, Arc<Catalogs>), LakeError> {
        match &self.engines {
            Engines::One(..) => self.engine(scope.lake).await,
            Engines::Each(lakes) => Ok(parts(&*lakes.within(scope).await?)),
        }
    }

    /// A place for a file that no other has.
    fn new_file(&self) -> Arc<StagedFile> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.staging_dir.join(format!("transfer_{number}"));
        Arc::new(StagedFile::new(path.clone(), Box::new(Remove(path))))
    }
}

#[async_trait]
impl BulkTransfer for EngineTransfers {
    async fn infer(
        &self,
        lake: LakeId,
        files: &[EngineFile],
        format: &FileFormat,
        limit: Duration,
    ) -> Result<Vec<Column>, TransferError> {
        let (engine, _) = self.engine(lake).await?;
        let errors = FileErrors::new(&engine, format, files);
        let (files, format) = (files.to_vec(), format.clone());
        let work = move |connection: &Lent| infer::infer(connection, &files, &format, &errors);
        interruptible(&engine, limit, work).await
    }

    async fn read(
        &self,
        lake: LakeId,
        files: &[EngineFile],
        format: &FileFormat,
        columns: &[Column],
        watcher: Watcher,
        limit: Duration,
    ) -> Result<ReadIn, TransferError> {
        let (engine, _) = self.engine(lake).await?;
        let errors = FileErrors::new(&engine, format, files);
        let (files, format, columns) = (files.to_vec(), format.clone(), columns.to_vec());
        let target = self.new_file();
        let path = target.path().to_owned();
        let work = move |connection: &Lent| {
            let rows = read::read(connection, &files, &format, &columns, target.path(), &errors)?;
            Ok(ReadIn { file: target, rows })
        };
        watched(&path, &watcher, interruptible(&engine, limit, work)).await
    }

    async fn export(
        &self,
        source: ExportSource,
        format: &FileFormat,
        watcher: Watcher,
        limit: Duration,
    ) -> Result<Exported, TransferError> {
        let (engine, catalogs) = match &source {
            ExportSource::Table { lake, .. } => self.engine(*lake).await?,
            ExportSource::Query { scope, .. } => self.engine_within(scope).await?,
        };
        let (running, format) = (Arc::clone(&engine), format.clone());
        let target = self.new_file();
        let path = target.path().to_owned();
        let work = move |connection: &Lent| {
            let exporter = export::Exporter { engine: &running, catalogs: &catalogs, connection };
            exporter.export(&source, &format, target)
        };
        watched(&path, &watcher, interruptible(&engine, limit, work)).await
    }
}
