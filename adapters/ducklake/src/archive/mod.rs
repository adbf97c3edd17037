//! Lakes copied out and in, for backups.
//!
//! A catalog is copied table by table, in one transaction, into a DuckDB file of its own, and comes back the same way: so it
//! doesn't matter which kind of catalog it was and becomes, and DuckDB can read the copy with nothing else at hand. Data files
//! are bytes that never change.

mod catalog;
mod files;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use duckdb::Connection;
use gadwall_domain::backup::{BackupPath, TableRows};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::backup::{ArchiveError, CatalogContents, CatalogCopy, CatalogReader, LakeArchive, LakeFile};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::ports::objects::Content;

use crate::area::{self, Area};
use crate::cloud::CloudLakes;
use crate::config::{DataPlace, LakeConfig};
use crate::durable::{Fsync, Synced};
use crate::engine::Engine;
use crate::error::{fault, io_error};
use crate::store::EmbeddedLakes;

/// Copies the lakes of one kind.
pub struct LakeArchives {
    lakes: Lakes,
    area: Arc<dyn Area>,
    data: DataPlace,
    spool: Spool,
}

enum Lakes {
    /// One engine for all.
    One(Arc<EmbeddedLakes>),
    /// Each has its own.
    Each(Arc<CloudLakes>),
}

impl fmt::Debug for LakeArchives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LakeArchives")
    }
}

/// Where catalogs lie between the engine and the target.
#[derive(Debug)]
struct Spool {
    folder: PathBuf,
    files: AtomicU64,
}

/// A file in the spool; it goes with this.
struct Spooled {
    path: PathBuf,
    /// A name that no other catalog is attached under.
    name: String,
}

impl Drop for Spooled {
    fn drop(&mut self) {
        for path in [self.path.clone(), self.path.with_extension("ducklake.wal")] {
            // It may never have been written.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Spool {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), files: AtomicU64::new(0) }
    }

    fn next(&self) -> Arc<Spooled> {
        let name = format!("archive_{}", self.files.fetch_add(1, Ordering::Relaxed));
        Arc::new(Spooled { path: self.folder.join(format!("{name}.ducklake")), name })
    }
}

impl LakeArchives {
    /// Of lakes that share an engine.
    pub fn new(lakes: Arc<EmbeddedLakes>, config: &LakeConfig) -> Self {
        Self::of(Lakes::One(lakes), config)
    }

    /// Of lakes that have an engine each.
    pub fn in_cloud(lakes: Arc<CloudLakes>, config: &LakeConfig) -> Self {
        Self::of(Lakes::Each(lakes), config)
    }

    fn of(lakes: Lakes, config: &LakeConfig) -> Self {
        let area = area::open(config, Arc::new(Fsync));
        Self { lakes, area, data: config.data.clone(), spool: Spool::new(&config.staging_dir) }
    }

    async fn lakes(&self, lake: LakeId) -> Result<Arc<EmbeddedLakes>, LakeError> {
        match &self.lakes {
            Lakes::One(lakes) => Ok(Arc::clone(lakes)),
            Lakes::Each(lakes) => lakes.of(lake).await,
        }
    }

    /// Does something with the lake attached, on a connection of its own that waits for nobody.
    async fn with<T, F>(&self, lake: LakeId, work: F) -> Result<T, ArchiveError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, ArchiveError> + Send + 'static,
    {
        let lakes = self.lakes(lake).await?;
        let (engine, catalogs) = (Arc::clone(&lakes.engine), Arc::clone(&lakes.catalogs));
        let leased = move |connection: &crate::root::Lent| {
            let _lease = catalogs.lease(connection, lake)?;
            Ok(work(connection))
        };
        Engine::run_exclusive(&engine, leased).await?
    }

