//! Records of governed tables: made from a schema of the ontology, and held to it.
//!
//! Their tables are ordinary ones of the bucket `main`, made with the schema's columns and rules. So rows are held to
//! these rules whichever way they come; here they are completed, named by their keys, and read as records.

mod error;
mod evolution;
mod intake;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use gadwall_domain::access::Scope;
use gadwall_domain::error::{Classify as _, ErrorKind};
use gadwall_domain::filter::{Assignment, Comparison, Filter, Literal};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::SortKey;
use gadwall_domain::names::{BucketName, ColumnName, ProjectId, TableName};
use gadwall_domain::ontology::{Filled, OntologySchema, Plan, Reading, Record, SchemaId, Surplus};
use gadwall_domain::ports::lake::{Lake, LoadMode};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::Project;
use gadwall_domain::rows::{RowSource, RowStream, Violation, Violations};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::{Table, TableRef};
use gadwall_domain::types::DataType;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::access::Access;
use crate::caller::Caller;
use crate::data::{Data, OpenedTable};
use crate::error::UseCaseError;
use crate::schemas::{Resolved, Schemas};
use crate::tables::{Edit, Meant, NewTable, OpenTable, Outcome, Tables};
use crate::versions::Version;

pub use error::GovernedError;
pub use evolution::{Affected, Evolution, obstacle_json, step_json};
pub use intake::{Document, Intake, Texts};

/// Most records of a request.
pub const MAX_RECORDS: usize = 10_000;

/// Columns that tell when a record was made or written; the newest come first.
const WHEN: [&str; 4] = ["creation_date", "created_at", "last_updated", "updated_at"];

/// What the use cases work with.
pub struct Parts {
    /// Tables.
    pub tables: Arc<Tables>,
    /// Reading them.
    pub data: Arc<Data>,
    /// Schemas.
    pub schemas: Arc<Schemas>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Metadata.
    pub store: Arc<dyn MetadataStore>,
    /// The projects' lakes.
    pub lakes: Arc<dyn Lake>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub ids: Arc<dyn IdGenerator>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// The use cases of governed tables and their records.
pub struct Records {
    tables: Arc<Tables>,
    data: Arc<Data>,
    schemas: Arc<Schemas>,
    access: Arc<Access>,
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn Lake>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records")
    }
}

/// New records, complete, and the table that they go into.
#[derive(Debug)]
pub struct NewRecords {
    open: OpenTable,
    /// The schema they were completed by.
    pub schema: Resolved,
    /// JSON: a list of objects.
    pub json: String,
    /// The key of each.
    pub keys: Vec<Map<String, Value>>,
    /// What is wrong with them already.
    violations: Violations,
}

impl NewRecords {
    /// The columns that they must fit.
    pub fn columns(&self) -> Arc<TableSchema> {
        self.open.schema()
    }
}

/// Records that were kept.
#[derive(Debug, Clone)]
pub struct Inserted {
    /// The key of each.
    pub keys: Vec<Map<String, Value>>,
    /// The schema they were completed by.
    pub schema: Resolved,
    /// The snapshot they stand in.
    pub snapshot: Option<SnapshotId>,
}

/// Whether a governed table is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The table.
    pub table: TableRef,
    /// Whether it wasn't there.
    pub is_new: bool,
}

impl Records {
    /// Works on these.
    pub fn new(parts: Parts) -> Self {
        let Parts { tables, data, schemas, access, store, lakes, clock, ids } = parts;
        Self { tables, data, schemas, access, store, lakes, clock, ids }
    }

    /// The table of the built-in schema.
    pub fn builtin_table(&self) -> TableRef {
        in_main(self.schemas.builtin().name.clone())
    }

