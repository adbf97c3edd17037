//! Files from tables and queries.

use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::Scope;
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::dataset::ContentType;
use gadwall_domain::filter::Filter;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::lineage::{Export, MAX_ORIGINS, Means, Origin, Origins};
use gadwall_domain::names::{ColumnName, ProjectId};
use gadwall_domain::operation::{Operation, OperationKind, Progress};
use gadwall_domain::ports::transfer::{ExportSource, Exported};
use gadwall_domain::project::Project;
use gadwall_domain::query::{NamedFiles, Parameters, Query, QueryError, ReadScope};
use gadwall_domain::quota::QuotaKind;
use gadwall_domain::selection::Selection;
use gadwall_domain::sharing::SourceBucket;
use gadwall_domain::table::TableRef;
use gadwall_domain::transfer::{FileFormat, ObjectPath};
use serde_json::{Value, json};

use super::{LIMIT, Parts, Transfers};
use crate::caller::Caller;
use crate::datasets::{about_dataset, about_object};
use crate::error::UseCaseError;
use crate::lineage::ExportAttempt;
use crate::operations::{Running, Started};
use crate::sharing::{Reading, is_open, note_linked, reading};

/// Longest time that looking for the files of a statement may take.
const RESOLVE: Duration = Duration::from_secs(30);

/// What is exported.
#[derive(Debug, Clone)]
pub enum ExportOf {
    /// A part of a table.
    Table {
        /// Which table.
        table: TableRef,
        /// Only these columns; all without.
        columns: Option<Vec<ColumnName>>,
        /// Only rows that fit, as clients write conditions; all without.
        filter: Option<Value>,
    },
    /// A statement's result.
    Query(String),
}

/// An export to start.
#[derive(Debug, Clone)]
pub struct NewExport {
    /// What is exported.
    pub of: ExportOf,
    /// As of this version; the newest, without.
    pub snapshot: Option<SnapshotId>,
    /// Into which file.
    pub to: ObjectPath,
    /// In which format.
    pub format: FileFormat,
}

