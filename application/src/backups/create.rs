//! Making a backup: project by project, and the manifest at last.
//!
//! Of a project, metadata comes first and the catalog second: what the metadata lacks of the catalog's last commits is copied
//! into it from these when the project is used, as after a crash. Data files follow; while an operation of this kind runs,
//! maintenance removes none. Datasets come last, each object as it is by then.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gadwall_domain::backup::{
    BackedDataset, BackedFile, BackedObject, BackupId, BackupPath, FORMAT, Manifest, ManifestProject, ProjectBackup,
};
use gadwall_domain::error::Classify as _;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::Progress;
use gadwall_domain::ports::backup::{ArchiveError, ArchiveReader, LakeFile, TargetError};
use gadwall_domain::ports::objects::{Content, ContentError, MAX_OBJECTS_LISTED, ObjectQuery};
use gadwall_domain::project::Project;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::error::objects;
use super::shelf::{Shelf, path};
use super::sums::sum_of;
use super::{AT_ONCE, BackupError, Parts};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::happened::Happened;
use crate::operations::Running;

/// What a backup became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Which backup.
    pub backup_id: BackupId,
    /// Its projects.
    pub projects: u64,
    /// Bytes of all files it needs.
    pub bytes: u64,
    /// Bytes that were not there before.
    pub new_bytes: u64,
    /// Files that were there before.
    pub files_there: u64,
    /// Files that were copied.
    pub files_copied: u64,
    /// Projects that are not in it, with the code of why.
    pub failed: BTreeMap<String, &'static str>,
}

/// A backup that is being made.
pub(super) struct Making {
    pub(super) parts: Arc<Parts>,
    pub(super) shelf: Shelf,
    pub(super) caller: Caller,
    pub(super) running: Running,
    pub(super) made: Made,
}

/// What is in the target already, of a project.
struct There {
    sizes: HashMap<BackupPath, u64>,
    known: HashMap<BackupPath, BackedFile>,
}

impl Making {
    pub(super) fn new(parts: Arc<Parts>, shelf: Shelf, caller: Caller, running: Running) -> Self {
        let made = Made {
            backup_id: BackupId::new(parts.ids.next_id()),
            projects: 0,
            bytes: 0,
            new_bytes: 0,
            files_there: 0,
            files_copied: 0,
            failed: BTreeMap::new(),
        };
        Self { parts, shelf, caller, running, made }
    }

    /// Backs projects up. One that can't be is left out and told, unless there is no other.
    pub(super) async fn carry_out(mut self, projects: Vec<Project>) -> Result<Made, UseCaseError> {
        let started_at = self.parts.clock.now();
        let mut entries: Vec<ManifestProject> = Vec::new();
        let all = projects.len();
        let earlier = self.shelf.list().await?;
        for project in &projects {
            let mut done = self.project(project, &earlier).await;
            if matches!(
                done,
                Err(UseCaseError::Backup(BackupError::Archive(ArchiveError::Files { .. })) | UseCaseError::Lake(_))
            ) {
                // Rows that were erased for good take their files with them at once. What is there by now can be copied.
                done = self.project(project, &earlier).await;
            }
            match done {
                Ok(entry) => entries.push(entry),
                // Nothing can be kept any more, whichever project it is of.
                Err(error @ UseCaseError::Backup(BackupError::Target(_))) => {
                    self.failed(&project.id, &error).await?;
                    return Err(error);
                }
                Err(error) if all == 1 => {
                    self.failed(&project.id, &error).await?;
                    return Err(error);
                }
                Err(error) => self.failed(&project.id, &error).await?,
            }
        }
        if entries.is_empty() {
            return Err(BackupError::AllFailed(all).into());
        }
        self.made.projects = entries.len() as u64;
        self.made.bytes = entries.iter().map(|entry| entry.bytes).sum();
        let manifest = Manifest {
            format: FORMAT,
            id: self.made.backup_id,
            started_at,
            finished_at: self.parts.clock.now(),
            made_by: self.parts.made_by.clone(),
            projects: entries,
            new_bytes: self.made.new_bytes,
        };
        self.shelf.finish(&manifest).await?;
        for entry in &manifest.projects {
            let told = json!({ "backup_id": manifest.id, "snapshot_id": entry.snapshot, "bytes": entry.bytes });
            self.tell(&entry.project, "backup.completed", told).await?;
        }
        Ok(self.made)
    }