    /// Makes the table of a schema, as the server has it now. One that is there gets what it lacks, as long as that breaks
    /// nobody.
    #[tracing::instrument(skip_all, fields(project.id = %project, schema.id = %id.unwrap_or(self.schemas.builtin_id())))]
    pub async fn initialize(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: Option<&SchemaId>,
    ) -> Result<(Made, Resolved), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &BucketName::main(), Scope::Manage).await?;
        let to = self.schemas.fresh(id.unwrap_or(self.schemas.builtin_id())).await?;
        let table = in_main(to.schema.name.clone());
        let new = NewTable::from(to.schema.table().clone());
        let made = match self.tables.create(caller, &project.id, table.clone(), new).await {
            Ok(made) => {
                self.govern(&project, &made.name, &to, None).await?;
                Made { table: made.name, is_new: true }
            }
            Err(UseCaseError::TableExists { .. }) => self.bring_up(caller, &project, &table, &to).await?,
            Err(error) => return Err(error),
        };
        Ok((made, to))
    }

    /// Gives a table that is there what it lacks, as long as that breaks nobody; otherwise it stays as it is, and its plan
    /// tells what it lacks.
    async fn bring_up(
        &self,
        caller: &Caller,
        project: &Project,
        table: &TableRef,
        to: &Resolved,
    ) -> Result<Made, UseCaseError> {
        let found = self.tables.require_at(project, table, ReadAt::Head).await?;
        let plan = Plan::between(&found.schema, &to.schema, Surplus::Keep);
        if !plan.is_breaking() && plan.obstacles.is_empty() {
            let steps = plan.steps.into_iter().map(|step| step.alteration).collect();
            let snapshot = self.alter(caller, project, &found.name, (&found.schema, steps)).await?;
            self.govern(project, &found.name, to, snapshot).await?;
        }
        Ok(Made { table: found.name, is_new: false })
    }

    /// Completes new records: objects as JSON text.
    pub async fn prepare(
        &self,
        caller: &Caller,
        project: &ProjectId,
        entity: &TableName,
        texts: &[&str],
        reading: Reading,
    ) -> Result<NewRecords, UseCaseError> {
        let schema = self.schema_of(caller, project, entity, Scope::Write).await?;
        if texts.is_empty() || texts.len() > MAX_RECORDS {
            return Err(GovernedError::TooMany { count: texts.len(), max: MAX_RECORDS }.into());
        }
        let table = in_main(entity.clone());
        let open = self.tables.open(caller, project, &table, Scope::Write).await.map_err(not_yet)?;
        let (mut records, mut keys) = (Vec::with_capacity(texts.len()), Vec::with_capacity(texts.len()));
        let mut violations = Violations::default();
        for (index, text) in texts.iter().enumerate() {
            let filled = Filled { uuid: new_id(&*self.ids, caller, index), now: self.clock.now() };
            let row = index as u64 + 1;
            let record = Record::complete(text, &schema.schema, reading, &filled)
                .map_err(|source| GovernedError::Record { row, source })?;
            if reading == Reading::Lenient {
                require_fillable(&record, self.schemas.builtin())?;
            }
            record.findings.into_iter().for_each(|(column, reason)| violations.push(violation(row, &column, reason)));
            records.push(record.json);
            keys.push(record.key);
        }
        Ok(NewRecords { open, schema, json: format!("[{}]", records.join(",")), keys, violations })
    }

    /// Keeps new records, all or none: the rows are what their JSON says.
    pub async fn insert(&self, caller: &Caller, new: NewRecords, rows: RowSource) -> Result<Inserted, UseCaseError> {
        let NewRecords { open, schema, keys, violations, .. } = new;
        let rows = with_violations(rows, violations);
        let done = self.tables.load(caller, open, LoadMode::Append, rows, Meant::default()).await?;
        Ok(Inserted { keys, schema, snapshot: done.snapshot })
    }

    /// Opens the table of an entity to read its records; none before it is made.
    pub async fn open(
        &self,
        caller: &Caller,
        project: &ProjectId,
        entity: &TableName,
        at: Option<SnapshotId>,
    ) -> Result<Option<OpenedTable>, UseCaseError> {
        let version = at.map_or(Version::Head, Version::Snapshot);
        match self.data.open(caller, project, &in_main(entity.clone()), &version).await {
            Ok(opened) => {
                self.require_governed(caller, project, entity).await?;
                Ok(Some(opened))
            }
            Err(UseCaseError::NoTable { .. } | UseCaseError::NoBucket { .. }) => {
                self.require_governed(caller, project, entity).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads records of an opened table.
    pub async fn read(
        &self,
        opened: &OpenedTable,
        selection: Selection,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), UseCaseError> {
        self.data.rows(opened, selection, timeout).await
    }

    /// Changes a record: an object of fields and new values.
    pub async fn change(
        &self,
        caller: &Caller,
        project: &ProjectId,
        entity: &TableName,
        id: &str,
        text: &str,
    ) -> Result<(Outcome, Resolved), UseCaseError> {
        let schema = self.schema_of(caller, project, entity, Scope::Write).await?;
        let filled = Filled { uuid: Uuid::nil(), now: self.clock.now() };
        let set =
            Record::change(text, &schema.schema, &filled).map_err(|source| GovernedError::Record { row: 1, source })?;
        let table = in_main(entity.clone());
        if !set.findings.is_empty() {
            let mut violations = Violations::default();
            set.findings.into_iter().for_each(|(column, reason)| violations.push(violation(1, &column, reason)));
            return Err(UseCaseError::Violations { table, violations });
        }
        let read = |known: &TableSchema| {
            let filter = one(&table, known, id)?;
            Ok(Edit::Update { filter, set: Assignment::parse_all(&set.json, known.columns())? })
        };
        let done =
            self.tables.edit(caller, project, &table, read, meant()).await.map_err(|error| absent(error, entity))?;
        if done.rows.updated == 0 { Err(no_record(entity).into()) } else { Ok((done, schema)) }
    }

    /// Deletes a record.
    pub async fn delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        entity: &TableName,
        id: &str,
    ) -> Result<Outcome, UseCaseError> {
        self.access.open_bucket(caller, project, &BucketName::main(), Scope::Write).await?;
        self.require_governed(caller, project, entity).await?;
        let table = in_main(entity.clone());
        let read = |known: &TableSchema| Ok(Edit::Delete { filter: Some(one(&table, known, id)?) });
        let done = self
            .tables
            .edit(caller, project, &table, read, meant())
            .await
            .map_err(|error| unless_found(entity, Some(absent(error, entity))))?;
        if done.rows.deleted == 0 { Err(no_record(entity).into()) } else { Ok(done) }
    }

    /// Deletes a table, governed or not.
    pub async fn delete_table(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
    ) -> Result<(), UseCaseError> {
        self.tables.delete(caller, project, table, Expected::ANY).await?;
        let mut tx = self.store.write().await?;
        tx.schemas().release(project, Some(table)).await?;
        Ok(tx.commit().await?)
    }

    /// The schema that an entity's records are held to.
    async fn schema_of(
        &self,
        caller: &Caller,
        project: &ProjectId,
        entity: &TableName,
        scope: Scope,
    ) -> Result<Resolved, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &BucketName::main(), scope).await?;
        let id = self.governing(&project, entity).await?.1;
        let found = self.schemas.current(&id).await?;
        if found.schema.name != *entity {
            return Err(GovernedError::OtherTable { id, name: found.schema.name.to_string() }.into());
        }
        Ok(found)
    }

    /// Whether a table of that name was made from a schema, and from which; else the schema that it would be made from.
    async fn governing(&self, project: &Project, entity: &TableName) -> Result<(bool, SchemaId), UseCaseError> {
        let table = in_main(entity.clone());
        if let Some(noted) = self.store.read().await?.schemas().governed(&project.id, &table).await? {
            return Ok((true, noted.schema));
        }
        let is_builtin = table == self.builtin_table();
        let id = SchemaId::parse(entity.as_str()).ok().filter(|_| !is_builtin);
        Ok((is_builtin, id.unwrap_or_else(|| self.schemas.builtin_id().clone())))
    }

    /// Records are read without their schema, if only there is one.
    async fn require_governed(
        &self,
        caller: &Caller,
        project: &ProjectId,
        entity: &TableName,
    ) -> Result<(), UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        match self.governing(&project, entity).await? {
            (true, _) => Ok(()),
            (false, id) => self.schemas.current(&id).await.map(drop),
        }
    }
}