    /// The lake's files that the catalog names, where they lie.
    async fn located(&self, lake: LakeId, named: &[(String, u64)]) -> Result<Vec<LakeFile>, ArchiveError> {
        let (area, root) = (Arc::clone(&self.area), self.area.data(lake));
        let listed = tokio::task::spawn_blocking(move || area.list(&area.data(lake))).await;
        let listed = listed.map_err(|panic| fault(panic.to_string()))?.map_err(io_error)?;
        let there = area::by_name(listed);
        let (mut found, mut missing, mut different, mut example) = (Vec::with_capacity(named.len()), 0, 0, None);
        for (name, bytes) in named {
            match there.get(name) {
                None => missing += 1,
                Some(file) if file.bytes != *bytes => different += 1,
                Some(file) => {
                    let inside = file.path.strip_prefix(&root).map_err(|_| ArchiveError::Elsewhere)?;
                    let path = BackupPath::parse(&inside.to_string_lossy()).map_err(|_| ArchiveError::Elsewhere)?;
                    found.push(LakeFile { path, bytes: file.bytes });
                    continue;
                }
            }
            example.get_or_insert_with(|| name.clone());
        }
        match example {
            None => Ok(found),
            Some(example) => Err(ArchiveError::Files { missing, different, example }),
        }
    }
}

#[async_trait]
impl LakeArchive for LakeArchives {
    async fn export(&self, lake: LakeId) -> Result<CatalogCopy, ArchiveError> {
        let spooled = self.spool.next();
        let target = Arc::clone(&spooled);
        let contents =
            self.with(lake, move |connection| catalog::export(connection, lake, &target.name, &target.path)).await?;
        let files = self.located(lake, &contents.files).await?;
        let content = files::read(&spooled.path.clone(), Some(spooled)).await?;
        Ok(CatalogCopy { contents, files, content })
    }

    async fn open_file(&self, lake: LakeId, path: &BackupPath) -> Result<Content, ArchiveError> {
        let path = self.area.data(lake).join(path.as_str());
        match &self.data {
            DataPlace::Local => files::read(&path, None).await,
            DataPlace::S3(place) => files::get(place, &path).await,
        }
    }

    async fn put_file(&self, lake: LakeId, path: &BackupPath, content: Content) -> Result<(), ArchiveError> {
        let path = self.area.data(lake).join(path.as_str());
        match &self.data {
            DataPlace::Local => files::write(&path, content).await,
            DataPlace::S3(place) => files::send(place, &path, content).await,
        }
    }

    async fn import(&self, lake: LakeId, catalog: Content) -> Result<(), ArchiveError> {
        let spooled = self.spool.next();
        files::write(&spooled.path, catalog).await?;
        let (source, area) = (Arc::clone(&spooled), Arc::clone(&self.area));
        self.with(lake, move |connection| {
            catalog::import(connection, lake, &source.name, &source.path)?;
            // The names of new files and folders last before anybody is told of the lake.
            let synced = area.sync_new(&area.data(lake), std::time::SystemTime::UNIX_EPOCH, &mut Synced::default());
            Ok(synced.map_err(io_error)?)
        })
        .await?;
        // What the engine knows of the lake is that it is empty.
        match &self.lakes {
            Lakes::One(lakes) => lakes.catalogs.reopen(lake),
            Lakes::Each(lakes) => lakes.reopen(lake),
        }
        Ok(())
    }

    async fn count(&self, lake: LakeId) -> Result<Vec<TableRows>, ArchiveError> {
        self.with(lake, move |connection| catalog::count(connection, lake)).await
    }
}

/// Looks into catalogs with an engine that has nothing else.
#[derive(Debug)]
pub struct CatalogFilesReader {
    spool: Spool,
}

impl CatalogFilesReader {
    /// Looks into copies that it makes in this folder.
    pub fn new(folder: &Path) -> Self {
        Self { spool: Spool { files: AtomicU64::new(1 << 32), ..Spool::new(folder) } }
    }
}

#[async_trait]
impl CatalogReader for CatalogFilesReader {
    async fn inspect(&self, content: Content) -> Result<CatalogContents, ArchiveError> {
        let spooled = self.spool.next();
        files::write(&spooled.path, content).await?;
        let look = move || catalog::inspect(&spooled.path);
        tokio::task::spawn_blocking(look).await.map_err(|panic| fault(panic.to_string()))?
    }
}