    async fn failed(&mut self, project: &ProjectId, error: &UseCaseError) -> Result<(), UseCaseError> {
        tracing::error!(error = ?error, project = %project, "a project was not backed up");
        self.made.failed.insert(project.to_string(), error.code());
        let told = json!({ "backup_id": self.made.backup_id, "code": error.code() });
        self.tell(project, "backup.failed", told).await
    }

    /// Tells what became of a project's backup.
    async fn tell(&self, project: &ProjectId, what: &'static str, data: Value) -> Result<(), UseCaseError> {
        let happened = Happened { caller: &self.caller, project, what, data };
        Ok(happened.tell(&*self.parts.store, self.parts.clock.now()).await?)
    }

    async fn project(&mut self, project: &Project, earlier: &[Manifest]) -> Result<ManifestProject, UseCaseError> {
        let parts = Arc::clone(&self.parts);
        let home = format!("{}/{}", Shelf::home(self.made.backup_id), project.id.folded());
        let (rows, metadata) = self.metadata(project, &path(&format!("{home}/metadata.jsonl"))?).await?;
        let copy = parts.lakes_archive.export(project.lake).await?;
        let catalog = self.shelf.put(&path(&format!("{home}/catalog.ducklake"))?, copy.content).await?;
        self.note(&catalog, true);

        let folder = Shelf::folder("data", project.lake)?;
        let there = self.there(project, earlier).await?;
        let mut data = Vec::with_capacity(copy.files.len());
        for some in copy.files.chunks(AT_ONCE) {
            let copies = some.iter().map(|file| self.file(project, file, &folder, &there));
            for copied in futures_util::future::join_all(copies).await {
                let (file, is_new) = copied?;
                self.note(&file, is_new);
                data.push(file);
            }
        }
        let datasets = self.datasets(project, &there).await?;
        let backup = ProjectBackup {
            format: FORMAT,
            project: project.id.clone(),
            lake: project.lake,
            snapshot: copy.contents.head,
            snapshots: copy.contents.snapshots,
            tables: copy.contents.tables,
            catalog,
            metadata,
            metadata_version: parts.metadata.version(),
            metadata_rows: rows,
            data,
            datasets,
        };
        let bytes = backup.files().map(|file| file.bytes).sum();
        let document = self.shelf.put_document(&path(&format!("{home}/project.json"))?, &backup).await?;
        Ok(ManifestProject { project: project.id.clone(), snapshot: backup.snapshot, bytes, document })
    }

    async fn file(
        &self,
        project: &Project,
        file: &LakeFile,
        folder: &BackupPath,
        there: &There,
    ) -> Result<(BackedFile, bool), UseCaseError> {
        let place = path(&format!("{folder}/{}", file.path))?;
        let open = || async { Ok(self.parts.lakes_archive.open_file(project.lake, &file.path).await?) };
        ensure(&self.shelf, there, place, file.bytes, open).await
    }

    async fn there(&self, project: &Project, earlier: &[Manifest]) -> Result<There, UseCaseError> {
        let mut sizes = self.shelf.sizes(&Shelf::folder("data", project.lake)?).await?;
        sizes.extend(self.shelf.sizes(&Shelf::folder("objects", project.lake)?).await?);
        // Of nothing, nothing is known.
        let known = if sizes.is_empty() { HashMap::new() } else { self.shelf.known(earlier, &project.id).await? };
        Ok(There { sizes, known })
    }

    /// Writes the project's metadata, page by page; answers how many rows there are of each table.
    async fn metadata(
        &mut self,
        project: &Project,
        place: &BackupPath,
    ) -> Result<(BTreeMap<String, u64>, BackedFile), UseCaseError> {
        let reader = self.parts.metadata.export(&project.id).await?;
        let counted = Arc::new(std::sync::Mutex::new(BTreeMap::new()));
        let file = self.shelf.put(place, lines(reader, Arc::clone(&counted))).await?;
        self.note(&file, true);
        let rows = counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Ok((rows, file))
    }