/// A random id; the same for each attempt of a request that may be repeated.
fn new_id(ids: &dyn IdGenerator, caller: &Caller, index: usize) -> Uuid {
    let Some(request) = &caller.idempotency else { return Builder::from_random_bytes(ids.secret()).into_uuid() };
    let digest = Sha256::digest(format!("{}\n{}\n{index}", caller.label(), request.key));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

fn violation(row: u64, column: &ColumnName, reason: String) -> Violation {
    Violation { row, column: Some(column.to_string()), reason }
}

/// The same rows, with what was found wrong in them before.
fn with_violations(rows: RowSource, found: Violations) -> RowSource {
    match rows {
        RowSource::Batches(batches) if !found.is_empty() => {
            let mut found = Some(found);
            RowSource::Batches(Box::pin(batches.map(move |batch| {
                let mut batch = batch?;
                if let Some(found) = found.take() {
                    batch.violations.merge(found);
                }
                Ok(batch)
            })))
        }
        rows => rows,
    }
}

fn meant() -> Meant {
    Meant { expected: Expected::ANY, dry_run: false }
}

fn in_main(table: TableName) -> TableRef {
    TableRef { bucket: BucketName::main(), table }
}

/// A table that isn't there can be made.
fn not_yet(error: UseCaseError) -> UseCaseError {
    match error {
        UseCaseError::NoTable { table, .. } => GovernedError::NotInitialized(table).into(),
        error => error,
    }
}

/// Where there is no table, or the name fits no key, there is no such record.
fn absent(error: UseCaseError, entity: &TableName) -> UseCaseError {
    match error {
        UseCaseError::NoTable { .. } | UseCaseError::NoBucket { .. } => no_record(entity).into(),
        error => error,
    }
}

fn no_record(entity: &TableName) -> GovernedError {
    GovernedError::NoRecord(entity.clone())
}

/// Refuses a record of which a required field is missing that older clients don't know. (The others are refused with all
/// else that doesn't fit.)
fn require_fillable(record: &Record, known: &OntologySchema) -> Result<(), GovernedError> {
    let unknown = |column: &&ColumnName| known.field(column).is_none();
    let missing: Vec<ColumnName> = record.missing.iter().filter(unknown).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(GovernedError::CannotBeFilled(missing)) }
}

