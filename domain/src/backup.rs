//! Backups: what one is made of, and how it is written down.
//!
//! A backup is a folder of documents; the files that they name lie beside, and several backups share them. It counts once its
//! manifest is there, which is written last.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::dataset::{ContentType, DatasetName, ObjectName};
use crate::ids::{LakeId, SnapshotId};
use crate::names::ProjectId;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;
/// Longest path within a target.
const MAX_PATH: usize = 1_500;

/// Names a backup. Ids sort by when backups began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackupId(Uuid);

impl BackupId {
    /// Wraps a freshly minted UUID.
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id of that text; none if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The UUID itself.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a file lies within a target: names with `/` between them, none of which leads out of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BackupPath(String);

/// A path that can't be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a path within a backup has 1 to {MAX_PATH} bytes: plain names with / between them")]
pub struct BackupPathError;

impl BackupPath {
    /// Takes a path.
    pub fn parse(text: &str) -> Result<Self, BackupPathError> {
        let plain = |name: &str| {
            !name.is_empty()
                && name != "."
                && name != ".."
                && !name.contains('\\')
                && !name.chars().any(char::is_control)
        };
        let fits = text.len() <= MAX_PATH && text.split('/').all(plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(BackupPathError) }
    }

    /// The path below a folder.
    pub fn below(folder: &Self, path: &str) -> Result<Self, BackupPathError> {
        Self::parse(&format!("{folder}/{path}"))
    }

    /// What follows a folder's name; none of what isn't in it.
    pub fn inside(&self, folder: &Self) -> Option<&str> {
        self.0.strip_prefix(folder.as_str())?.strip_prefix('/')
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<BackupPath> for String {
    fn from(path: BackupPath) -> Self {
        path.0
    }
}

impl TryFrom<String> for BackupPath {
    type Error = BackupPathError;

    fn try_from(text: String) -> Result<Self, BackupPathError> {
        Self::parse(&text)
    }
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedFile {
    /// Where it lies in the target.
    pub path: BackupPath,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 digest of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A table, and how many rows it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableRows {
    /// Its bucket, as it is spelled.
    pub bucket: String,
    /// Its name, as it is spelled.
    pub table: String,
    /// Rows of its newest version.
    pub rows: u64,
}

/// An object of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedObject {
    /// Its name.
    pub name: String,
    /// What it says it is.
    pub content_type: String,
    /// Its bytes.
    pub file: BackedFile,
}

impl BackedObject {
    /// Its name and type, if they are legal.
    pub fn parsed(&self) -> Option<(ObjectName, ContentType)> {
        Some((ObjectName::parse(&self.name).ok()?, ContentType::parse(&self.content_type).ok()?))
    }
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedDataset {
    /// Its name.
    pub name: String,
    /// Its objects, by name.
    pub objects: Vec<BackedObject>,
}

impl BackedDataset {
    /// Its name, if it is legal.
    pub fn parsed(&self) -> Option<DatasetName> {
        DatasetName::parse(&self.name).ok()
    }
}

/// What a backup has of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectBackup {
    /// The format of this document.
    pub format: u32,
    /// The project.
    pub project: ProjectId,
    /// The lake it was.
    pub lake: LakeId,
    /// The snapshot it stands at.
    pub snapshot: SnapshotId,
    /// Snapshots that can be read, the newest among them.
    pub snapshots: u64,
    /// Tables of the newest version.
    pub tables: Vec<TableRows>,
    /// The catalog, as a DuckLake in a DuckDB file whose data path is `data/{lake}/`.
    pub catalog: BackedFile,
    /// What is kept of the project beside its rows: a JSON document in each line.
    pub metadata: BackedFile,
    /// The version of the metadata's tables.
    pub metadata_version: i64,
    /// Rows of each of these tables.
    pub metadata_rows: BTreeMap<String, u64>,
    /// Data files.
    pub data: Vec<BackedFile>,
    /// Datasets.
    pub datasets: Vec<BackedDataset>,
}

impl ProjectBackup {
    /// All files that it needs.
    pub fn files(&self) -> impl Iterator<Item = &BackedFile> {
        let objects = self.datasets.iter().flat_map(|dataset| dataset.objects.iter().map(|object| &object.file));
        [&self.catalog, &self.metadata].into_iter().chain(&self.data).chain(objects)
    }
}

/// A project in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestProject {
    /// The project.
    pub project: ProjectId,
    /// The snapshot it stands at.
    pub snapshot: SnapshotId,
    /// Bytes of all files it needs.
    pub bytes: u64,
    /// The document that says what there is of it.
    pub document: BackedFile,
}

/// What makes a backup count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of this document.
    pub format: u32,
    /// Which backup.
    pub id: BackupId,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When all was there.
    pub finished_at: DateTime<Utc>,
    /// What made it.
    pub made_by: String,
    /// Its projects.
    pub projects: Vec<ManifestProject>,
    /// Bytes that were not there before.
    pub new_bytes: u64,
}

impl Manifest {
    /// Bytes of all files it needs.
    pub fn bytes(&self) -> u64 {
        self.projects.iter().map(|project| project.bytes).sum()
    }