impl Transfers {
    /// Accepts an export.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn export(
        &self,
        caller: &Caller,
        project: &ProjectId,
        new: NewExport,
    ) -> Result<Operation, UseCaseError> {
        Ok(self.begin_export(caller, project, new).await?.operation)
    }

    pub(super) async fn begin_export(
        &self,
        caller: &Caller,
        project: &ProjectId,
        new: NewExport,
    ) -> Result<Started, UseCaseError> {
        self.open_files(caller, project, Scope::Read).await?;
        let project = self.open_files(caller, project, Scope::Write).await?;
        let there = self.parts.objects.engine_location(project.lake, &new.to.dataset).await;
        there.map_err(about_dataset(&project.id, &new.to.dataset))?;
        self.parts.projects.require_room(&project, QuotaKind::DatasetBytes).await?;
        let read = match &new.of {
            ExportOf::Table { table, .. } => {
                self.parts.access.open_to_read(caller, &project.id, &table.bucket).await?.project
            }
            ExportOf::Query(_) => project.clone(),
        };
        let at = self.version(&read, new.snapshot).await?;
        let subject = match &new.of {
            ExportOf::Table { table, .. } => table.to_string(),
            ExportOf::Query(_) => "query".to_owned(),
        };
        let told = Told::of(caller, &new);
        let (source, stored_bytes, linked) = self.source(caller, &project, new.of, at).await?;
        let (parts, of_project) = (Arc::clone(&self.parts), project.clone());
        // A table's own files say about how large the new one gets.
        let expected = stored_bytes.filter(|_| matches!(new.format, FileFormat::Parquet(_)));
        let work = move |running| async move {
            match carry_out(&parts, &of_project, (source, linked), &new.to, &new.format, expected, &running).await {
                Ok((done, exported)) => {
                    told.tell(&parts, &of_project, &new.to, &exported).await;
                    Ok(done)
                }
                Err(error) => {
                    told.tell_failure(&parts, &of_project, &new.to, &error).await;
                    Err(error)
                }
            }
        };
        self.parts.operations.start(caller, &project, OperationKind::Export, subject, work).await
    }

    async fn version(&self, project: &Project, snapshot: Option<SnapshotId>) -> Result<ReadAt, UseCaseError> {
        let Some(snapshot) = snapshot else { return Ok(ReadAt::Head) };
        if snapshot > self.parts.lakes.head(project.lake).await? {
            return Err(UseCaseError::NoSnapshot { project: project.id.clone(), snapshot: snapshot.get().to_string() });
        }
        Ok(ReadAt::Snapshot(snapshot))
    }

    /// What to read; of a whole table, the bytes of its files; and the linked buckets that are read.
    async fn source(
        &self,
        caller: &Caller,
        project: &Project,
        of: ExportOf,
        at: ReadAt,
    ) -> Result<(ExportSource, Option<u64>, Vec<SourceBucket>), UseCaseError> {
        let (table, chosen, filter) = match of {
            ExportOf::Query(sql) => {
                let files = match &self.parts.files {
                    Some(files) => files.resolve(caller, project, [sql.as_str()], RESOLVE).await?,
                    None => NamedFiles::default(),
                };
                let (access, lakes) = (&self.parts.access, &*self.parts.lakes);
                let Reading { links, sources } = reading(access, lakes, caller, project, [sql.as_str()], None).await?;
                let scope = ReadScope { lake: project.lake, only_bucket: None, at, files, links };
                let query = Query { sql, parameters: Parameters::None, default_bucket: None, timeout: LIMIT };
                return Ok((ExportSource::Query { scope, query }, None, sources));
            }
            ExportOf::Table { table, columns, filter } => (table, columns, filter),
        };
        let place = self.parts.access.open_to_read(caller, &project.id, &table.bucket).await?;
        let (lake, asked) = (place.project.lake, place.table(&table));
        let at = match place.link.as_ref().and_then(|link| link.snapshot) {
            Some(pinned) if at == ReadAt::Head => ReadAt::Snapshot(pinned),
            Some(pinned) if at != ReadAt::Snapshot(pinned) => {
                let reason = format!("bucket {} is linked as of snapshot {pinned} alone", table.bucket);
                return Err(UseCaseError::Invalid(reason));
            }
            _ => at,
        };
        let stored = match at {
            // Tells what of it is missing.
            ReadAt::Head => {
                let found = self.parts.tables.require_at(&place.project, &asked, at).await;
                let found = found.map_err(|error| place.told(error))?;
                Some((found.name, found.schema.columns().to_vec(), found.size))
            }
            ReadAt::Snapshot(_) => {
                let found = self.parts.lakes.table(lake, &asked.bucket, &asked.table, at).await?;
                found.map(|found| (found.name, found.columns, found.size))
            }
        };
        let missing = || UseCaseError::NoTable { project: project.id.clone(), table: table.clone() };
        let (table, columns, size) = stored.ok_or_else(missing)?;
        let filter = filter.map(|document| Filter::parse(&document.to_string(), &columns)).transpose()?;
        let selection = Selection { columns: chosen, filter, ..Selection::default() };
        if selection.columns.as_ref().is_some_and(Vec::is_empty) {
            return Err(UseCaseError::BadFilter("columns is empty; leave it out for all of them".to_owned()));
        }
        if let Some(unknown) =
            selection.columns.iter().flatten().find(|name| !columns.iter().any(|column| column.name == **name))
        {
            return Err(UseCaseError::BadFilter(format!("the table has no column {unknown}")));
        }
        let stored_bytes = (selection == Selection::default()).then_some(size.size_bytes);
        let linked = place.link.into_iter().map(|link| link.source).collect();
        Ok((ExportSource::Table { lake, table, selection, at }, stored_bytes, linked))
    }
}

