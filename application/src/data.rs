//! Reading tables: their rows, what happened to them, what they hold.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::lake::{Lake, TableProfile};
use gadwall_domain::project::Project;
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::sharing::Link;
use gadwall_domain::table::{Table, TableRef};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::sharing::{LinkRead, Place, is_open};
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
    /// Its name where it is.
    name: TableRef,
    table: Table,
    at: ReadAt,
    /// The link that leads to it, if one does.
    link: Option<Link>,
}

impl OpenedTable {
    /// The table as it was in that version.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// When it was linked, if it is: the versions of one link's tables mean nothing to another of the same name.
    pub fn linked_at(&self) -> Option<DateTime<Utc>> {
        self.link.as_ref().map(|link| link.created_at)
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
        let place = self.access.open_to_read(caller, project, &table.bucket).await?;
        let found = async {
            let version = place.version(version)?;
            // Settled once, so that all that is read of the table is of one version.
            let at = match self.versions.resolve(&place.project, &version).await? {
                ReadAt::Head => ReadAt::Snapshot(self.lakes.head(place.project.lake).await?),
                at @ ReadAt::Snapshot(_) => at,
            };
            Ok((self.tables.require_at(&place.project, &place.table(table), at).await?, at))
        };
        let (found, at) = found.await.map_err(|error| place.told(error))?;
        let name = found.name.clone();
        Ok(OpenedTable { name, table: place.shown(found), at, link: place.link, project: place.project })
    }

    /// A bucket's tables in a version, by name.
    pub async fn list(
        &self,
        caller: &Caller,
        project: &ProjectId,
        bucket: &BucketName,
        version: &Version,
    ) -> Result<Vec<Table>, UseCaseError> {
        let place = self.access.open_to_read(caller, project, bucket).await?;
        let found = async {
            let at = self.versions.resolve(&place.project, &place.version(version)?).await?;
            self.tables.list_in(&place, at).await
        };
        found.await.map_err(|error| place.told(error))
    }

    /// A part of an opened table, and the snapshot it is of.
    pub async fn rows(
        &self,
        opened: &OpenedTable,
        selection: Selection,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), UseCaseError> {
        let (lake, name) = (opened.project.lake, &opened.name);
        let rows = async { Ok(self.lakes.rows(lake, name, selection, opened.at, timeout).await?) };
        self.watched(opened.link.as_ref(), name, rows).await
    }

    /// What an opened table's columns hold.
    pub async fn profile(&self, opened: &OpenedTable, timeout: Duration) -> Result<TableProfile, UseCaseError> {
        let profile = async { Ok(self.lakes.profile(opened.project.lake, &opened.name, opened.at, timeout).await?) };
        let link = opened.link.as_ref();
        let Some(read) = self.begin(link).await? else { return profile.await };
        let profile = read.during(profile).await?;
        self.note(link, &opened.name);
        Ok(profile)
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
        let place = self.access.open_to_read(caller, project, &table.bucket).await?;
        let project = &place.project;
        let (from, to) = span;
        let pinned = place.link.as_ref().and_then(|link| link.snapshot);
        let to = match (to, pinned) {
            (Some(to), Some(pinned)) if to > pinned => {
                return Err(UseCaseError::Invalid(format!(
                    "the bucket is linked as of snapshot {pinned}; to={to} is later"
                )));
            }
            (Some(to), _) => to,
            (None, Some(pinned)) => pinned,
            (None, None) => self.lakes.head(project.lake).await?,
        };
        if from > to {
            return Err(UseCaseError::Invalid(format!("from={from} is after to={to}")));
        }
        let at = pinned.map_or(ReadAt::Head, ReadAt::Snapshot);
        let found = self.tables.require_at(project, &place.table(table), at).await;
        let found = found.map_err(|error| place.told(error))?;
        let changes =
            async { Ok((self.lakes.changes(project.lake, &found.name, from, to, limit, timeout).await?, to)) };
        self.watched(place.link.as_ref(), &found.name, changes).await
    }

    /// Whether a table was there in a version.
    pub(crate) async fn exists(&self, place: &Place, table: &TableRef, at: ReadAt) -> Result<bool, UseCaseError> {
        match self.tables.require_at(&place.project, &place.table(table), at).await {
            Ok(_) => Ok(true),
            Err(UseCaseError::NoTable { .. } | UseCaseError::NoBucket { .. } | UseCaseError::NoSnapshot { .. }) => {
                Ok(false)
            }
            Err(error) => Err(place.told(error)),
        }
    }

    /// Refuses a table that isn't there.
    pub(crate) async fn require(&self, place: &Place, table: &TableRef) -> Result<(), UseCaseError> {
        let found = self.tables.require_at(&place.project, &place.table(table), ReadAt::Head).await;
        found.map(drop).map_err(|error| place.told(error))
    }

    /// Rows that are read no further once the link ends that they are read through.
    async fn watched(
        &self,
        link: Option<&Link>,
        table: &TableRef,
        rows: impl Future<Output = Result<(RowStream, SnapshotId), UseCaseError>>,
    ) -> Result<(RowStream, SnapshotId), UseCaseError> {
        let Some(read) = self.begin(link).await? else { return rows.await };
        let (rows, snapshot) = rows.await?;
        self.note(link, table);
        Ok((read.rows(rows), snapshot))
    }

    /// Notes that a table is read through a link, for its owner.
    fn note(&self, link: Option<&Link>, table: &TableRef) {
        if let Some(link) = link {
            self.access.note_read(&link.source, &table.table, &link.project);
        }
    }

    /// Enters a read through a link, if it is one.
    async fn begin(&self, link: Option<&Link>) -> Result<Option<LinkRead>, UseCaseError> {
        let Some(link) = link else { return Ok(None) };
        let sources = vec![link.source.clone()];
        let read = self.access.link_reads().begin(&link.project, sources.clone());
        if is_open(&self.access, &link.project, &sources).await? {
            Ok(Some(read))
        } else {
            Err(UseCaseError::LinkEnded { bucket: link.name.clone() })
        }
    }
}
