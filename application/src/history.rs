//! A project's past: its snapshots, names for them, and dropped tables.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::commit::Commit;
use gadwall_domain::history::Tag;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, ProjectId, TagName};
use gadwall_domain::ports::lake::{DroppedTable, Lake, SnapshotFilter};
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::table::TableRef;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::maintenance::ends;

/// Longest description of a tag, in characters.
const MAX_DESCRIPTION: usize = 1_000;
/// Most tags of a project: each keeps files from being removed.
const MAX_TAGS: usize = 1_000;

/// The use cases of a project's past.
pub struct History {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("History")
    }
}

/// A page of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPage {
    /// Newest first.
    pub snapshots: Vec<Commit>,
    /// Where the next page begins; none after the last.
    pub next_before: Option<SnapshotId>,
}

impl History {
    /// Works on these stores.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        lakes: Arc<dyn Lake>,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, lakes, access, clock }
    }

    /// A project's snapshots, newest first. A key of one bucket sees of each what happened there.
    pub async fn snapshots(
        &self,
        caller: &Caller,
        project: &ProjectId,
        before: Option<SnapshotId>,
        limit: u32,
    ) -> Result<SnapshotPage, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        let filter = SnapshotFilter { before, table: None, limit: limit.saturating_add(1) };
        let found = self.lakes.snapshots(project.lake, filter).await?;
        let may_see = |bucket: &BucketName| caller.principal().is_some_and(|principal| principal.may_touch(bucket));
        Ok(page(found, limit, |write| write.bucket().is_some_and(&may_see)))
    }

    /// Snapshots that changed a table, newest first, with what happened to it.
    pub async fn table_snapshots(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        before: Option<SnapshotId>,
        limit: u32,
    ) -> Result<SnapshotPage, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        let filter = SnapshotFilter { before, table: Some(table.clone()), limit: limit.saturating_add(1) };
        let found = self.lakes.snapshots(project.lake, filter).await?;
        if found.is_empty() && before.is_none() {
            return Err(UseCaseError::NoTable { project: project.id, table: table.clone() });
        }
        // The table may have had another name then; what others did in the same commit is theirs.
        Ok(page(found, limit, |write| write.bucket() == Some(&table.bucket)))
    }

    /// One snapshot.
    pub async fn snapshot(
        &self,
        caller: &Caller,
        project: &ProjectId,
        snapshot: SnapshotId,
    ) -> Result<Commit, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        let found = self.lakes.snapshot(project.lake, snapshot).await?;
        let missing = || UseCaseError::NoSnapshot { project: project.id.clone(), snapshot: snapshot.to_string() };
        let may_see = |bucket: &BucketName| caller.principal().is_some_and(|principal| principal.may_touch(bucket));
        let mut found = found.ok_or_else(missing)?;
        found.writes.retain(|write| write.change.bucket().is_some_and(&may_see));
        Ok(found)
    }

    /// Tables of a bucket that were dropped and can be brought back.
    pub async fn dropped(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
    ) -> Result<Vec<DroppedTable>, UseCaseError> {
        let project = self.access.open_bucket(caller, project, bucket, Scope::Read).await?;
        Ok(self.lakes.dropped(project.lake, Some(bucket.clone())).await?)
    }

    /// A project's tags by name.
    pub async fn tags(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Tag>, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        Ok(self.store.read().await?.tags().list(&project.id).await?)
    }

    /// One tag.
    pub async fn tag(&self, caller: &Caller, project: &ProjectId, name: &TagName) -> Result<Tag, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        let found = self.store.read().await?.tags().find(&project.id, name).await?;
        found.ok_or_else(|| UseCaseError::NoTag { project: project.id, tag: name.clone() })
    }

    /// Names a snapshot, the newest if none is given. Naming the same one again changes nothing; answers whether the
    /// tag is new.
    pub async fn name_snapshot(
        &self,
        caller: &Caller,
        project: &ProjectId,
        name: TagName,
        snapshot: Option<SnapshotId>,
        description: Option<String>,
    ) -> Result<(Tag, bool), UseCaseError> {
        if description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION || text.contains('\0')) {
            let reason = format!("a tag's description has at most {MAX_DESCRIPTION} characters, and no NUL");
            return Err(UseCaseError::Invalid(reason));
        }
        let project = self.open_whole(caller, project).await?;
        let wanted = match snapshot {
            Some(snapshot) => snapshot,
            None => self.lakes.head(project.lake).await?,
        };
        let taken = || UseCaseError::TagExists { project: project.id.clone(), tag: name.clone() };
        let mut tx = self.store.write().await?;
        if let Some(found) = tx.tags().find(&project.id, &name).await? {
            let same = snapshot.is_none_or(|snapshot| snapshot == found.snapshot) && found.description == description;
            return if same { Ok((found, false)) } else { Err(taken()) };
        }
        if tx.tags().list(&project.id).await?.len() >= MAX_TAGS {
            return Err(UseCaseError::Invalid(format!("a project has at most {MAX_TAGS} tags; remove one first")));
        }
        let tag = Tag {
            project: project.id.clone(),
            name: name.clone(),
            snapshot: wanted,
            description,
            created_at: self.clock.now(),
            created_by: caller.label(),
        };
        match tx.tags().insert(&tag).await {
            Err(StoreError::AlreadyExists) => return Err(taken()),
            done => done?,
        }
        if ends(&mut *tx, &project.id, wanted, false).await? {
            return Err(UseCaseError::NoSnapshot { project: project.id, snapshot: wanted.to_string() });
        }
        tx.audit().append(&[caller.entry(tag.created_at, "tag.created", &project.id, name.as_str())]).await?;
        tx.commit().await?;
        // Looked for after the tag is there: from now on nothing removes it.
        if self.lakes.snapshot(project.lake, wanted).await?.is_none() {
            let mut tx = self.store.write().await?;
            tx.tags().remove(&project.id, &name).await?;
            tx.commit().await?;
            return Err(UseCaseError::NoSnapshot { project: project.id, snapshot: wanted.to_string() });
        }
        Ok((tag, true))
    }

    /// Removes a tag; its snapshot is no longer held by it.
    pub async fn remove_tag(&self, caller: &Caller, project: &ProjectId, name: &TagName) -> Result<(), UseCaseError> {
        let project = self.open_whole(caller, project).await?;
        let mut tx = self.store.write().await?;
        if !tx.tags().remove(&project.id, name).await? {
            return Err(UseCaseError::NoTag { project: project.id, tag: name.clone() });
        }
        tx.audit().append(&[caller.entry(self.clock.now(), "tag.removed", &project.id, name.as_str())]).await?;
        Ok(tx.commit().await?)
    }

    /// Opens a project for what concerns all of its buckets.
    async fn open_whole(
        &self,
        caller: &Caller,
        project: &ProjectId,
    ) -> Result<gadwall_domain::project::Project, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Manage).await?;
        let limited = caller.principal().and_then(Principal::only_bucket).is_some();
        if limited { Err(UseCaseError::Forbidden) } else { Ok(project) }
    }
}

/// Cuts a page out of what was found, which is one more where there is more.
fn page(mut found: Vec<Commit>, limit: u32, shown: impl Fn(&gadwall_domain::commit::Change) -> bool) -> SnapshotPage {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_before = more.then(|| found.last().map(|commit| commit.snapshot)).flatten();
    for commit in &mut found {
        commit.writes.retain(|write| shown(&write.change));
    }
    SnapshotPage { snapshots: found, next_before }
}
