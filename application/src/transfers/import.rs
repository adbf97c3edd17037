//! Tables from files.

use std::sync::Arc;

use gadwall_domain::access::Scope;
use gadwall_domain::commit::{MAX_FILES, WriteOrigin};
use gadwall_domain::dataset::ObjectName;
use gadwall_domain::history::Expected;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationKind, Progress};
use gadwall_domain::ports::lake::{Committed, EngineFile, LakeWrite, LoadMode};
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;
use gadwall_domain::rows::RowSource;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;
use gadwall_domain::transfer::{FileFormat, FilePattern, FormatError, ObjectPath};
use serde_json::{Value, json};

use super::files::{Found, find};
use super::{FilesError, LIMIT, MAX_LISTED, Parts, Transfers};
use crate::caller::Caller;
use crate::contracts::Held;
use crate::error::{UseCaseError, about_table};
use crate::lineage::Attempt;
use crate::operations::{Running, Started};

/// An import to start.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// Into which table.
    pub table: TableRef,
    /// From which files.
    pub files: Vec<FilePattern>,
    /// What they are; what their names tell, without.
    pub format: Option<FileFormat>,
    /// What happens to the rows that are there.
    pub mode: LoadMode,
    /// Whether a table that isn't there is made, with columns as the files have them.
    pub create: bool,
}

/// Files that became part of a table.
#[derive(Debug, Clone)]
pub struct Registered {
    /// How many files.
    pub files: u64,
    /// The commit.
    pub committed: Committed,
}

/// An import whose caller may do it and whose files are there.
struct Import {
    project: Project,
    table: TableRef,
    /// The table's columns and key; none if it is to be made.
    schema: Option<Arc<TableSchema>>,
    found: Vec<Found>,
    format: FileFormat,
    mode: LoadMode,
    origin: WriteOrigin,
}

impl Transfers {
    /// Accepts an import.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %new.table))]
    pub async fn import(
        &self,
        caller: &Caller,
        project: &ProjectId,
        new: NewImport,
    ) -> Result<Operation, UseCaseError> {
        Ok(self.begin_import(caller, project, new).await?.operation)
    }

    pub(super) async fn begin_import(
        &self,
        caller: &Caller,
        project: &ProjectId,
        new: NewImport,
    ) -> Result<Started, UseCaseError> {
        let project = self.open_files(caller, project, Scope::Write).await?;
        let (table, schema) = self.target(caller, &project, &new).await?;
        let keyed = schema.as_ref().is_some_and(|schema| schema.primary_key().is_some());
        if new.mode == LoadMode::Upsert && !keyed {
            return Err(UseCaseError::NoKey(table));
        }
        // Told before the files are read; what they bring is looked at once it is known.
        self.parts.projects.require_room(&project, QuotaKind::TableBytes).await?;
        let found = find(&*self.parts.objects, &project, &new.files).await?;
        let format = match new.format {
            Some(format) => format,
            None => format_of(&found)?,
        };
        let subject = table.to_string();
        let (origin, mode) = (from_files(caller.origin(), &found), new.mode);
        let import = Import { project: project.clone(), table, schema, found, format, mode, origin };
        let parts = Arc::clone(&self.parts);
        let work = move |running| async move { import.carry_out(&parts, &running).await };
        self.parts.operations.start(caller, &project, OperationKind::Import, subject, work).await
    }

