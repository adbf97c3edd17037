//! Buckets: create, list, look at, delete.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::Scope;
use gadwall_domain::bucket::Bucket;
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::{LakeStore, LakeWrite, WriteError};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;
use gadwall_domain::sharing::{KnownLink, SourceBucket};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::projection::Projection;
use crate::projects::Projects;
use crate::quotas::Reservation;
use crate::sharing::Sharing;
use crate::writes::Writes;

/// Longest description of a bucket, in characters.
const MAX_DESCRIPTION: usize = 4_096;

/// The use cases of buckets.
pub struct Buckets {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn LakeStore>,
    access: Arc<Access>,
    projection: Arc<Projection>,
    projects: Arc<Projects>,
    sharing: Arc<Sharing>,
    writes: Writes,
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buckets")
    }
}

impl Buckets {
    /// Works on these stores.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        lakes: Arc<dyn LakeStore>,
        access: Arc<Access>,
        projection: Arc<Projection>,
        projects: Arc<Projects>,
        sharing: Arc<Sharing>,
    ) -> Self {
        let writes = Writes::new(Arc::clone(&store), Arc::clone(&lakes), Arc::clone(&projection));
        Self { store, lakes, access, projection, projects, sharing, writes }
    }

    /// Creates a bucket.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %bucket))]
    pub async fn create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: BucketName,
        description: Option<String>,
    ) -> Result<Bucket, UseCaseError> {
        if description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION || text.contains('\0')) {
            return Err(UseCaseError::Invalid(format!(
                "description has at most {MAX_DESCRIPTION} characters, and no NUL"
            )));
        }
        let project = self.access.open_named(caller, project, &bucket, Scope::Manage).await?;
        if self.access.link(&project.id, &bucket, caller.seen).await?.is_some() {
            return Err(UseCaseError::BucketExists { project: project.id, bucket });
        }
        let room = match self.writes.committed_before(caller, &project).await? {
            Some(_) => None,
            None => self.room_for(&project, &bucket).await?,
        };
        let write = LakeWrite::CreateBucket { bucket: bucket.clone(), description: description.clone() };
        self.write(caller, &project, &bucket, write).await?;
        drop(room);
        Ok(Bucket { name: bucket, description, table_count: 0, source: None })
    }

    /// The project's buckets by name; those the caller may see.
    pub async fn list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Bucket>, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        let links = self.access.links(&project.id, caller.seen).await?;
        let mut all = self.all(&project).await?;
        all.retain(|bucket| !links.iter().any(|known| known.link.name == bucket.name));
        for known in links.iter() {
            all.push(self.linked(known).await?);
        }
        all.sort_by_cached_key(|bucket| bucket.name.folded());
        let seen = |bucket: &Bucket| caller.principal().is_some_and(|principal| principal.may_touch(&bucket.name));
        Ok(all.into_iter().filter(seen).collect())
    }

    /// A bucket. `main` is always there.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, bucket: &BucketName) -> Result<Bucket, UseCaseError> {
        let project = self.access.open_named(caller, project, bucket, Scope::Read).await?;
        if let Some(known) = self.access.link(&project.id, bucket, caller.seen).await? {
            return self.linked(&known).await;
        }
        let found = self.all(&project).await?.into_iter().find(|known| known.name == *bucket);
        match found {
            Some(found) => Ok(found),
            None if bucket.is_main() => {
                Ok(Bucket { name: BucketName::main(), description: None, table_count: 0, source: None })
            }
            None => Err(UseCaseError::NoBucket { project: project.id, bucket: bucket.clone() }),
        }
    }

    /// A link as a bucket. One that may be read no more is there, and shows no tables.
    async fn linked(&self, known: &KnownLink) -> Result<Bucket, UseCaseError> {
        let link = &known.link;
        let mut table_count = 0;
        if let Some(owner) = self.access.source(known, None).await? {
            let at = link.snapshot.map_or(ReadAt::Head, ReadAt::Snapshot);
            let found = self.lakes.buckets(owner.lake, at).await?;
            let found = found.into_iter().find(|bucket| bucket.name == link.source.bucket);
            table_count = found.map_or(0, |bucket| bucket.table_count);
        }
        let SourceBucket { project, bucket } = &link.source;
        let as_of = link.snapshot.map(|snapshot| format!(" as of snapshot {snapshot}")).unwrap_or_default();
        Ok(Bucket {
            name: link.name.clone(),
            description: Some(format!("Linked from {project}.{bucket}{as_of}")),
            table_count,
            source: Some(link.source.clone()),
        })
    }

    /// Deletes a bucket; with `cascade`, its tables too. Of a linked one the link ends.
    #[tracing::instrument(skip_all, fields(project.id = %project, bucket.name = %bucket))]
    pub async fn delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
        cascade: bool,
    ) -> Result<(), UseCaseError> {
        let project = self.access.open_named(caller, project, bucket, Scope::Manage).await?;
        if self.access.link(&project.id, bucket, caller.seen).await?.is_some() {
            return self.sharing.unlink(caller, &project.id, bucket).await;
        }
        let write = LakeWrite::DropBucket { bucket: bucket.clone(), cascade };
        self.write(caller, &project, bucket, write).await
    }

    async fn write(
        &self,
        caller: &Caller,
        project: &Project,
        bucket: &BucketName,
        write: LakeWrite,
    ) -> Result<(), UseCaseError> {
        let tell = |error| match error {
            WriteError::BucketExists => {
                UseCaseError::BucketExists { project: project.id.clone(), bucket: bucket.clone() }
            }
            WriteError::NoBucket => UseCaseError::NoBucket { project: project.id.clone(), bucket: bucket.clone() },
            WriteError::BucketNotEmpty => UseCaseError::BucketNotEmpty { bucket: bucket.clone() },
            WriteError::Lake(error) => UseCaseError::Lake(error),
            other => UseCaseError::Invalid(other.to_string()),
        };
        self.writes.commit(caller, project, write, tell).await?;
        self.projects.refresh_size(project).await
    }

    /// Room for one more bucket. One that is there already needs none: it is told as what it is.
    async fn room_for(&self, project: &Project, bucket: &BucketName) -> Result<Option<Reservation>, UseCaseError> {
        match self.projects.reserve(project, QuotaKind::Buckets, 1).await {
            Ok(room) => Ok(Some(room)),
            Err(refused) => {
                let known = self.lakes.buckets(project.lake, ReadAt::Head).await?;
                if known.iter().any(|known| known.name == *bucket) { Ok(None) } else { Err(refused) }
            }
        }
    }

    async fn all(&self, project: &Project) -> Result<Vec<Bucket>, UseCaseError> {
        self.projection.ensure(project).await?;
        let stored = self.lakes.buckets(project.lake, ReadAt::Head).await?;
        let facts = self.store.read().await?.lake_index().buckets(&project.id, ReadAt::Head).await?;
        let mut described: HashMap<BucketName, Option<String>> =
            facts.into_iter().map(|facts| (facts.bucket, facts.description)).collect();
        let bucket = |stored: gadwall_domain::ports::lake::StoredBucket| Bucket {
            description: described.remove(&stored.name).flatten(),
            name: stored.name,
            table_count: stored.table_count,
            source: None,
        };
        Ok(stored.into_iter().map(bucket).collect())
    }
}
