//! Reading tables: their rows, what happened to them, what they hold.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::Scope;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::{Lake, TableProfile};
use gadwall_domain::project::Project;
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::{Table, TableRef};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::tables::Tables;
use crate::versions::{Version, Versions};

/// The use cases of reading.
pub struct Data {
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    tables: Arc<Tables>,
    versions: Arc<Versions>,
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Data")
    }
}

/// A table in a version, opened for reading.
#[derive(Debug)]
pub struct OpenedTable {
    project: Project,
    table: Table,
    at: ReadAt,
}

impl OpenedTable {
    /// The table as it was in that version.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The table by itself.
    pub fn into_table(self) -> Table {
        self.table
    }
}

impl Data {
    /// Reads these lakes.
    pub fn new(lakes: Arc<dyn Lake>, access: Arc<Access>, tables: Arc<Tables>, versions: Arc<Versions>) -> Self {
        Self { lakes, access, tables, versions }
    }

    /// Opens a table in a version.
    pub async fn open(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        version: &Version,
    ) -> Result<OpenedTable, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        // Settled once, so that all that is read of the table is of one version.
        let at = match self.versions.resolve(&project, version).await? {
            ReadAt::Head => ReadAt::Snapshot(self.lakes.head(project.lake).await?),
            at @ ReadAt::Snapshot(_) => at,
        };
        let table = self.tables.require_at(&project, table, at).await?;
        Ok(OpenedTable { project, table, at })
    }

    /// A bucket's tables in a version, by name.
    pub async fn list(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
        version: &Version,
    ) -> Result<Vec<Table>, UseCaseError> {
        let opened = self.access.open_bucket(caller, project, bucket, Scope::Read).await?;
        let at = self.versions.resolve(&opened, version).await?;
        self.tables.list(caller, project, bucket, at).await
    }

    /// A part of an opened table, and the snapshot it is of.
    pub async fn rows(
        &self,
        opened: &OpenedTable,
        selection: Selection,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), UseCaseError> {
        let (lake, name) = (opened.project.lake, &opened.table.name);
        Ok(self.lakes.rows(lake, name, selection, opened.at, timeout).await?)
    }

    /// What an opened table's columns hold.
    pub async fn profile(&self, opened: &OpenedTable, timeout: Duration) -> Result<TableProfile, UseCaseError> {
        Ok(self.lakes.profile(opened.project.lake, &opened.table.name, opened.at, timeout).await?)
    }

    /// What happened to a table's rows in `from..=to`; up to the newest snapshot without `to`. Answers the changes and
    /// the last snapshot they cover.
    pub async fn changes(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        span: (SnapshotId, Option<SnapshotId>),
        limit: Option<u64>,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        let (from, to) = span;
        let to = match to {
            Some(to) => to,
            None => self.lakes.head(project.lake).await?,
        };
        if from > to {
            return Err(UseCaseError::Invalid(format!("from={from} is after to={to}")));
        }
        let found = self.tables.require_at(&project, table, ReadAt::Head).await?;
        let changes = self.lakes.changes(project.lake, &found.name, from, to, limit, timeout).await?;
        Ok((changes, to))
    }
}