async fn carry_out(
    parts: &Parts,
    project: &Project,
    (source, linked): (ExportSource, Vec<SourceBucket>),
    to: &ObjectPath,
    format: &FileFormat,
    expected: Option<u64>,
    running: &Running,
) -> Result<(Value, Exported), UseCaseError> {
    // Entered first: whoever ends a share from now on finds it.
    let read = parts.access.link_reads().begin(&project.id, linked.clone());
    let links = match &source {
        ExportSource::Query { scope, .. } => scope.links.clone(),
        ExportSource::Table { .. } => Vec::new(),
    };
    let table = match &source {
        ExportSource::Query { .. } => None,
        ExportSource::Table { table, .. } => Some(table.table.clone()),
    };
    let exported = read
        .during(async {
            if !is_open(&parts.access, &project.id, &linked).await? {
                return Err(QueryError::Cancelled.into());
            }
            Ok::<_, UseCaseError>(parts.bulk.export(source, format, running.watcher(expected), LIMIT).await?)
        })
        .await?;
    note_linked(&parts.access, &project.id, &links, &linked, &exported.linked);
    if let (Some(table), [source]) = (&table, &linked[..]) {
        parts.access.note_read(source, table, &project.id);
    }
    running.progress(Progress { percent: None, rows: exported.rows, bytes: exported.bytes });
    let room = parts.projects.reserve(project, QuotaKind::DatasetBytes, exported.bytes).await?;
    // Up to here it can be stopped; the rest is quick, and whole or not at all.
    running.seal()?;
    let path = exported.file.path().to_owned();
    let content_type = ContentType::guess(&to.object);
    let stored = parts.objects.adopt(project.lake, &to.dataset, &to.object, path, content_type).await;
    let stored = stored.map_err(about_object(&project.id, &to.dataset, &to.object))?;
    room.keep_as(stored.info.size);
    let done = json!({
        "rows": exported.rows,
        "bytes": stored.info.size,
        "snapshot_id": exported.snapshot.get(),
        "file_count": 1,
        "files": [{ "path": to.to_string(), "size": stored.info.size, "etag": stored.info.etag }],
    });
    Ok((done, exported))
}

/// What lineage is told of an export.
struct Told {
    origin: WriteOrigin,
    sql: Option<String>,
    /// The table, as its caller names it, if it is one's.
    table: Option<TableRef>,
    /// Whether only some of its rows are exported.
    some: bool,
}

impl Told {
    fn of(caller: &Caller, new: &NewExport) -> Self {
        let (sql, table, some) = match &new.of {
            ExportOf::Query(sql) => (Some(sql.clone()), None, false),
            ExportOf::Table { table, filter, .. } => (None, Some(table.clone()), filter.is_some()),
        };
        Self { origin: caller.origin(), sql, table, some }
    }

    /// Tells why nothing came of it.
    async fn tell_failure(&self, parts: &Parts, project: &Project, to: &ObjectPath, error: &UseCaseError) {
        let (origin, table, sql) = (&self.origin, self.table.as_ref(), self.sql.as_deref());
        let attempt = ExportAttempt { project: &project.id, origin, table, sql, to };
        parts.tables.tell_failed_export(&attempt, error).await;
    }

    /// Tells it. Which columns a statement's come from isn't followed.
    async fn tell(self, parts: &Parts, project: &Project, to: &ObjectPath, exported: &Exported) {
        let mut reads = exported.reads.clone();
        let mut origins = Origins { partial: self.some || self.sql.is_some(), ..Origins::default() };
        if let Some(table) = self.table {
            for (column, _) in &exported.columns {
                let origin =
                    Origin { table: table.clone(), column: column.clone(), means: Means::Identity, masking: false };
                origins.columns.insert(column.clone(), [origin].into());
            }
            reads.insert(table);
        }
        let export = Export {
            origin: &self.origin,
            reads: &reads,
            origins: &origins.bounded(MAX_ORIGINS),
            snapshot: exported.snapshot,
            sql: self.sql.as_deref(),
            to,
            columns: &exported.columns,
            rows: exported.rows,
            bytes: exported.bytes,
        };
        parts.tables.tell_export(&project.id, &export).await;
    }
}