    async fn datasets(&mut self, project: &Project, there: &There) -> Result<Vec<BackedDataset>, UseCaseError> {
        let (store, lake) = (Arc::clone(&self.parts.objects), project.lake);
        let folder = Shelf::folder("objects", lake)?;
        let mut all = Vec::new();
        for dataset in store.datasets(lake).await.map_err(objects)? {
            let mut query = ObjectQuery { limit: MAX_OBJECTS_LISTED, ..ObjectQuery::default() };
            let mut backed = BackedDataset { name: dataset.as_str().to_owned(), objects: Vec::new() };
            loop {
                let page = store.list(lake, &dataset, &query).await.map_err(objects)?;
                for listed in &page {
                    // One version, whatever is put meanwhile. One that is gone by now is no part of the backup.
                    let Ok(opened) = store.get(lake, &dataset, &listed.name).await else { continue };
                    let info = opened.info().clone();
                    let size = info.size;
                    let version = format!("{}\0{}\0{}", dataset.folded(), info.name, info.etag.as_str());
                    let place = path(&format!("{folder}/{}", hex::encode(Sha256::digest(version))))?;
                    let open = move || async move { opened.read(0..size).await.map_err(objects) };
                    let (file, copied) = ensure(&self.shelf, there, place, size, open).await?;
                    self.note(&file, copied);
                    let content_type = info.content_type.as_str().to_owned();
                    backed.objects.push(BackedObject { name: info.name.as_str().to_owned(), content_type, file });
                }
                match page.last() {
                    Some(last) => query.after = Some(last.name.clone()),
                    None => break,
                }
            }
            all.push(backed);
        }
        Ok(all)
    }

    fn note(&mut self, file: &BackedFile, copied: bool) {
        if copied {
            self.made.files_copied += 1;
            self.made.new_bytes += file.bytes;
        } else {
            self.made.files_there += 1;
        }
        self.made.bytes += file.bytes;
        self.running.progress(Progress { percent: None, rows: 0, bytes: self.made.bytes });
    }
}

/// Makes sure that a file is in the target: one that is there with the same size isn't copied again. Answers it, and whether it was
/// copied.
async fn ensure<F, W>(
    shelf: &Shelf,
    there: &There,
    place: BackupPath,
    bytes: u64,
    open: F,
) -> Result<(BackedFile, bool), UseCaseError>
where
    F: FnOnce() -> W,
    W: Future<Output = Result<Content, UseCaseError>>,
{
    if there.sizes.get(&place) == Some(&bytes) {
        if let Some(known) = there.known.get(&place).filter(|known| known.bytes == bytes) {
            return Ok((known.clone(), false));
        }
        // A backup that broke off put it there: what it should be is told by what it was made of.
        let (bytes, sha256) = sum_of(open().await?).await.map_err(TargetError::from)?;
        return Ok((BackedFile { path: place, bytes, sha256 }, false));
    }
    let file = shelf.put(&place, open().await?).await?;
    if file.bytes != bytes {
        return Err(BackupError::Differs(format!("{place} has {} bytes instead of {bytes}", file.bytes)).into());
    }
    Ok((file, true))
}

/// Pages of rows as lines of JSON, counted as they pass.
fn lines(reader: Box<dyn ArchiveReader>, counted: Arc<std::sync::Mutex<BTreeMap<String, u64>>>) -> Content {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| ContentError::Fault(error);
    let next = move |mut reader: Box<dyn ArchiveReader>| {
        let counted = Arc::clone(&counted);
        async move {
            let Some(rows) = reader.next().await.map_err(|error| failed(Box::new(error)))? else { return Ok(None) };
            *counted
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .entry(rows.table.clone())
                .or_default() += rows.rows.len() as u64;
            let mut line = serde_json::to_vec(&rows).map_err(|error| failed(Box::new(error)))?;
            line.push(b'\n');
            Ok(Some((line.into(), reader)))
        }
    };
    Box::pin(futures_util::stream::try_unfold(reader, next))
}
