//! Queries over a project's tables.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{LakeStore, QueryEngine};
use gadwall_domain::query::{Query, QueryOutput, ReadScope};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::versions::{Version, Versions};

/// The use cases of queries.
pub struct Queries {
    engine: Arc<dyn QueryEngine>,
    lakes: Arc<dyn LakeStore>,
    access: Arc<Access>,
    versions: Arc<Versions>,
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queries")
    }
}

impl Queries {
    /// Runs queries on this engine.
    pub fn new(
        engine: Arc<dyn QueryEngine>,
        lakes: Arc<dyn LakeStore>,
        access: Arc<Access>,
        versions: Arc<Versions>,
    ) -> Self {
        Self { engine, lakes, access, versions }
    }

    /// What a caller may read of a project in a version: settled before anything of a query is looked at.
    pub async fn scope(
        &self,
        caller: &Caller,
        project: &ProjectId,
        version: &Version,
    ) -> Result<ReadScope, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        // The one place where a row filter or a column mask per grant can be added to a read.
        Ok(ReadScope {
            lake: project.lake,
            only_bucket: caller.principal().and_then(Principal::only_bucket).cloned(),
            at: self.versions.resolve(&project, version).await?,
        })
    }

    /// The snapshot that would be read now, where that is known without asking.
    pub fn known_snapshot(&self, scope: &ReadScope) -> Option<SnapshotId> {
        match scope.at {
            ReadAt::Head => self.lakes.known_head(scope.lake),
            ReadAt::Snapshot(snapshot) => Some(snapshot),
        }
    }

    /// Runs one read-only statement over what a scope opens.
    #[tracing::instrument(skip_all)]
    pub async fn run_in(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, UseCaseError> {
        Ok(self.engine.query(scope, query).await?)
    }

    /// Runs one read-only statement over what the caller may read.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn run(&self, caller: &Caller, project: &ProjectId, query: Query) -> Result<QueryOutput, UseCaseError> {
        let scope = self.scope(caller, project, &Version::Head).await?;
        self.run_in(scope, query).await
    }
}
