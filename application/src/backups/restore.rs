//! Making projects of a backup.
//!
//! A project's lake and datasets are put where nobody looks for them; its metadata comes last, in one unit of work: so the project
//! is there whole, or not at all. What a restore that broke off left behind goes when it is tried again.

use std::sync::Arc;

use gadwall_domain::backup::{BackedFile, BackupId, BackupPath, Manifest, ManifestProject, ProjectBackup};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::Progress;
use gadwall_domain::ports::backup::{ArchivedRows, Arrival};
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::objects::PutOptions;
use gadwall_domain::project::ProjectStatus;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::error::objects;
use super::shelf::{Shelf, path, require_same};
use super::sums::{content, summed};
use super::{AT_ONCE, BackupError, Parts};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::happened::Happened;
use crate::operations::Running;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Of which backup.
    pub backup_id: BackupId,
    /// The projects, by the names they have now.
    pub projects: Vec<String>,
    /// Files that were copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows that were counted in their files, and are as many as there were.
    pub rows: u64,
}

/// A restore that is under way.
pub(super) struct Restoring {
    pub(super) parts: Arc<Parts>,
    pub(super) shelf: Shelf,
    pub(super) caller: Caller,
    pub(super) running: Running,
    pub(super) restored: Restored,
}

/// The lake that a project of a backup becomes: always the same, so that what a restore that broke off left behind is found.
pub(super) fn lake_of(backup: BackupId, from: LakeId, name: &ProjectId) -> LakeId {
    let digest = Sha256::digest(format!("{backup}\n{from}\n{}", name.folded()));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    LakeId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

impl Restoring {
    pub(super) fn new(parts: Arc<Parts>, shelf: Shelf, caller: Caller, running: Running, id: BackupId) -> Self {
        let restored = Restored { backup_id: id, projects: Vec::new(), files: 0, bytes: 0, rows: 0 };
        Self { parts, shelf, caller, running, restored }
    }

    /// Restores projects of a backup, each under a name.
    pub(super) async fn carry_out(
        mut self,
        manifest: &Manifest,
        wanted: Vec<(ManifestProject, ProjectId)>,
    ) -> Result<Restored, UseCaseError> {
        let mut arrived = Vec::new();
        for (entry, name) in wanted {
            let backup = self.shelf.project(&entry).await?;
            let lake = lake_of(manifest.id, backup.lake, &name);
            let replaces = require_free(&self.parts, &name).await?;
            let arrival = Arrival { from: entry.project, name: name.clone(), lake, replaces };
            let rows = self.project(manifest.id, &backup, &arrival).await?;
            self.restored.projects.push(name.to_string());
            arrived.push((arrival, rows));
        }
        // Now that all are there.
        for (arrival, rows) in &arrived {
            self.parts.metadata.relate(arrival, rows).await?;
        }
        Ok(self.restored)
    }

    async fn project(
        &mut self,
        id: BackupId,
        backup: &ProjectBackup,
        arrival: &Arrival,
    ) -> Result<Vec<ArchivedRows>, UseCaseError> {
        let ours = self.parts.metadata.version();
        if backup.metadata_version > ours {
            return Err(BackupError::Later { theirs: backup.metadata_version, ours }.into());
        }
        let rows = rows_of(&self.shelf.read(&backup.metadata).await?, backup)?;
        // What an earlier try left.
        self.remove(arrival.lake).await?;
        match self.put(id, backup, arrival, &rows).await {
            Ok(()) => Ok(rows),
            Err(error) => {
                if let Err(left) = self.remove(arrival.lake).await {
                    tracing::warn!(error = %left, lake = %arrival.lake, "what was restored of a project stays behind");
                }
                Err(error)
            }
        }
    }

    async fn put(
        &mut self,
        id: BackupId,
        backup: &ProjectBackup,
        arrival: &Arrival,
        rows: &[ArchivedRows],
    ) -> Result<(), UseCaseError> {
        let parts = Arc::clone(&self.parts);
        parts.lakes.create(arrival.lake).await?;
        self.data(backup, arrival.lake).await?;
        let catalog = self.shelf.read(&backup.catalog).await?;
        parts.lakes_archive.import(arrival.lake, content(catalog)).await?;
        self.count(backup, arrival.lake).await?;
        self.datasets(backup, arrival.lake).await?;
        let happened = Happened {
            caller: &self.caller,
            project: &arrival.name,
            what: "project.restored",
            data: json!({ "backup_id": id, "snapshot_id": backup.snapshot, "was": backup.project }),
        };
        match parts.metadata.import(arrival, rows, &happened.told(parts.clock.now())).await {
            Err(StoreError::AlreadyExists) => return Err(BackupError::ProjectThere(arrival.name.clone()).into()),
            done => done?,
        }
        if let Some(old) = arrival.replaces
            && let Err(error) = self.remove(old).await
        {
            tracing::warn!(error = %error, lake = %old, "the empty project's lake that was replaced stays behind");
        }
        Ok(())
    }

    async fn data(&mut self, backup: &ProjectBackup, lake: LakeId) -> Result<(), UseCaseError> {
        let folder = Shelf::folder("data", backup.lake)?;
        for some in backup.data.chunks(AT_ONCE) {
            let copies = some.iter().map(|file| self.file(file, &folder, lake));
            for copied in futures_util::future::join_all(copies).await {
                copied?;
            }
            for file in some {
                self.note(file);
            }
        }
        Ok(())
    }

    async fn file(&self, file: &BackedFile, folder: &BackupPath, lake: LakeId) -> Result<(), UseCaseError> {
        let inside = file.path.inside(folder).ok_or_else(|| outside(&file.path))?;
        let (content, sum) = summed(self.shelf.open(&file.path).await?);
        self.parts.lakes_archive.put_file(lake, &path(inside)?, content).await?;
        require_same(file, sum.told())
    }

    /// Counts the rows of all tables in the files that are there now.
    async fn count(&mut self, backup: &ProjectBackup, lake: LakeId) -> Result<(), UseCaseError> {
        let mut counted = self.parts.lakes_archive.count(lake).await?;
        let mut wanted = backup.tables.clone();
        counted.sort();
        wanted.sort();
        if counted != wanted {
            let differs = wanted.iter().find(|table| !counted.contains(table));
            let which = differs.map_or("tables".to_owned(), |table| format!("table {}.{}", table.bucket, table.table));
            return Err(BackupError::Differs(format!("{which} doesn't have the rows it had")).into());
        }
        self.restored.rows += counted.iter().map(|table| table.rows).sum::<u64>();
        Ok(())
    }

    async fn datasets(&mut self, backup: &ProjectBackup, lake: LakeId) -> Result<(), UseCaseError> {
        let store = Arc::clone(&self.parts.objects);
        let illegal = || BackupError::Damaged("a dataset or an object has a name that none can have".to_owned());
        for dataset in &backup.datasets {
            let name = dataset.parsed().ok_or_else(illegal)?;
            store.create_dataset(lake, &name).await.map_err(objects)?;
            for object in &dataset.objects {
                let (named, content_type) = object.parsed().ok_or_else(illegal)?;
                let (content, sum) = summed(self.shelf.open(&object.file.path).await?);
                let options = PutOptions { content_type: Some(content_type), ..PutOptions::default() };
                store.put(lake, &name, &named, content, options).await.map_err(objects)?;
                require_same(&object.file, sum.told())?;
                self.note(&object.file);
            }
        }
        Ok(())
    }

    async fn remove(&self, lake: LakeId) -> Result<(), UseCaseError> {
        self.parts.lakes.remove(lake).await?;
        self.parts.objects.remove_all(lake).await.map_err(objects)?;
        Ok(())
    }

    fn note(&mut self, file: &BackedFile) {
        self.restored.files += 1;
        self.restored.bytes += file.bytes;
        self.running.progress(Progress { percent: None, rows: self.restored.rows, bytes: self.restored.bytes });
    }
}

fn outside(path: &BackupPath) -> UseCaseError {
    BackupError::Damaged(format!("{path} is not among the project's files")).into()
}

/// Fails unless nothing is there by that name: no project, or one whose data is gone. The project `default` is always there, and may
/// be replaced while nothing is in it; then this answers its lake.
pub(super) async fn require_free(parts: &Parts, name: &ProjectId) -> Result<Option<LakeId>, UseCaseError> {
    let Some(found) = parts.store.read().await?.projects().find(name).await? else { return Ok(None) };
    if found.deletion.as_ref().is_some_and(|deletion| deletion.purged_at.is_some()) {
        return Ok(None);
    }
    if found.status == ProjectStatus::Active && *name == ProjectId::default_project() {
        let buckets = parts.lakes.buckets(found.lake, ReadAt::Head).await?;
        let datasets = parts.objects.datasets(found.lake).await.map_err(objects)?;
        if buckets.is_empty() && datasets.is_empty() {
            return Ok(Some(found.lake));
        }
    }
    Err(BackupError::ProjectThere(name.clone()).into())
}

fn rows_of(text: &[u8], backup: &ProjectBackup) -> Result<Vec<ArchivedRows>, UseCaseError> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let parsed = lines.map(serde_json::from_slice).collect::<Result<Vec<ArchivedRows>, _>>();
    let rows = parsed.map_err(|error| BackupError::Damaged(format!("the metadata can't be read: {error}")))?;
    for (table, wanted) in &backup.metadata_rows {
        let there = rows.iter().filter(|rows| rows.table == *table).map(|rows| rows.rows.len() as u64).sum::<u64>();
        if there != *wanted {
            return Err(BackupError::Damaged(format!("{table} has {there} rows instead of {wanted}")).into());
        }
    }
    Ok(rows)
}
