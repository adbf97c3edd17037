//! Domain values from literals. A literal that isn't legal is a mistake in the test, and panics.
#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "builders are part of tests")]

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType as ArrowType, Field, Schema};
use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::ApiKey;
use gadwall_domain::audit::{AuditEntry, AuditOutcome};
use gadwall_domain::commit::{Change, Commit, WriteOrigin, WriteRecord};
use gadwall_domain::dataset::{DatasetName, ObjectName};
use gadwall_domain::events::{Event, ProjectFact};
use gadwall_domain::filter::{Assignment, Comparison, Filter, Literal};
use gadwall_domain::ids::{ApiKeyId, LakeId, RequestId, SnapshotId};
use gadwall_domain::layout::Layout;
use gadwall_domain::names::{BucketName, ColumnName, ProjectId};
use gadwall_domain::project::{Project, ProjectSize, ProjectStatus};
use gadwall_domain::quota::Quota;
use gadwall_domain::rows::{RowBatch, RowSource, RowsError, Violations};
use gadwall_domain::schema::{Column, DefaultValue, TableSchema};
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;
use uuid::Uuid;

use crate::access::digest;

/// The time at which tests happen: noon on the first of January 2026.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_268_800, 0).expect("a time in range")
}

/// So many seconds after [`noon`].
pub fn seconds_past_noon(seconds: i64) -> DateTime<Utc> {
    noon() + TimeDelta::seconds(seconds)
}

/// A project's id.
pub fn project_id(id: &str) -> ProjectId {
    ProjectId::parse(id).expect("a legal project id")
}

/// An active project made at [`noon`], with a lake that no project of another id has.
pub fn project(id: &str) -> Project {
    let id = project_id(id);
    Project {
        lake: LakeId::new(uuid_of(&id.folded())),
        id,
        name: None,
        settings: None,
        status: ProjectStatus::Active,
        deletion_protection: false,
        deletion: None,
        created_at: noon(),
        updated_at: noon(),
        size: ProjectSize::default(),
        quota: Quota::default(),
    }
}

/// A key of a project that may do everything there. `text` is its secret.
pub fn api_key(project: &str, text: &str) -> ApiKey {
    ApiKey::of_whole_project(ApiKeyId::new(uuid_of(text)), project_id(project), "admin", digest(text), noon())
}

/// The same UUID for the same text, another one for another.
fn uuid_of(text: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(text).0[..16]);
    Uuid::from_bytes(bytes)
}

/// A lake.
pub fn lake(number: u128) -> LakeId {
    LakeId::new(Uuid::from_u128(number))
}

/// A bucket's name.
pub fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).expect("a legal bucket name")
}

/// A dataset's name.
pub fn dataset(name: &str) -> DatasetName {
    DatasetName::parse(name).expect("a legal dataset name")
}

/// An object's name.
pub fn object(name: &str) -> ObjectName {
    ObjectName::parse(name).expect("a legal object name")
}

/// A table's name: `table` or `bucket.table`.
pub fn table(name: &str) -> TableRef {
    TableRef::parse(name).expect("a legal table name")
}

/// A request's id.
pub fn request(id: &str) -> RequestId {
    RequestId::parse(id).expect("a legal request id")
}

/// A write of the admin's.
pub fn origin(request_id: &str) -> WriteOrigin {
    WriteOrigin {
        key_id: None,
        address: None,
        request_id: request(request_id),
        traceparent: None,
        run_id: None,
        idempotency_key: None,
        fingerprint: None,
        began_at: None,
        files: Vec::new(),
    }
}

/// Names of columns.
pub fn names(names: &[&str]) -> Vec<ColumnName> {
    names.iter().map(|name| ColumnName::parse(name).expect("a legal column name")).collect()
}

/// A column that may be NULL.
pub fn column(name: &str, data_type: &str) -> Column {
    let name = ColumnName::parse(name).expect("a legal column name");
    Column::new(name, DataType::parse(data_type).expect("a legal type"))
}

