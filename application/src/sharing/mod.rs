//! Buckets that other projects read: shared, opened to all, and linked. Nothing is copied: a link is looked through each
//! time it is read.

mod place;
mod readers;
mod reading;
mod reads;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::audit::AuditEntry;
use gadwall_domain::events::Event;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::{Lake, LakeLink};
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::project::{Project, ProjectStatus};
use gadwall_domain::sharing::{Grant, KnownLink, Link, Share, SharingFact, SourceBucket};
use serde_json::json;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::maintenance::ends;
use crate::queries::RunningQueries;

pub(crate) use place::Place;
pub(crate) use readers::{Readers, Reads, note_linked, readerships};
pub(crate) use reading::{Reading, is_open, reading};
pub(crate) use reads::{LinkRead, LinkReads};

/// Most buckets open to all that an offer lists.
const MAX_GRANTS: u32 = 1_000;

/// The use cases of sharing.
pub struct Sharing {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    running: Arc<RunningQueries>,
    clock: Arc<dyn Clock>,
}

/// What a link should show.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// Whose bucket.
    pub source: SourceBucket,
    /// The version it shows; the newest without.
    pub snapshot: Option<SnapshotId>,
}

/// A bucket that a project may link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The bucket.
    pub source: SourceBucket,
    /// Whether it is open to all, and not shared with this project.
    pub to_all: bool,
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sharing")
    }
}

