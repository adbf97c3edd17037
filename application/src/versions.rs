//! Which version of a project a caller means.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::TagName;
use gadwall_domain::ports::lake::{LakeHistory, SnapshotFilter};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::project::Project;
use tokio::time::{Instant, sleep_until};

use crate::error::UseCaseError;

/// How soon it is looked again whether a snapshot is there; then less and less often.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The longest between two looks.
const LOOK_AT_LEAST: Duration = Duration::from_millis(250);

/// A version, as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Version {
    /// The newest.
    #[default]
    Head,
    /// The newest, once it is this snapshot or a later one.
    AtLeast {
        /// Which.
        snapshot: SnapshotId,
        /// The longest wait for it.
        wait: Duration,
    },
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
            Version::AtLeast { snapshot, wait } => {
                self.await_snapshot(project, *snapshot, Instant::now() + *wait).await?;
                ReadAt::Head
            }
            named => ReadAt::Snapshot(self.snapshot(project, named).await?),
        })
    }

    /// Waits until a snapshot or a later one is there.
    async fn await_snapshot(
        &self,
        project: &Project,
        wanted: SnapshotId,
        deadline: Instant,
    ) -> Result<(), UseCaseError> {
        let mut pause = LOOK_AGAIN;
        loop {
            let newest = SnapshotFilter { before: None, table: None, limit: 1 };
            let newest = self.lakes.snapshots(project.lake, newest).await?;
            let newest = newest.first().map_or(SnapshotId::ZERO, |commit| commit.snapshot);
            if newest >= wanted {
                return Ok(());
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(UseCaseError::NotReached { project: project.id.clone(), wanted, newest });
            }
            sleep_until(deadline.min(now + pause)).await;
            pause = (pause * 2).min(LOOK_AT_LEAST);
        }
    }

    async fn snapshot(&self, project: &Project, version: &Version) -> Result<SnapshotId, UseCaseError> {
        let missing = |asked: String| UseCaseError::NoSnapshot { project: project.id.clone(), snapshot: asked };
        let (found, asked) = match version {
            Version::Head | Version::AtLeast { .. } => (None, "now".to_owned()),
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
