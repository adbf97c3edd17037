//! Bringing back what was: a table's earlier version, a dropped table.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::Scope;
use gadwall_domain::commit::RowCounts;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{Committed, Lake, LakeWrite};
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;
use gadwall_domain::table::{Table, TableRef};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::{UseCaseError, about_table};
use crate::projects::Projects;
use crate::tables::Tables;
use crate::versions::{Version, Versions};
use crate::writes::Writes;

/// The use cases of bringing back.
pub struct Recovery {
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    tables: Arc<Tables>,
    projects: Arc<Projects>,
    versions: Arc<Versions>,
    writes: Arc<Writes>,
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recovery")
    }
}

impl Recovery {
    /// Works on these stores.
    pub fn new(
        lakes: Arc<dyn Lake>,
        access: Arc<Access>,
        tables: Arc<Tables>,
        projects: Arc<Projects>,
        versions: Arc<Versions>,
        writes: Arc<Writes>,
    ) -> Self {
        Self { lakes, access, tables, projects, versions, writes }
    }

    /// Makes a table what it was in a version: columns, key and rows, as one new snapshot.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn restore(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        version: &Version,
        expected: Expected,
    ) -> Result<(Table, Committed), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let write = self.restoring(&project, table, version, expected).await?;
        if self.writes.committed_before(caller, &project).await?.is_none() {
            self.projects.require_room(&project, QuotaKind::TableBytes).await?;
        }
        self.write(caller, &project, table, write).await
    }

    /// What [`Recovery::restore`] would do.
    pub async fn restore_dry(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        version: &Version,
        expected: Expected,
    ) -> Result<RowCounts, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let write = self.restoring(&project, table, version, expected).await?;
        self.lakes.dry_run(project.lake, write).await.map_err(about_table(&project.id, table))
    }

    async fn restoring(
        &self,
        project: &Project,
        table: &TableRef,
        version: &Version,
        expected: Expected,
    ) -> Result<LakeWrite, UseCaseError> {
        let from = self.past(project, version).await?;
        let then = self.tables.require_at(project, table, ReadAt::Snapshot(from)).await?;
        // What it promises now counts for the rows of then.
        let schema = then.schema.held_to(self.tables.contract_of(project, table).await?);
        Ok(LakeWrite::Restore { table: table.clone(), from, schema, expected })
    }

    /// Brings back a dropped table, as it was last or in a version.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn undelete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        version: &Version,
    ) -> Result<(Table, Committed), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let from = match version {
            Version::Head => self.last_of(&project, table).await?,
            named => self.past(&project, named).await?,
        };
        let then = self.tables.require_at(&project, table, ReadAt::Snapshot(from)).await?;
        let room = match self.writes.committed_before(caller, &project).await? {
            Some(_) => None,
            None => Some((
                self.projects.reserve(&project, QuotaKind::Tables, 1).await?,
                self.projects.reserve(&project, QuotaKind::TableBytes, then.size.size_bytes).await?,
            )),
        };
        let write = LakeWrite::Undelete { table: then.name.clone(), from, schema: then.schema };
        let written = self.write(caller, &project, table, write).await;
        // It is in what was measured by now.
        drop(room);
        written
    }

    /// The last snapshot that shows a dropped table.
    async fn last_of(&self, project: &Project, table: &TableRef) -> Result<SnapshotId, UseCaseError> {
        let dropped = self.lakes.dropped(project.lake, Some(table.bucket.clone())).await?;
        if let Some(found) = dropped.into_iter().find(|dropped| dropped.name == *table) {
            return Ok(found.last);
        }
        // It may be there: then undeleting it is a conflict, not a gap.
        self.tables.require_at(project, table, ReadAt::Head).await?;
        Err(UseCaseError::TableExists { project: project.id.clone(), table: table.clone() })
    }

    async fn past(&self, project: &Project, version: &Version) -> Result<SnapshotId, UseCaseError> {
        match self.versions.resolve(project, version).await? {
            ReadAt::Snapshot(snapshot) => Ok(snapshot),
            ReadAt::Head => Err(UseCaseError::Invalid(
                "say which version: snapshot=<number>, as_of=<time> or tag=<name>".to_owned(),
            )),
        }
    }

    async fn write(
        &self,
        caller: &Caller,
        project: &Project,
        table: &TableRef,
        write: LakeWrite,
    ) -> Result<(Table, Committed), UseCaseError> {
        let committed = self.writes.commit(caller, project, write, about_table(&project.id, table)).await?;
        self.projects.refresh_size(project).await?;
        Ok((self.tables.require_at(project, table, ReadAt::Head).await?, committed))
    }
}