impl Sharing {
    /// Works on these.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        lakes: Arc<dyn Lake>,
        access: Arc<Access>,
        running: Arc<RunningQueries>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, lakes, access, running, clock }
    }

    /// Shares a bucket with a project; answers all that it is shared with.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %bucket))]
    pub async fn share(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
        target: &ProjectId,
    ) -> Result<Vec<ProjectId>, UseCaseError> {
        let (owner, source) = self.open_owned(caller, project, bucket).await?;
        if owner.id == *target {
            return Err(UseCaseError::SharedWithItself);
        }
        let target = self.require(target).await?.id;
        let share = Share {
            source: source.clone(),
            target: target.clone(),
            created_at: self.clock.now(),
            created_by: caller.label(),
        };
        let mut tx = self.store.write().await?;
        match tx.sharing().insert_share(&share).await {
            Err(StoreError::AlreadyExists) => {
                return Err(UseCaseError::AlreadyShared { bucket: source.bucket, target });
            }
            done => done?,
        }
        self.record(&mut *tx, caller, SharingFact::Shared, &source, Some(&target)).await?;
        let shares = tx.sharing().shares_by(&owner.id).await?;
        tx.commit().await?;
        let of_bucket = shares.into_iter().filter(|share| share.source == source);
        Ok(of_bucket.map(|share| share.target).collect())
    }

    /// Ends a share, also one that never was: after this the other project reads nothing of the bucket that isn't open
    /// to all. Its link stays, and shows nothing.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %bucket))]
    pub async fn unshare(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
        target: &ProjectId,
    ) -> Result<(), UseCaseError> {
        let (_, source) = self.open_owned(caller, project, bucket).await?;
        let target = self.require(target).await?.id;
        let mut tx = self.store.write().await?;
        tx.sharing().end_unconditional(&source, &target).await?;
        if tx.sharing().remove_share(&source, &target).await? {
            self.record(&mut *tx, caller, SharingFact::Unshared, &source, Some(&target)).await?;
        }
        tx.commit().await?;
        self.end_readers(&source, Some(&target)).await
    }

    /// Opens a bucket to all projects. One that is open stays so.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %bucket))]
    pub async fn grant(&self, caller: &Caller, project: &ProjectId, bucket: &BucketName) -> Result<(), UseCaseError> {
        let (_, source) = self.open_owned(caller, project, bucket).await?;
        let grant = Grant { source: source.clone(), created_at: self.clock.now(), created_by: caller.label() };
        let mut tx = self.store.write().await?;
        match tx.sharing().insert_grant(&grant).await {
            Err(StoreError::AlreadyExists) => return Ok(()),
            done => done?,
        }
        self.record(&mut *tx, caller, SharingFact::Granted, &source, None).await?;
        Ok(tx.commit().await?)
    }

    /// Opens a bucket no more to all projects; those it is shared with read on.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %bucket))]
    pub async fn revoke(&self, caller: &Caller, project: &ProjectId, bucket: &BucketName) -> Result<(), UseCaseError> {
        let (_, source) = self.open_owned(caller, project, bucket).await?;
        let mut tx = self.store.write().await?;
        if tx.sharing().remove_grant(&source).await? {
            self.record(&mut *tx, caller, SharingFact::Revoked, &source, None).await?;
        }
        tx.commit().await?;
        self.end_readers(&source, None).await
    }

    /// Links another project's bucket under a name of the project's own.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %name))]
    pub async fn link(
        &self,
        caller: &Caller,
        project: &ProjectId,
        name: &BucketName,
        new: NewLink,
    ) -> Result<Link, UseCaseError> {
        let reader = self.access.open_named(caller, project, name, Scope::Manage).await?;
        let owner = self.require(&new.source.project).await?;
        if owner.id == reader.id {
            return Err(UseCaseError::SharedWithItself);
        }
        let source = self.owned(&owner, &new.source.bucket).await?;
        self.require_free(&reader, name).await?;
        let shared = self.is_offered(&source, &reader.id).await?;
        let is_admin = caller.principal().is_some_and(Principal::is_admin);
        if !shared && !is_admin {
            return Err(UseCaseError::Forbidden);
        }
        if let Some(snapshot) = new.snapshot
            && self.lakes.snapshot(owner.lake, snapshot).await?.is_none()
        {
            return Err(UseCaseError::NoSnapshot { project: owner.id, snapshot: snapshot.to_string() });
        }
        let link = Link {
            project: reader.id.clone(),
            name: name.clone(),
            source: source.clone(),
            snapshot: new.snapshot,
            unconditional: !shared,
            created_at: self.clock.now(),
            created_by: caller.label(),
        };
        let mut tx = self.store.write().await?;
        match tx.sharing().insert_link(&link).await {
            Err(StoreError::AlreadyExists) => {
                return Err(UseCaseError::LinkExists { project: reader.id, bucket: name.clone() });
            }
            done => done?,
        }
        self.record_link(&mut *tx, caller, SharingFact::Linked, &link).await?;
        if let Some(snapshot) = link.snapshot {
            // Looked for once more before it counts: from the commit on nothing removes it.
            let ends = ends(&mut *tx, &owner.id, snapshot, false).await?;
            if ends || self.lakes.snapshot(owner.lake, snapshot).await?.is_none() {
                return Err(UseCaseError::NoSnapshot { project: owner.id, snapshot: snapshot.to_string() });
            }
        }
        tx.commit().await?;
        Ok(link)
    }

    /// Ends a link. What it showed stays as it is.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %name))]
    pub async fn unlink(&self, caller: &Caller, project: &ProjectId, name: &BucketName) -> Result<(), UseCaseError> {
        let reader = self.access.open_named(caller, project, name, Scope::Manage).await?;
        let missing = || UseCaseError::NoLink { project: reader.id.clone(), bucket: name.clone() };
        let known = self.access.link(&reader.id, name, caller.seen).await?.ok_or_else(missing)?;
        let mut tx = self.store.write().await?;
        if !tx.sharing().remove_link(&reader.id, name).await? {
            return Err(missing());
        }
        self.record_link(&mut *tx, caller, SharingFact::Unlinked, &known.link).await?;
        tx.commit().await?;
        self.end_readers(&known.link.source, Some(&reader.id)).await
    }

    /// What a project shares.
    pub async fn shares(&self, caller: &Caller, project: &ProjectId) -> Result<(Vec<Share>, Vec<Grant>), UseCaseError> {
        let owner = self.access.open(caller, project, Scope::Read).await?;
        let mut tx = self.store.read().await?;
        let shares = tx.sharing().shares_by(&owner.id).await?;
        let grants = tx.sharing().grants(Some(&owner.id), u32::MAX).await?;
        let seen = |source: &SourceBucket| may_see(caller, &source.bucket);
        let shares = shares.into_iter().filter(|share| seen(&share.source)).collect();
        Ok((shares, grants.into_iter().filter(|grant| seen(&grant.source)).collect()))
    }

    /// What a project links.
    pub async fn links(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<KnownLink>, UseCaseError> {
        let reader = self.access.open(caller, project, Scope::Read).await?;
        let links = self.access.links(&reader.id, caller.seen).await?;
        Ok(links.iter().filter(|known| may_see(caller, &known.link.name)).cloned().collect())
    }

    /// What a project may link and doesn't yet.
    pub async fn offers(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Offer>, UseCaseError> {
        let reader = self.access.open(caller, project, Scope::Read).await?;
        if caller.principal().and_then(Principal::only_bucket).is_some() {
            return Err(UseCaseError::Forbidden);
        }
        let mut tx = self.store.read().await?;
        let shares = tx.sharing().shares_with(&reader.id).await?;
        let grants = tx.sharing().grants(None, MAX_GRANTS).await?;
        drop(tx);
        let mut offers: Vec<Offer> =
            shares.into_iter().map(|share| Offer { source: share.source, to_all: false }).collect();
        let open = grants.into_iter().map(|grant| grant.source).filter(|source| source.project != reader.id);
        for source in open {
            if !offers.iter().any(|offer| offer.source == source) {
                offers.push(Offer { source, to_all: true });
            }
        }
        let links = self.access.links(&reader.id, caller.seen).await?;
        offers.retain(|offer| !links.iter().any(|known| known.link.source == offer.source));
        offers.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(offers)
    }

    /// Opens a bucket of the project's own for those who decide over it.
    async fn open_owned(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
    ) -> Result<(Project, SourceBucket), UseCaseError> {
        let owner = self.access.open_named(caller, project, bucket, Scope::Manage).await?;
        let source = self.owned(&owner, bucket).await?;
        Ok((owner, source))
    }

    /// The bucket, if it is the project's own.
    async fn owned(&self, owner: &Project, bucket: &BucketName) -> Result<SourceBucket, UseCaseError> {
        if self.access.link(&owner.id, bucket, None).await?.is_some() {
            return Err(UseCaseError::LinkOfLink { project: owner.id.clone(), bucket: bucket.clone() });
        }
        let buckets = self.lakes.buckets(owner.lake, ReadAt::Head).await?;
        let found = buckets.into_iter().map(|known| known.name).find(|known| known == bucket);
        let found = found.or_else(|| bucket.is_main().then(BucketName::main));
        let missing = || UseCaseError::NoBucket { project: owner.id.clone(), bucket: bucket.clone() };
        Ok(SourceBucket { project: owner.id.clone(), bucket: found.ok_or_else(missing)? })
    }

    async fn require_free(&self, reader: &Project, name: &BucketName) -> Result<(), UseCaseError> {
        let (project, bucket) = (reader.id.clone(), name.clone());
        if self.access.link(&reader.id, name, None).await?.is_some() {
            return Err(UseCaseError::LinkExists { project, bucket });
        }
        let buckets = self.lakes.buckets(reader.lake, ReadAt::Head).await?;
        if name.is_main() || buckets.iter().any(|known| known.name == *name) {
            return Err(UseCaseError::BucketExists { project, bucket });
        }
        Ok(())
    }

    async fn is_offered(&self, source: &SourceBucket, reader: &ProjectId) -> Result<bool, UseCaseError> {
        let mut tx = self.store.read().await?;
        let shares = tx.sharing().shares_with(reader).await?;
        let grants = tx.sharing().grants(Some(&source.project), u32::MAX).await?;
        Ok(shares.iter().any(|share| share.source == *source) || grants.iter().any(|grant| grant.source == *source))
    }

    /// A project in use, whosever it is.
    async fn require(&self, id: &ProjectId) -> Result<Project, UseCaseError> {
        let found = self.store.read().await?.projects().find(id).await?;
        let active = found.filter(|project| project.status == ProjectStatus::Active);
        active.ok_or_else(|| UseCaseError::NoProjectAround(id.clone()))
    }

    /// Stops all that reads something here that may not be read any more, because another server ended its share or link.
    pub async fn stop_ended(&self) -> Result<(), UseCaseError> {
        let mut reads = self.running.linked_reads();
        reads.extend(self.access.link_reads().all());
        for (reader, source) in reads {
            self.stop_if_ended(&reader, &source).await?;
        }
        Ok(())
    }

    /// Ends what lakes' engines may read of others though no link is there for it: its bucket or project is gone, or what
    /// ended it broke off. Answers how much.
    pub async fn clean_up(&self) -> Result<usize, UseCaseError> {
        // Looked at first: what is linked in between is not overlooked.
        let held = self.lakes.held_links().await?;
        if held.is_empty() {
            return Ok(0);
        }
        let known = self.store.read().await?.sharing().links_to(None).await?;
        let mut open = HashSet::new();
        for link in known.iter().filter(|known| known.open) {
            open.extend(self.lake_link(&link.link.project, &link.link.source).await?);
        }
        let mut ended = 0;
        for link in held.iter().filter(|link| !open.contains(*link)) {
            self.lakes.end_link(link).await?;
            ended += 1;
        }
        Ok(ended)
    }

    /// Stops all that reads a bucket and may not any more, and ends what its readers' engines may read of it: those who
    /// link it still, and one that doesn't any more.
    async fn end_readers(&self, source: &SourceBucket, one: Option<&ProjectId>) -> Result<(), UseCaseError> {
        let known = self.store.read().await?.sharing().links_to(Some(source)).await?;
        let readers: BTreeSet<&ProjectId> = known.iter().map(|known| &known.link.project).chain(one).collect();
        for reader in readers {
            if self.stop_if_ended(reader, source).await?
                && let Some(link) = self.lake_link(reader, source).await?
            {
                self.lakes.end_link(&link).await?;
            }
        }
        Ok(())
    }

    /// Stops what of a project reads a bucket, if it may not any more; whether that is so.
    async fn stop_if_ended(&self, reader: &ProjectId, source: &SourceBucket) -> Result<bool, UseCaseError> {
        if is_open(&self.access, reader, std::slice::from_ref(source)).await? {
            return Ok(false);
        }
        self.access.link_reads().stop(reader, source);
        join_all(self.running.reading(reader, source).iter().map(|live| self.running.stop(live))).await;
        Ok(true)
    }

    /// A link as the lakes know it, while both its projects are there.
    async fn lake_link(&self, reader: &ProjectId, source: &SourceBucket) -> Result<Option<LakeLink>, UseCaseError> {
        let mut tx = self.store.read().await?;
        let (reader, owner) = (tx.projects().find(reader).await?, tx.projects().find(&source.project).await?);
        let link = |(reader, owner): (Project, Project)| {
            let is_there = |project: &Project| project.status == ProjectStatus::Active;
            let bucket = source.bucket.clone();
            (is_there(&reader) && is_there(&owner)).then_some(LakeLink {
                reader: reader.lake,
                owner: owner.lake,
                bucket,
            })
        };
        Ok(reader.zip(owner).and_then(link))
    }

    async fn record_link(
        &self,
        tx: &mut dyn MetadataTx,
        caller: &Caller,
        fact: SharingFact,
        link: &Link,
    ) -> Result<(), StoreError> {
        let data = json!({
            "source_project_id": link.source.project,
            "source_bucket_name": link.source.bucket,
            "snapshot_id": link.snapshot,
        });
        let event = self.event(caller, fact, &link.project, &link.name, data);
        tx.audit().append(&[audited(caller, &event)]).await?;
        tx.events().append(&[event]).await
    }

    /// Writes down what the owner did, for both sides.
    async fn record(
        &self,
        tx: &mut dyn MetadataTx,
        caller: &Caller,
        fact: SharingFact,
        source: &SourceBucket,
        target: Option<&ProjectId>,
    ) -> Result<(), StoreError> {
        let event = self.event(caller, fact, &source.project, &source.bucket, json!({ "target_project_id": target }));
        tx.audit().append(&[audited(caller, &event)]).await?;
        let mut events = vec![event];
        if let Some(target) = target {
            let data = json!({ "source_project_id": source.project });
            events.push(self.event(caller, fact, target, &source.bucket, data));
        }
        tx.events().append(&events).await
    }

    fn event(
        &self,
        caller: &Caller,
        fact: SharingFact,
        project: &ProjectId,
        bucket: &BucketName,
        data: serde_json::Value,
    ) -> Event {
        Event {
            project: project.clone(),
            event_type: fact.event_type(),
            subject: bucket.to_string(),
            occurred_at: self.clock.now(),
            request_id: caller.request_id.clone(),
            snapshot: None,
            data,
        }
    }
}

fn audited(caller: &Caller, event: &Event) -> AuditEntry {
    caller.entry(event.occurred_at, event.event_type, &event.project, event.subject.as_str())
}

fn may_see(caller: &Caller, bucket: &BucketName) -> bool {
    caller.principal().is_some_and(|principal| principal.may_touch(bucket))
}