    async fn target(
        &self,
        caller: &Caller,
        project: &Project,
        new: &NewImport,
    ) -> Result<(TableRef, Option<Arc<TableSchema>>), UseCaseError> {
        match self.parts.tables.open(caller, &project.id, &new.table, Scope::Write).await {
            Ok(open) => Ok((new.table.clone(), Some(open.schema()))),
            Err(UseCaseError::NoTable { .. }) if new.create => {
                self.parts.access.open_bucket(caller, &project.id, &new.table.bucket, Scope::Manage).await?;
                Ok((new.table.clone(), None))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes Parquet files part of a table where they lie, all or none.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn register(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: TableRef,
        files: Vec<FilePattern>,
    ) -> Result<Registered, UseCaseError> {
        let project = self.open_files(caller, project, Scope::Write).await?;
        let open = self.parts.tables.open(caller, &project.id, &table, Scope::Write).await?;
        let found = find(&*self.parts.objects, &project, &files).await?;
        let size = found.iter().map(|found| found.size).sum();
        let room = self.parts.projects.reserve(&project, QuotaKind::TableBytes, size).await?;
        let files = found.iter().map(|found| found.file.clone()).collect();
        let schema = Arc::unwrap_or_clone(open.schema());
        let write = LakeWrite::RegisterFiles { table: table.clone(), schema, files, expected: Expected::ANY };
        let held = write.held().and_then(|(table, contract)| Held::new(table, contract));
        let (operation, origin) = (write.event_type(), from_files(caller.origin(), &found));
        let committed = match self.parts.lakes.write(project.lake, write, origin.clone()).await {
            Ok(committed) => committed,
            Err(error) => {
                self.parts.tables.refused(&project.id, held.as_ref(), &caller.request_id, &error).await;
                let tables = std::slice::from_ref(&table);
                let attempt = Attempt { project: &project.id, origin: &origin, operation, tables, sql: None };
                let error = about_table(&project.id, &table)(error);
                return Err(self.parts.tables.failed(&attempt, error).await);
            }
        };
        self.parts.after_change(&project, committed).await?;
        // They are in what was measured by now.
        drop(room);
        Ok(Registered { files: found.len() as u64, committed })
    }
}

impl Parts {
    async fn after_change(&self, project: &Project, committed: Committed) -> Result<(), UseCaseError> {
        self.projection.catch_up(project, Some(committed.snapshot)).await?;
        self.projects.refresh_size(project).await
    }
}

/// The origin of rows that were in files.
fn from_files(origin: WriteOrigin, found: &[Found]) -> WriteOrigin {
    let files = found.iter().take(MAX_FILES).filter_map(|found| ObjectPath::parse(&found.file.name).ok());
    WriteOrigin { files: files.collect(), ..origin }
}

fn format_of(found: &[Found]) -> Result<FileFormat, UseCaseError> {
    let names: Vec<&ObjectName> = found.iter().map(|found| &found.name).collect();
    let format = FileFormat::by_names(names, "read")?;
    format.ok_or_else(|| FilesError::Format(FormatError::Mixed).into())
}

impl Import {
    async fn carry_out(self, parts: &Parts, running: &Running) -> Result<Value, UseCaseError> {
        let (project, origin, table) = (self.project.id.clone(), self.origin.clone(), self.table.clone());
        let operation = LakeWrite::load_event(self.mode);
        match self.load(parts, running).await {
            Ok(done) => Ok(done),
            Err(error) => {
                let tables = std::slice::from_ref(&table);
                let attempt = Attempt { project: &project, origin: &origin, operation, tables, sql: None };
                Err(parts.tables.failed(&attempt, error).await)
            }
        }
    }

    async fn load(self, parts: &Parts, running: &Running) -> Result<Value, UseCaseError> {
        let files: Vec<EngineFile> = self.found.iter().map(|found| found.file.clone()).collect();
        let schema = match &self.schema {
            Some(schema) => TableSchema::clone(schema),
            None => {
                TableSchema::new(parts.bulk.infer(self.project.lake, &files, &self.format, LIMIT).await?, Vec::new())?
            }
        };
        let read = parts
            .bulk
            .read(self.project.lake, &files, &self.format, schema.columns(), running.watcher(None), LIMIT)
            .await?;
        let bytes = self.found.iter().map(|found| found.size).sum();
        running.progress(Progress { percent: None, rows: read.rows, bytes });
        let size = read.file.size().unwrap_or(bytes);
        let of_rows = parts.projects.reserve(&self.project, QuotaKind::TableBytes, size).await?;
        let of_table = match &self.schema {
            Some(_) => None,
            None => Some(parts.projects.reserve(&self.project, QuotaKind::Tables, 1).await?),
        };
        // Up to here it can be stopped; from here on it is a write like any other.
        running.seal()?;
        let made = match &self.schema {
            Some(_) => None,
            None => Some(self.make(parts, &schema).await?),
        };
        drop(of_table);
        let write = LakeWrite::Load {
            table: self.table.clone(),
            schema,
            mode: self.mode,
            rows: RowSource::Parquet(read.file),
            expected: Expected::ANY,
        };
        let held = write.held().and_then(|(table, contract)| Held::new(table, contract));
        match parts.lakes.write(self.project.lake, write, self.origin.clone()).await {
            Ok(committed) => {
                parts.after_change(&self.project, committed).await?;
                drop(of_rows);
                Ok(self.result(committed, bytes))
            }
            Err(error) => {
                parts.tables.refused(&self.project.id, held.as_ref(), &self.origin.request_id, &error).await;
                if let Some(made) = made {
                    self.unmake(parts, made).await;
                }
                Err(about_table(&self.project.id, &self.table)(error))
            }
        }
    }

    /// Makes the table, empty.
    async fn make(&self, parts: &Parts, schema: &TableSchema) -> Result<Committed, UseCaseError> {
        parts.projection.ensure(&self.project).await?;
        let write = LakeWrite::create_table(self.table.clone(), schema.clone());
        let written = parts.lakes.write(self.project.lake, write, self.unkeyed()).await;
        let committed = written.map_err(about_table(&self.project.id, &self.table))?;
        parts.after_change(&self.project, committed).await?;
        Ok(committed)
    }

    /// Drops the table that was made for rows that didn't fit, unless someone has used it since.
    async fn unmake(&self, parts: &Parts, made: Committed) {
        let expected = Expected { schema: Some(made.snapshot), rows: Some(made.snapshot) };
        let write = LakeWrite::DropTable { table: self.table.clone(), expected };
        match parts.lakes.write(self.project.lake, write, self.unkeyed()).await {
            Ok(committed) => {
                if let Err(error) = parts.after_change(&self.project, committed).await {
                    tracing::warn!(error = %error, "a table made for an import is gone, but still counted");
                }
            }
            Err(error) => tracing::warn!(error = %error, "a table made for an import that failed stays, empty"),
        }
    }

    /// The request's key stands for the load alone.
    fn unkeyed(&self) -> WriteOrigin {
        WriteOrigin { idempotency_key: None, fingerprint: None, ..self.origin.clone() }
    }

    fn result(&self, committed: Committed, bytes: u64) -> Value {
        let file = |found: &Found| json!({ "path": found.file.name, "size": found.size });
        json!({
            "rows": committed.rows.inserted + committed.rows.updated,
            "rows_inserted": committed.rows.inserted,
            "rows_updated": committed.rows.updated,
            "rows_deleted": committed.rows.deleted,
            "bytes": bytes,
            "snapshot_id": committed.snapshot.get(),
            "table_created": self.schema.is_none(),
            "file_count": self.found.len(),
            "files": self.found.iter().take(MAX_LISTED).map(file).collect::<Vec<_>>(),
        })
    }
}
