//! A project's limits: told, changed, and room within them.

use std::sync::Arc;

use gadwall_domain::access::Scope;
use gadwall_domain::dataset::ObjectName;
use gadwall_domain::events::ProjectFact;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::objects::{MAX_OBJECTS_LISTED, ObjectError, ObjectQuery, ObjectStorage};
use gadwall_domain::project::{Project, ProjectSize};
use gadwall_domain::quota::{Quota, QuotaKind};

use super::{Projects, find_active};
use crate::caller::Caller;
use crate::datasets::DatasetError;
use crate::error::UseCaseError;
use crate::quotas::{Asked, Quotas, Reservation};
use crate::record::record;

/// A limit of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Of what.
    pub kind: QuotaKind,
    /// The limit that holds; none if there is no limit.
    pub limit: Option<u64>,
    /// Whether it is said of this project; otherwise the configuration's default holds.
    pub own: bool,
}

impl Projects {
    /// The same, within these limits.
    #[must_use]
    pub fn with_quotas(self, quotas: Arc<Quotas>) -> Self {
        Self { quotas, ..self }
    }

    /// The limits that hold for a project.
    pub async fn quota(&self, caller: &Caller, id: &ProjectId) -> Result<Vec<Limit>, UseCaseError> {
        let project = self.access.open_any(caller, id, Scope::Read).await?;
        Ok(self.limits(&project))
    }

    /// Replaces what is said of a project's limits; of the others the defaults hold. What a project has beyond a new limit
    /// stays.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn set_quota(&self, caller: &Caller, id: &ProjectId, quota: Quota) -> Result<Vec<Limit>, UseCaseError> {
        caller.require_admin()?;
        let mut tx = self.store.write().await?;
        let mut project = find_active(&mut *tx, id).await?;
        project.quota = quota;
        project.updated_at = self.clock.now();
        tx.projects().update(&project).await?;
        record(&mut *tx, caller, &project.id, project.updated_at, &[ProjectFact::QuotaChanged]).await?;
        tx.commit().await?;
        Ok(self.limits(&project))
    }

    pub(crate) fn limits(&self, project: &Project) -> Vec<Limit> {
        let limit =
            |kind| Limit { kind, limit: self.quotas.limit(project, kind), own: project.quota.said(kind).is_some() };
        QuotaKind::ALL.into_iter().map(limit).collect()
    }

    pub(crate) fn quotas(&self) -> &Arc<Quotas> {
        &self.quotas
    }

    /// Takes room for `amount` more of something. What the project has is measured only where what is known is too old,
    /// or says that there is no room.
    pub(crate) async fn reserve(
        &self,
        project: &Project,
        kind: QuotaKind,
        amount: u64,
    ) -> Result<Reservation, UseCaseError> {
        if let Asked::Reserved(reservation) = self.quotas.ask(project, kind, amount) {
            return Ok(reservation);
        }
        if let Some(refused) = self.quotas.is_refused(project, kind, amount) {
            return Err(refused.into());
        }
        if kind == QuotaKind::DatasetBytes {
            self.measure_datasets(project).await?;
        } else {
            self.refresh_size(project).await?;
        }
        Ok(self.quotas.reserve(project, kind, amount)?)
    }

    /// Fails if there is no room for anything more of it.
    pub(crate) async fn require_room(&self, project: &Project, kind: QuotaKind) -> Result<(), UseCaseError> {
        self.reserve(project, kind, 1).await.map(drop)
    }

    /// Counts the bytes of a project's datasets.
    pub(crate) async fn measure_datasets(&self, project: &Project) -> Result<u64, UseCaseError> {
        let mark = self.quotas.mark(&project.id, QuotaKind::DatasetBytes);
        let bytes = dataset_bytes(&*self.files.objects, project.lake).await?;
        self.quotas.learn(&project.id, QuotaKind::DatasetBytes, mark, bytes);
        Ok(bytes)
    }

    /// Counts what a project's tables and buckets are.
    pub(super) async fn measured(&self, project: &Project) -> Result<ProjectSize, UseCaseError> {
        let kinds = [QuotaKind::TableBytes, QuotaKind::Tables, QuotaKind::Buckets];
        let marks = kinds.map(|kind| self.quotas.mark(&project.id, kind));
        let size = self.measure(project).await?;
        for ((kind, mark), found) in
            kinds.into_iter().zip(marks).zip([size.size_bytes, size.table_count, size.bucket_count])
        {
            self.quotas.learn(&project.id, kind, mark, found);
        }
        Ok(size)
    }
}

/// Bytes of all objects of a lake's datasets.
async fn dataset_bytes(objects: &dyn ObjectStorage, lake: LakeId) -> Result<u64, DatasetError> {
    let mut bytes: u64 = 0;
    for dataset in objects.datasets(lake).await? {
        let mut after: Option<ObjectName> = None;
        loop {
            let query = ObjectQuery { prefix: String::new(), after: after.take(), limit: MAX_OBJECTS_LISTED };
            let page = match objects.list(lake, &dataset, &query).await {
                Ok(page) => page,
                // It was deleted meanwhile.
                Err(ObjectError::NoDataset) => break,
                Err(error) => return Err(error.into()),
            };
            bytes = page.iter().fold(bytes, |sum, object| sum.saturating_add(object.size));
            match page.last() {
                Some(last) if page.len() >= MAX_OBJECTS_LISTED as usize => after = Some(last.name.clone()),
                _ => break,
            }
        }
    }
    Ok(bytes)
}
