//! What is in a target: where its documents lie, and how they are read and written.

use std::sync::Arc;

use gadwall_domain::backup::{
    BackedFile, BackupId, BackupPath, FORMAT, Manifest, ManifestProject, ProjectBackup, to_prune,
};
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::backup::{BackupTarget, CatalogReader, TargetError};
use gadwall_domain::ports::objects::Content;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::sums::{content, sum_of, summed, whole};
use super::{AT_ONCE, BackupError};
use crate::error::UseCaseError;

/// The folder of the backups' own documents.
const BACKUPS: &str = "backups";
/// Makes a backup count.
const MANIFEST: &str = "manifest.json";
/// Largest document that is read.
const MAX_DOCUMENT: u64 = 1 << 30;

/// Where backups are kept, as documents and files.
#[derive(Clone)]
pub struct Shelf {
    target: Arc<dyn BackupTarget>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

/// What a look through a backup found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Which backup.
    pub backup_id: BackupId,
    /// Its projects.
    pub projects: u64,
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of all tables, as the catalogs count them.
    pub rows: u64,
    /// What is wrong; nothing, if all is well. At most 100 are told.
    pub findings: Vec<String>,
}

/// What was pruned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Pruned {
    /// Backups that are gone.
    pub backups: Vec<BackupId>,
    /// Files that no backup needed any more.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

pub(super) fn path(text: &str) -> Result<BackupPath, UseCaseError> {
    Ok(BackupPath::parse(text).map_err(|error| BackupError::Damaged(error.to_string()))?)
}

impl Shelf {
    /// In this target.
    pub fn new(target: Arc<dyn BackupTarget>) -> Self {
        Self { target }
    }

    /// The folder of a backup's document.
    pub(super) fn home(id: BackupId) -> String {
        format!("{BACKUPS}/{id}")
    }

    /// The folder of what is a lake's: its data files, or its objects.
    pub(super) fn folder(kind: &str, lake: LakeId) -> Result<BackupPath, UseCaseError> {
        path(&format!("{kind}/{}", lake.uuid().simple()))
    }

    /// Keeps a file; answers what it was.
    pub(super) async fn put(&self, path: &BackupPath, content: Content) -> Result<BackedFile, UseCaseError> {
        let (content, sum) = summed(content);
        self.target.put(path, content).await?;
        let (bytes, sha256) = sum.told();
        Ok(BackedFile { path: path.clone(), bytes, sha256 })
    }

    pub(super) async fn put_document<T: Serialize + Sync>(
        &self,
        path: &BackupPath,
        document: &T,
    ) -> Result<BackedFile, UseCaseError> {
        let text = serde_json::to_vec(document).map_err(|error| BackupError::Damaged(error.to_string()))?;
        self.put(path, content(text)).await
    }

    /// Keeps a manifest: from now on the backup counts.
    pub(super) async fn finish(&self, manifest: &Manifest) -> Result<(), UseCaseError> {
        let place = path(&format!("{}/{MANIFEST}", Self::home(manifest.id)))?;
        self.put_document(&place, manifest).await.map(drop)
    }

    pub(super) async fn open(&self, path: &BackupPath) -> Result<Content, UseCaseError> {
        Ok(self.target.open(path).await?)
    }

    /// A file's bytes, which are as they were written.
    pub(super) async fn read(&self, file: &BackedFile) -> Result<Vec<u8>, UseCaseError> {
        let (content, sum) = summed(self.target.open(&file.path).await?);
        let all = whole(content, MAX_DOCUMENT).await.map_err(TargetError::from)?;
        require_same(file, sum.told())?;
        Ok(all)
    }

    /// Sizes of all files below a folder.
    pub(super) async fn sizes(&self, folder: &BackupPath) -> Result<HashMap<BackupPath, u64>, UseCaseError> {
        Ok(self.target.list(folder).await?.into_iter().map(|file| (file.path, file.bytes)).collect())
    }