    /// The project of that name.
    pub fn project(&self, id: &ProjectId) -> Option<&ManifestProject> {
        self.projects.iter().find(|project| project.project == *id)
    }
}

/// Backups that go when so many of each project are kept, oldest first. Each is given with its projects.
pub fn to_prune(backups: &[Manifest], keep: usize) -> Vec<BackupId> {
    let mut newest: Vec<&Manifest> = backups.iter().collect();
    newest.sort_by_key(|backup| std::cmp::Reverse(backup.id));
    let mut seen: BTreeMap<&ProjectId, usize> = BTreeMap::new();
    let mut gone = Vec::new();
    for backup in newest {
        let mut wanted = false;
        for entry in &backup.projects {
            let count = seen.entry(&entry.project).or_default();
            *count += 1;
            wanted |= *count <= keep;
        }
        if !wanted {
            gone.push(backup.id);
        }
    }
    gone.reverse();
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> ProjectId {
        ProjectId::parse(name).unwrap()
    }

    fn backup(number: u128, projects: &[&str]) -> Manifest {
        let file = BackedFile { path: BackupPath::parse("x").unwrap(), bytes: 1, sha256: String::new() };
        let entry = |name: &&str| ManifestProject {
            project: project(name),
            snapshot: SnapshotId::ZERO,
            bytes: 1,
            document: file.clone(),
        };
        Manifest {
            format: FORMAT,
            id: BackupId::new(Uuid::from_u128(number)),
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            made_by: String::new(),
            projects: projects.iter().map(entry).collect(),
            new_bytes: 0,
        }
    }

    #[test]
    fn paths_stay_within_the_target() {
        for text in ["a", "a/b.c", "data/0190/main/ä/x.parquet", "a b/c=d"] {
            assert_eq!(BackupPath::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a/./b", "a\\b", "a\0", "a\nb", &"x/".repeat(1_000)] {
            assert!(BackupPath::parse(text).is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<BackupPath>(r#""../x""#).is_err());
        let folder = BackupPath::parse("data/l").unwrap();
        assert_eq!(BackupPath::parse("data/l/m/x").unwrap().inside(&folder), Some("m/x"));
        assert_eq!(BackupPath::parse("data/la/x").unwrap().inside(&folder), None);
    }

    #[test]
    fn the_newest_of_each_project_stay() {
        let all = [backup(1, &["a", "b"]), backup(2, &["a"]), backup(3, &["a"]), backup(4, &["b"])];
        let gone = |keep| to_prune(&all, keep).iter().map(|id| id.0.as_u128()).collect::<Vec<_>>();
        assert_eq!(gone(1), [1, 2]);
        assert_eq!(gone(2), [] as [u128; 0], "the first has the second newest of b");
        assert_eq!(gone(9), [] as [u128; 0]);
    }
}
