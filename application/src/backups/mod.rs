//! Backups of projects: made beside writes, verified, pruned, and restored. Each is an operation.
//!
//! Operations on backups are of the project `default`, which is always there; which projects they work on is told by the backup.

mod create;
mod error;
mod restore;
mod shelf;
mod sums;

use std::fmt;
use std::sync::Arc;

use gadwall_domain::backup::Manifest;
use gadwall_domain::ids::OperationId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationKind, Progress};
use gadwall_domain::ports::backup::{CatalogReader, LakeArchive, MetadataArchive};
use gadwall_domain::ports::lake::LakeStore;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::operations::{Operations, Running};
use crate::projects::{default_project, in_use};

pub use create::Made;
pub use error::BackupError;
pub use restore::Restored;
pub use shelf::{Pruned, Shelf, Verified};

use create::Making;
use restore::{Restoring, require_free};

/// What an operation does with the backups, as its subject says.
const CREATE: &str = "create";
const VERIFY: &str = "verify";
const PRUNE: &str = "prune";
const RESTORE: &str = "restore";

/// Whether an operation makes a backup: as long as it does, no project's snapshots end and no data files are removed.
pub(crate) fn is_backup(operation: &Operation) -> bool {
    operation.kind == OperationKind::Backup && operation.subject == CREATE
}

/// Files that are copied or read at the same time.
const AT_ONCE: usize = 4;

/// What backups work on.
pub struct Parts {
    /// Projects, events.
    pub store: Arc<dyn MetadataStore>,
    /// Copies metadata.
    pub metadata: Arc<dyn MetadataArchive>,
    /// The lakes.
    pub lakes: Arc<dyn LakeStore>,
    /// Copies lakes.
    pub lakes_archive: Arc<dyn LakeArchive>,
    /// Looks into copies.
    pub catalogs: Arc<dyn CatalogReader>,
    /// Datasets.
    pub objects: Arc<dyn ObjectStorage>,
    /// Where backups are kept, if anywhere.
    pub shelf: Option<Shelf>,
    /// What it all runs as.
    pub operations: Arc<Operations>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdGenerator>,
    /// Who makes backups: the program and its version.
    pub made_by: String,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl Parts {
    /// The first operation under way that this one can't run beside: whatever removes files is alone, and so are two of a kind.
    async fn in_the_way(&self, what: &str, before: Option<OperationId>) -> Result<Option<Operation>, UseCaseError> {
        let unfinished = self.operations.unfinished().await?;
        let clashes = |other: &Operation| {
            matches!(other.kind, OperationKind::Backup | OperationKind::Restore)
                && (other.subject == what || other.subject == PRUNE || what == PRUNE)
                && before.is_none_or(|own| other.id < own)
        };
        Ok(unfinished.into_iter().find(clashes))
    }

    fn shelf(&self) -> Result<Shelf, UseCaseError> {
        Ok(self.shelf.clone().ok_or(BackupError::NoTarget)?)
    }
}

/// The use cases of backups. All are an admin's.
#[derive(Debug)]
pub struct Backups {
    parts: Arc<Parts>,
}

impl Backups {
    /// Keeps backups of these.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// All backups, oldest first.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Manifest>, UseCaseError> {
        caller.require_admin()?;
        self.parts.shelf()?.list().await
    }

    /// Begins a backup of these projects; of all that are in use, if none is named.
    #[tracing::instrument(skip_all)]
    pub async fn create(&self, caller: &Caller, projects: Vec<ProjectId>) -> Result<Operation, UseCaseError> {
        caller.require_admin()?;
        let kept_in = self.parts.shelf()?;
        let projects = in_use(&*self.parts.store, projects).await?;
        let (parts, by) = (Arc::clone(&self.parts), caller.clone());
        let work = move |running| async move {
            let made = Making::new(parts, kept_in, by, running).carry_out(projects).await?;
            Ok(json!(made))
        };
        self.start(caller, OperationKind::Backup, CREATE, work).await
    }