/// A column that is never NULL.
pub fn required(name: &str, data_type: &str) -> Column {
    Column { nullable: false, ..column(name, data_type) }
}

/// A column with a default, given as a SQL literal.
pub fn defaulted(name: &str, data_type: &str, literal: &str) -> Column {
    let default = DefaultValue::parse(literal).expect("a literal");
    Column { default, ..column(name, data_type) }
}

/// A table's schema.
pub fn schema(columns: Vec<Column>, key: &[&str]) -> TableSchema {
    TableSchema::new(columns, names(key)).expect("columns and key that fit together")
}

/// A batch of text values: the names of its columns, then rows of them.
pub fn batch<const N: usize>(columns: [&str; N], rows: &[[Option<&str>; N]]) -> RowBatch {
    let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, ArrowType::Utf8, true)).collect();
    let values = |index: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[index]).collect::<StringArray>()) };
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..N).map(values).collect())
        .expect("columns of one length");
    RowBatch { rows, violations: Violations::default() }
}

/// Rows that arrive in these batches.
pub fn source(batches: Vec<RowBatch>) -> RowSource {
    stream(batches.into_iter().map(Ok).collect())
}

/// Rows that arrive like this, errors and all.
pub fn stream(items: Vec<Result<RowBatch, RowsError>>) -> RowSource {
    RowSource::Batches(Box::pin(futures_util::stream::iter(items)))
}

/// Rows of text values that arrive in one batch.
pub fn rows<const N: usize>(columns: [&str; N], rows: &[[Option<&str>; N]]) -> RowSource {
    source(vec![batch(columns, rows)])
}

/// The condition that a column compares so with a value.
pub fn compare(column: &str, operator: Comparison, value: &str) -> Filter {
    Filter::Compare { column: column_name(column), operator, value: Literal::new(value) }
}

/// The condition that a column is equal to a value.
pub fn equals(column: &str, value: &str) -> Filter {
    compare(column, Comparison::Eq, value)
}

/// A new value for a column, or NULL.
pub fn assign(column: &str, value: Option<&str>) -> Assignment {
    Assignment { column: column_name(column), value: value.map(Literal::new) }
}

/// A column's name.
pub fn column_name(name: &str) -> ColumnName {
    ColumnName::parse(name).expect("a legal column name")
}

/// A commit made so many seconds past noon as its snapshot counts.
pub fn commit(snapshot: u64, changes: Vec<Change>) -> Commit {
    let number = i64::try_from(snapshot).expect("a small snapshot");
    let write = |change| WriteRecord::new(origin(&format!("r{snapshot}")), change);
    Commit {
        snapshot: SnapshotId::new(number).expect("a snapshot"),
        committed_at: seconds_past_noon(number),
        writes: changes.into_iter().map(write).collect(),
    }
}

/// The change that makes a bucket.
pub fn bucket_created(name: &str, description: Option<&str>) -> Change {
    Change::BucketCreated { bucket: bucket(name), description: description.map(ToOwned::to_owned) }
}

/// The change that makes a table.
pub fn table_created(name: &str, schema: &TableSchema) -> Change {
    Change::TableCreated {
        table: table(name),
        columns: schema.columns().to_vec(),
        primary_key: schema.key_columns().to_vec(),
        layout: Layout::default(),
    }
}

/// The event that a project was created.
pub fn event(project: &str) -> Event {
    ProjectFact::Created.event(project_id(project), noon(), request("r1"))
}

/// The admin's doing something to a project.
pub fn audit_entry(project: &str, operation: &str) -> AuditEntry {
    AuditEntry {
        at: noon(),
        principal: "admin".to_owned(),
        operation: operation.to_owned(),
        project: Some(project_id(project)),
        resource: String::new(),
        address: None,
        outcome: AuditOutcome::Done,
        request_id: request("r1"),
        snapshot: None,
    }
}