    /// All backups, oldest first.
    pub async fn list(&self) -> Result<Vec<Manifest>, UseCaseError> {
        let mut found = Vec::new();
        for file in self.target.list(&path(BACKUPS)?).await? {
            let inside = file.path.as_str().strip_prefix("backups/").unwrap_or_default();
            let Some((id, MANIFEST)) = inside.split_once('/') else { continue };
            if let Some(id) = BackupId::parse(id) {
                found.push(self.manifest(id).await?);
            }
        }
        found.sort_by_key(|manifest| manifest.id);
        Ok(found)
    }

    async fn manifest(&self, id: BackupId) -> Result<Manifest, UseCaseError> {
        let place = path(&format!("{}/{MANIFEST}", Self::home(id)))?;
        let content = match self.target.open(&place).await {
            Err(TargetError::Missing(_)) => return Err(BackupError::NoBackup(id.to_string()).into()),
            content => content?,
        };
        let all = whole(content, MAX_DOCUMENT).await.map_err(TargetError::from)?;
        let manifest: Manifest = parsed(&all, &place)?;
        if manifest.id == id {
            Ok(manifest)
        } else {
            Err(BackupError::Damaged(format!("{place} is of another backup")).into())
        }
    }

    /// A backup by its id, or by `latest`.
    pub async fn find(&self, name: &str) -> Result<Manifest, UseCaseError> {
        let missing = || BackupError::NoBackup(name.chars().take(64).collect());
        if name == "latest" {
            return Ok(self.list().await?.pop().ok_or_else(missing)?);
        }
        self.manifest(BackupId::parse(name).ok_or_else(missing)?).await
    }

    /// What a backup has of a project.
    pub(super) async fn project(&self, entry: &ManifestProject) -> Result<ProjectBackup, UseCaseError> {
        let backup: ProjectBackup = parsed(&self.read(&entry.document).await?, &entry.document.path)?;
        if backup.project == entry.project {
            Ok(backup)
        } else {
            Err(BackupError::Damaged("a document is of another project".to_owned()).into())
        }
    }

    /// What is known of files of a project that lie in the target, from the newest of these backups that has it.
    pub(super) async fn known(
        &self,
        backups: &[Manifest],
        id: &ProjectId,
    ) -> Result<HashMap<BackupPath, BackedFile>, UseCaseError> {
        let found = backups.iter().rev().find_map(|manifest| manifest.project(id));
        let Some(entry) = found else { return Ok(HashMap::new()) };
        let files: Vec<BackedFile> = self.project(entry).await?.files().cloned().collect();
        Ok(files.into_iter().map(|file| (file.path.clone(), file)).collect())
    }

    /// Reads all of a backup, and looks whether it is as it was written: each file's size and checksum, and whether catalogs name
    /// the files and count the rows that there are. `seen` hears of each file's bytes.
    pub async fn verify(
        &self,
        manifest: &Manifest,
        catalogs: &dyn CatalogReader,
        mut seen: impl FnMut(u64) + Send,
    ) -> Result<Verified, UseCaseError> {
        const TOLD: usize = 100;
        let mut told =
            Verified { backup_id: manifest.id, projects: 0, files: 0, bytes: 0, rows: 0, findings: Vec::new() };
        for entry in &manifest.projects {
            told.projects += 1;
            let backup = match self.project(entry).await {
                Err(UseCaseError::Backup(error)) => {
                    told.findings.push(format!("{}: {error}", entry.project));
                    continue;
                }
                backup => backup?,
            };
            let files: BTreeMap<&BackupPath, &BackedFile> = backup.files().map(|file| (&file.path, file)).collect();
            let files: Vec<&BackedFile> = files.into_values().collect();
            for some in files.chunks(AT_ONCE) {
                for (file, finding) in futures_util::future::join_all(some.iter().map(|file| self.look(file))).await {
                    told.files += 1;
                    told.bytes += file.bytes;
                    seen(file.bytes);
                    told.findings.extend(finding?);
                }
            }
            told.rows += backup.tables.iter().map(|table| table.rows).sum::<u64>();
            told.findings.extend(self.compare(&backup, catalogs).await?);
            told.findings.truncate(TOLD);
        }
        Ok(told)
    }