/// Means the record of a key.
fn one(table: &TableRef, schema: &TableSchema, id: &str) -> Result<Filter, UseCaseError> {
    let [key] = schema.key_columns() else { return Err(GovernedError::NoSingleKey(table.clone()).into()) };
    let is_uuid = schema.column(key).is_some_and(|column| column.data_type == DataType::Uuid);
    if is_uuid && Uuid::parse_str(id).is_err() {
        return Err(no_record(&table.table).into());
    }
    Ok(Filter::Compare { column: key.clone(), operator: Comparison::Eq, value: Literal::new(id) })
}

/// Means the record of a key in a table that was opened.
pub fn record_of(table: &Table, id: &str) -> Result<Selection, UseCaseError> {
    let filter = one(&table.name, &table.schema, id)?;
    Ok(Selection { filter: Some(filter), limit: Some(1), ..Selection::default() })
}

/// No such record of an entity: also if the name isn't a value of the key.
pub fn unless_found(entity: &TableName, error: Option<UseCaseError>) -> UseCaseError {
    match error {
        None => no_record(entity).into(),
        Some(error @ UseCaseError::Governed(_)) => error,
        Some(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unprocessable) => {
            no_record(entity).into()
        }
        Some(error) => error,
    }
}

/// The order in which records come unless told: the newest first, and then by their key.
pub fn newest_first(table: &TableSchema) -> Vec<SortKey> {
    let when = WHEN.iter().filter_map(|name| ColumnName::parse(name).ok());
    let when = when.filter(|name| table.column(name).is_some());
    let when = when.map(|column| SortKey { column, descending: true, nulls_first: false });
    let key = table.key_columns().iter().cloned();
    when.chain(key.map(|column| SortKey { column, descending: false, nulls_first: false })).collect()
}