    /// Begins to read a backup, to see whether it is whole.
    pub async fn verify(&self, caller: &Caller, backup: &str) -> Result<Operation, UseCaseError> {
        caller.require_admin()?;
        let kept_in = self.parts.shelf()?;
        let manifest = kept_in.find(backup).await?;
        let parts = Arc::clone(&self.parts);
        let work = move |running: Running| async move {
            let mut read = 0;
            let seen = |bytes| {
                read += bytes;
                running.progress(Progress { percent: None, rows: 0, bytes: read });
            };
            Ok(json!(kept_in.verify(&manifest, &*parts.catalogs, seen).await?))
        };
        self.start(caller, OperationKind::Backup, VERIFY, work).await
    }

    /// Begins to remove all backups but the newest so many of each project, and files that no backup needs.
    #[tracing::instrument(skip_all)]
    pub async fn prune(&self, caller: &Caller, keep: usize) -> Result<Operation, UseCaseError> {
        caller.require_admin()?;
        let kept_in = self.parts.shelf()?;
        let work = move |_| async move { Ok(json!(kept_in.prune(keep.max(1)).await?)) };
        self.start(caller, OperationKind::Backup, PRUNE, work).await
    }

    /// Begins to make projects of a backup: one of them, perhaps under another name, or all.
    #[tracing::instrument(skip_all)]
    pub async fn restore(
        &self,
        caller: &Caller,
        backup: &str,
        project: Option<ProjectId>,
        name: Option<ProjectId>,
    ) -> Result<Operation, UseCaseError> {
        caller.require_admin()?;
        let kept_in = self.parts.shelf()?;
        let manifest = kept_in.find(backup).await?;
        let mut wanted = match project {
            None => manifest.projects.clone(),
            Some(project) => match manifest.project(&project) {
                Some(entry) => vec![entry.clone()],
                None => return Err(BackupError::NotInBackup { backup: manifest.id.to_string(), project }.into()),
            },
        };
        // A new installation has a default project of its own, which is left as it is unless it is asked for.
        if wanted.len() > 1 && name.is_none() {
            let own = ProjectId::default_project();
            if require_free(&self.parts, &own).await.is_err() {
                wanted.retain(|entry| entry.project != own);
            }
        }
        let wanted = match (name, wanted.len()) {
            (Some(name), 1) => wanted.into_iter().map(|entry| (entry, name.clone())).collect::<Vec<_>>(),
            (Some(_), _) => return Err(BackupError::OneName.into()),
            (None, _) => wanted.into_iter().map(|entry| (entry.clone(), entry.project)).collect(),
        };
        for (_, name) in &wanted {
            require_free(&self.parts, name).await?;
        }
        let (parts, by) = (Arc::clone(&self.parts), caller.clone());
        let work = move |running| async move {
            let restoring = Restoring::new(parts, kept_in, by, running, manifest.id);
            Ok(json!(restoring.carry_out(&manifest, wanted).await?))
        };
        self.start(caller, OperationKind::Restore, RESTORE, work).await
    }

    async fn start<F, W>(
        &self,
        caller: &Caller,
        kind: OperationKind,
        what: &'static str,
        work: F,
    ) -> Result<Operation, UseCaseError>
    where
        F: FnOnce(Running) -> W + Send + 'static,
        W: Future<Output = Result<Value, UseCaseError>> + Send + 'static,
    {
        let running = |other: Operation| BackupError::AlreadyRunning { operation: other.id.to_string() };
        if let Some(other) = self.parts.in_the_way(what, None).await? {
            return Err(running(other).into());
        }
        let project = default_project(&*self.parts.store).await?;
        let parts = Arc::clone(&self.parts);
        let alone = move |live: Running| async move {
            // Of two that began at once, on whichever servers, the second sees the first.
            if let Some(other) = parts.in_the_way(what, Some(live.id())).await? {
                return Err(running(other).into());
            }
            work(live).await
        };
        Ok(self.parts.operations.start(caller, &project, kind, what.to_owned(), alone).await?.operation)
    }
}
