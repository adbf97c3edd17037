//! Which version of a project a caller means.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::TagName;
use gadwall_domain::ports::lake::LakeHistory;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::project::Project;

use crate::error::UseCaseError;

/// A version, as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Version {
    /// The newest.
    #[default]
    Head,
    /// A snapshot.
    Snapshot(SnapshotId),
    /// What was the newest at a time.
    AsOf(DateTime<Utc>),
    /// A snapshot that was given a name.
    Tag(TagName),
}

/// Finds the snapshots that versions mean.
pub struct Versions {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn LakeHistory>,
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Versions")
    }
}

impl Versions {
    /// Looks in these stores.
    pub fn new(store: Arc<dyn MetadataStore>, lakes: Arc<dyn LakeHistory>) -> Self {
        Self { store, lakes }
    }

    /// What to read for a version; fails when there is no such version, or it is no longer kept.
    pub(crate) async fn resolve(&self, project: &Project, version: &Version) -> Result<ReadAt, UseCaseError> {
        Ok(match version {
            Version::Head => ReadAt::Head,
            named => ReadAt::Snapshot(self.snapshot(project, named).await?),
        })
    }

    async fn snapshot(&self, project: &Project, version: &Version) -> Result<SnapshotId, UseCaseError> {
        let missing = |asked: String| UseCaseError::NoSnapshot { project: project.id.clone(), snapshot: asked };
        let (found, asked) = match version {
            Version::Head => (None, "now".to_owned()),
            Version::Snapshot(snapshot) => (Some(*snapshot), snapshot.to_string()),
            Version::AsOf(time) => {
                let asked = format!("as of {}", time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
                (self.lakes.snapshot_at(project.lake, *time).await?, asked)
            }
            Version::Tag(tag) => {
                let mut tx = self.store.read().await?;
                let found = tx.tags().find(&project.id, tag).await?;
                let found =
                    found.ok_or_else(|| UseCaseError::NoTag { project: project.id.clone(), tag: tag.clone() })?;
                (Some(found.snapshot), format!("of tag {tag}"))
            }
        };
        let snapshot = found.ok_or_else(|| missing(asked.clone()))?;
        let kept = self.lakes.snapshot(project.lake, snapshot).await?;
        kept.map(|commit| commit.snapshot).ok_or_else(|| missing(asked))
    }
}