    /// Reads a file; tells what is wrong with it.
    async fn look<'f>(&self, file: &'f BackedFile) -> (&'f BackedFile, Result<Option<String>, UseCaseError>) {
        let looked = async {
            let content = match self.target.open(&file.path).await {
                Err(TargetError::Missing(path)) => return Ok(Some(format!("{path} is missing"))),
                content => content?,
            };
            let sum = sum_of(content).await.map_err(TargetError::from)?;
            Ok(require_same(file, sum).err().map(|error| error.to_string()))
        };
        (file, looked.await)
    }

    /// What a catalog says that the backup's document doesn't.
    async fn compare(&self, backup: &ProjectBackup, catalogs: &dyn CatalogReader) -> Result<Vec<String>, UseCaseError> {
        let project = &backup.project;
        let content = match self.target.open(&backup.catalog.path).await {
            // Told already.
            Err(TargetError::Missing(_)) => return Ok(Vec::new()),
            content => content?,
        };
        let contents = match catalogs.inspect(content).await {
            Err(error) => return Ok(vec![format!("{project}: {error}")]),
            Ok(contents) => contents,
        };
        let mut findings = Vec::new();
        if (contents.head, contents.snapshots) != (backup.snapshot, backup.snapshots) {
            findings
                .push(format!("{project}: the catalog stands at snapshot {}, not {}", contents.head, backup.snapshot));
        }
        if contents.tables != backup.tables {
            findings.push(format!("{project}: the catalog counts other rows than the backup's document"));
        }
        let name = |file: &BackedFile| file.path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        let there: HashMap<String, u64> = backup.data.iter().map(|file| (name(file), file.bytes)).collect();
        for (name, bytes) in &contents.files {
            if there.get(name) != Some(bytes) {
                findings.push(format!(
                    "{project}: the catalog names {name} with {bytes} bytes, which the backup doesn't have"
                ));
            }
        }
        Ok(findings)
    }

    /// Removes all backups but the newest so many of each project, what was never finished, and files that none needs.
    pub(super) async fn prune(&self, keep: usize) -> Result<Pruned, UseCaseError> {
        let all = self.list().await?;
        let gone = to_prune(&all, keep);
        let kept: Vec<&Manifest> = all.iter().filter(|manifest| !gone.contains(&manifest.id)).collect();
        // First all that is needed: a document that can't be read ends this before anything is removed.
        let mut needed = BTreeSet::new();
        for entry in kept.iter().flat_map(|manifest| &manifest.projects) {
            needed.extend(self.project(entry).await?.files().map(|file| file.path.clone()));
        }
        let mut pruned = Pruned { backups: gone.clone(), ..Pruned::default() };
        for id in &gone {
            // Without its manifest it doesn't count any more.
            self.target.remove(&path(&format!("{}/{MANIFEST}", Self::home(*id)))?).await?;
        }
        let kept: BTreeSet<String> = kept.iter().map(|manifest| Self::home(manifest.id)).collect();
        for folder in [BACKUPS, "data", "objects"] {
            for file in self.target.list(&path(folder)?).await? {
                let home = file.path.as_str().splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
                if needed.contains(&file.path) || folder == BACKUPS && kept.contains(&home) {
                    continue;
                }
                self.target.remove(&file.path).await?;
                pruned.files += 1;
                pruned.bytes += file.bytes;
            }
        }
        Ok(pruned)
    }
}

/// Fails unless a file's bytes are those that were written.
pub(super) fn require_same(file: &BackedFile, (bytes, sha256): (u64, String)) -> Result<(), UseCaseError> {
    if bytes != file.bytes {
        return Err(BackupError::Damaged(format!("{} has {bytes} bytes instead of {}", file.path, file.bytes)).into());
    }
    if sha256 != file.sha256 {
        return Err(BackupError::Damaged(format!("the bytes of {} are not those that were written", file.path)).into());
    }
    Ok(())
}

fn parsed<T: DeserializeOwned>(text: &[u8], path: &BackupPath) -> Result<T, UseCaseError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error: serde_json::Error| BackupError::Damaged(format!("{path} can't be read: {error}"));
    let Format { format } = serde_json::from_slice(text).map_err(damaged)?;
    if format != FORMAT {
        return Err(BackupError::Format(format).into());
    }
    Ok(serde_json::from_slice(text).map_err(damaged)?)
}
