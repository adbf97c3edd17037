//! The documents of the API.

use chrono::{DateTime, Utc};
use gadwall_application::caller::Caller;
use gadwall_application::tables::{NewTable, Outcome};
use gadwall_domain::bucket::Bucket;
use gadwall_domain::history::TableVersion;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::layout::{Layout, Partition, SortKey};
use gadwall_domain::names::ColumnName;
use gadwall_domain::project::{Project, ProjectSize};
use gadwall_domain::schema::{Column, DefaultValue, SchemaError, TableSchema};
use gadwall_domain::table::{Comments, Table};
use gadwall_domain::types::DataType;
use poem_openapi::Object;
use poem_openapi::types::{Any, Example};
use serde_json::{Map, Value};

use super::checks::ChecksBody;
use crate::problem::{ApiError, ApiResult};

/// A JSON object of any content.
pub(crate) type JsonObject = Any<Map<String, Value>>;

/// A project.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Project")]
pub(crate) struct ProjectBody {
    /// Its id.
    id: String,
    /// Display name.
    name: Option<String>,
    /// Name of its storage, for older clients.
    db_path: String,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// When name, settings or status last changed.
    updated_at: DateTime<Utc>,
    /// Bytes of table data.
    size_bytes: u64,
    /// Tables in all buckets.
    table_count: u64,
    /// Buckets.
    bucket_count: u64,
    /// `active` or `deleted`.
    status: String,
    /// What its owner keeps beside it.
    settings: Option<JsonObject>,
    /// Whether it can't be deleted until this is taken back.
    deletion_protection: bool,
    /// When it was deleted.
    #[oai(skip_serializing_if_is_none)]
    deleted_at: Option<DateTime<Utc>>,
    /// Until when a deleted project can be brought back; then its data goes.
    #[oai(skip_serializing_if_is_none)]
    purge_after: Option<DateTime<Utc>>,
    /// When a deleted project's data was gone.
    #[oai(skip_serializing_if_is_none)]
    purged_at: Option<DateTime<Utc>>,
    /// Bytes of files that went with it.
    #[oai(skip_serializing_if_is_none)]
    freed_bytes: Option<u64>,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> Self {
        Self {
            db_path: format!("project_{}", project.id),
            id: project.id.to_string(),
            name: project.name,
            created_at: project.created_at,
            updated_at: project.updated_at,
            size_bytes: project.size.size_bytes,
            table_count: project.size.table_count,
            bucket_count: project.size.bucket_count,
            status: project.status.as_str().to_owned(),
            settings: project.settings.map(Any),
            deletion_protection: project.deletion_protection,
            deleted_at: project.deletion.map(|deletion| deletion.at),
            purge_after: project.deletion.map(|deletion| deletion.purge_after),
            purged_at: project.deletion.and_then(|deletion| deletion.purged_at),
            freed_bytes: project.deletion.filter(|deletion| deletion.purged_at.is_some()).map(|it| it.freed_bytes),
        }
    }
}

/// What a repeated creation says in place of another secret.
pub(crate) const SECRET_WAS_SHOWN: &str = "the secret was shown once, in the first answer to this request";
/// What a repeated creation says in place of the key.
pub(crate) const KEY_WAS_SHOWN: &str = "the API key was shown once, in the first answer to this request";

/// A new project with its first key. The key is shown only here.
#[derive(Debug, Clone, Object)]
#[oai(rename = "CreatedProject")]
pub(crate) struct CreatedProjectBody {
    /// The project.
    #[oai(flatten)]
    project: ProjectBody,
    /// Opens the project with all scopes. Keep it: only its hash is stored. Missing when the request was repeated.
    #[oai(skip_serializing_if_is_none)]
    api_key: Option<String>,
    /// Says so.
    #[oai(skip_serializing_if_is_none)]
    api_key_note: Option<String>,
}

impl CreatedProjectBody {
    pub(crate) fn new(project: Project, api_key: Option<String>) -> Self {
        let api_key_note = api_key.is_none().then(|| KEY_WAS_SHOWN.to_owned());
        Self { project: project.into(), api_key, api_key_note }
    }
}

/// What a new project should be.
#[derive(Debug, Clone, Object)]
pub(crate) struct CreateProject {
    /// 1–64 characters of `A-Z a-z 0-9 _ -`, unique without regard to case, never reused.
    pub(crate) id: String,
    /// Display name.
    pub(crate) name: Option<String>,
    /// Anything to keep beside it.
    pub(crate) settings: Option<JsonObject>,
    /// Whether it can't be deleted until this is taken back.
    pub(crate) deletion_protection: Option<bool>,
}

/// What to change of a project; what is left out stays.
#[derive(Debug, Clone, Object)]
pub(crate) struct UpdateProject {
    /// Display name.
    pub(crate) name: Option<String>,
    /// Anything to keep beside it; replaces what was kept.
    pub(crate) settings: Option<JsonObject>,
    /// Whether it can't be deleted until this is taken back.
    pub(crate) deletion_protection: Option<bool>,
}

/// A page of projects.
#[derive(Debug, Clone, Object)]
pub(crate) struct ProjectList {
    /// The projects, newest first.
    pub(crate) projects: Vec<ProjectBody>,
    /// How many match in all.
    pub(crate) total: u64,
}

/// How much a project holds.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ProjectStats")]
pub(crate) struct StatsBody {
    /// The project's id.
    id: String,
    /// Bytes of table data.
    size_bytes: u64,
    /// Tables in all buckets.
    table_count: u64,
    /// Buckets.
    bucket_count: u64,
}

impl StatsBody {
    pub(crate) fn new(id: String, size: ProjectSize) -> Self {
        let ProjectSize { size_bytes, table_count, bucket_count } = size;
        Self { id, size_bytes, table_count, bucket_count }
    }
}

/// A bucket.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Bucket")]
pub(crate) struct BucketBody {
    /// Its name.
    name: String,
    /// Tables in it.
    table_count: u64,
    /// What it is for.
    description: Option<String>,
    /// Whether it shows another project's bucket.
    is_linked: bool,
    /// The project it shows.
    source_project_id: Option<String>,
    /// The bucket it shows.
    source_bucket_name: Option<String>,
}

impl From<Bucket> for BucketBody {
    fn from(bucket: Bucket) -> Self {
        Self {
            name: bucket.name.to_string(),
            table_count: bucket.table_count,
            description: bucket.description,
            is_linked: bucket.source.is_some(),
            source_project_id: bucket.source.as_ref().map(|source| source.project.to_string()),
            source_bucket_name: bucket.source.map(|source| source.bucket.to_string()),
        }
    }
}

/// What a new bucket should be.
#[derive(Debug, Clone, Object)]
pub(crate) struct CreateBucket {
    /// 1–64 characters of `A-Z a-z 0-9 _ -`, unique in the project without regard to case.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
}

/// A project's buckets.
#[derive(Debug, Clone, Object)]
pub(crate) struct BucketList {
    /// The buckets, by name.
    pub(crate) buckets: Vec<BucketBody>,
    /// How many there are.
    pub(crate) total: u64,
}

/// A column of a table.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Column")]
pub(crate) struct ColumnBody {
    /// Its name.
    name: String,
    /// Its type, as DuckDB spells it, with the declared length.
    #[oai(rename = "type")]
    data_type: String,
    /// Whether it may be null.
    nullable: bool,
    /// What a row gets that doesn't mention it.
    #[oai(skip_serializing_if_is_none)]
    default: Option<String>,
    /// What its values are held to beside its type.
    #[oai(skip_serializing_if_is_none)]
    checks: Option<ChecksBody>,
    /// What it is for.
    #[oai(skip_serializing_if_is_none)]
    comment: Option<String>,
    /// Its place, from 1.
    ordinal_position: u32,
}

/// The columns of a table, in order.
pub(crate) fn columns(schema: &TableSchema, comments: &Comments) -> Vec<ColumnBody> {
    let body = |(index, column): (usize, &Column)| ColumnBody {
        name: column.name.to_string(),
        data_type: column.data_type.spelling(),
        nullable: column.nullable,
        default: column.default.as_ref().map(|default| default.literal(&column.data_type)),
        checks: ChecksBody::of(&column.checks),
        comment: comments.columns.get(&column.name).cloned(),
        ordinal_position: u32::try_from(index + 1).unwrap_or(u32::MAX),
    };
    schema.columns().iter().enumerate().map(body).collect()
}

/// A table.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Table")]
pub(crate) struct TableBody {
    /// Its name.
    name: String,
    /// The bucket it is in.
    bucket: String,
    /// Its columns, in order.
    columns: Vec<ColumnBody>,
    /// Rows.
    row_count: u64,
    /// Bytes of its data files.
    size_bytes: u64,
    /// The columns of its primary key; empty without one.
    primary_key: Vec<String>,
    /// How its files are kept apart.
    partition_by: Vec<String>,
    /// How rows are ordered in its files.
    sort_by: Vec<String>,
    /// What it is for.
    #[oai(skip_serializing_if_is_none)]
    comment: Option<String>,
    /// Its version: the last snapshots that changed its shape and its rows. `If-Match` takes it in quotes.
    version: String,
    /// When it was created.
    created_at: Option<DateTime<Utc>>,
    /// `main`: the table is the project's own.
    source: String,
}

impl From<Table> for TableBody {
    fn from(table: Table) -> Self {
        Self {
            columns: columns(&table.schema, &table.comments),
            partition_by: table.layout.partition_by.iter().map(ToString::to_string).collect(),
            sort_by: table.layout.sort_by.iter().map(ToString::to_string).collect(),
            comment: table.comments.table,
            version: version_of(table.version),
            primary_key: table.schema.key_columns().iter().map(ToString::to_string).collect(),
            name: table.name.table.to_string(),
            bucket: table.name.bucket.to_string(),
            row_count: table.size.row_count,
            size_bytes: table.size.size_bytes,
            created_at: table.created_at,
            source: "main".to_owned(),
        }
    }
}

/// A bucket's tables.
#[derive(Debug, Clone, Object)]
pub(crate) struct TableList {
    /// The tables, by name.
    pub(crate) tables: Vec<TableBody>,
    /// How many there are.
    pub(crate) total: u64,
}

/// A column that a new table should have.
#[derive(Debug, Clone, Object)]
pub(crate) struct NewColumn {
    /// Its name, unique in the table without regard to case.
    name: String,
    /// Its type, in any of DuckDB's spellings: `INT`, `DECIMAL(10,2)`, `STRUCT(a INT, b VARCHAR[])`, …
    #[oai(rename = "type")]
    data_type: String,
    /// Whether it may be null: yes unless it is in the primary key.
    nullable: Option<bool>,
    /// A literal: a number, `'text'`, `TRUE`, `FALSE` or `NULL`.
    default: Option<String>,
    /// What its values are held to beside its type.
    checks: Option<ChecksBody>,
    /// What it is for.
    pub(crate) comment: Option<String>,
}

/// What a new table should be.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub(crate) struct CreateTable {
    /// 1–64 characters of `A-Z a-z 0-9 _ -`, unique in the bucket without regard to case.
    pub(crate) name: String,
    /// Its columns, in order; at least one.
    columns: Vec<NewColumn>,
    /// The columns that identify a row.
    primary_key: Option<Vec<String>>,
    /// How its files are kept apart: `column`, `year(column)`, `month(…)`, `day(…)`, `hour(…)`, `bucket(16, column)`.
    partition_by: Option<Vec<String>>,
    /// How rows are ordered in its files: `column`, `column desc`, `column nulls first`. Names that could be taken for more
    /// stand in double quotes.
    sort_by: Option<Vec<String>>,
    /// What it is for. This and the columns' comments are snapshots of their own, right after the table's.
    comment: Option<String>,
}

impl Example for CreateTable {
    fn example() -> Self {
        let column = |name: &str, data_type: &str| NewColumn {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            nullable: None,
            default: None,
            checks: None,
            comment: None,
        };
        Self {
            name: "orders".to_owned(),
            columns: vec![
                column("id", "BIGINT"),
                NewColumn { comment: Some("Ordered at, in UTC".to_owned()), ..column("at", "TIMESTAMP") },
                NewColumn { default: Some("0".to_owned()), ..column("amount", "DECIMAL(10,2)") },
            ],
            primary_key: Some(vec!["id".to_owned()]),
            partition_by: Some(vec!["year(at)".to_owned()]),
            sort_by: Some(vec!["at desc".to_owned()]),
            comment: Some("What we sold".to_owned()),
        }
    }
}

impl CreateTable {
    /// The table that is wanted.
    pub(crate) fn table(&self) -> ApiResult<NewTable> {
        let layout = Layout {
            partition_by: partitions(self.partition_by.as_deref().unwrap_or_default())?,
            sort_by: sort_keys(self.sort_by.as_deref().unwrap_or_default())?,
        };
        let schema = self.schema()?;
        let commented = schema.columns().iter().zip(&self.columns);
        let commented = commented.filter_map(|(column, given)| Some((column.name.clone(), given.comment.clone()?)));
        let comments = Comments { table: self.comment.clone(), columns: commented.collect() };
        Ok(NewTable { schema, layout, comments })
    }

    /// Checks columns and key.
    fn schema(&self) -> ApiResult<TableSchema> {
        let key = self.primary_key.as_deref().unwrap_or_default();
        let key: Vec<ColumnName> = key.iter().map(|name| self.key_column(name)).collect::<ApiResult<_>>()?;
        let columns = self.columns.iter().map(NewColumn::parse).collect::<ApiResult<Vec<_>>>()?;
        // A key column is NOT NULL by itself; only one that says otherwise is a contradiction.
        let contradiction = self.columns.iter().zip(&columns);
        let contradiction = contradiction.filter(|(given, _)| given.nullable == Some(true));
        if let Some((given, _)) = contradiction.into_iter().find(|(_, column)| key.contains(&column.name)) {
            return Err(self.bad_key(format!("contains {:?}, which is declared nullable", given.name)));
        }
        Ok(TableSchema::new(columns, key)?)
    }

    fn key_column(&self, name: &str) -> ApiResult<ColumnName> {
        ColumnName::parse(name).map_err(|error| self.bad_key(format!("names no column: {error}")))
    }

    fn bad_key(&self, reason: String) -> ApiError {
        let error = SchemaError::PrimaryKey {
            reason,
            key: self.primary_key.clone().unwrap_or_default(),
            columns: self.columns.iter().map(|column| column.name.clone()).collect(),
        };
        error.into()
    }
}

impl NewColumn {
    pub(crate) fn parse(&self) -> ApiResult<Column> {
        Ok(Column {
            name: ColumnName::parse(&self.name)?,
            data_type: DataType::parse(&self.data_type)?,
            nullable: self.nullable.unwrap_or(true),
            default: self.default.as_deref().map(DefaultValue::parse).transpose()?.flatten(),
            checks: self.checks.as_ref().map(ChecksBody::parse).transpose()?.unwrap_or_default(),
        })
    }
}

/// What a change of a table's rows touched.
#[derive(Debug, Clone, Object)]
pub(crate) struct Changed {
    /// Rows touched in any way.
    pub(crate) rows: u64,
    /// New rows.
    pub(crate) inserted: u64,
    /// Rows that changed.
    pub(crate) updated: u64,
    /// Rows that went away.
    pub(crate) deleted: u64,
    /// The snapshot it stands in, durably; none on a dry run.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) snapshot_id: Option<u64>,
    /// Whether nothing was written.
    pub(crate) dry_run: bool,
    /// The request.
    pub(crate) request_id: String,
}

impl Changed {
    pub(crate) fn new(outcome: Outcome, caller: &Caller) -> Self {
        Self {
            rows: outcome.rows.total(),
            inserted: outcome.rows.inserted,
            updated: outcome.rows.updated,
            deleted: outcome.rows.deleted,
            snapshot_id: outcome.snapshot.map(SnapshotId::get),
            dry_run: outcome.snapshot.is_none(),
            request_id: caller.request_id.to_string(),
        }
    }
}

/// Parts of a partitioning.
pub(crate) fn partitions(texts: &[String]) -> ApiResult<Vec<Partition>> {
    texts.iter().map(|text| Ok(Partition::parse(text)?)).collect()
}

/// Parts of an order.
pub(crate) fn sort_keys(texts: &[String]) -> ApiResult<Vec<SortKey>> {
    texts.iter().map(|text| Ok(SortKey::parse(text)?)).collect()
}

/// A version as text: the part before the dot changes with the shape, the one after it with the rows.
fn version_of(version: TableVersion) -> String {
    format!("{}.{}", version.schema, version.rows)
}

/// A table's entity tag: its version, and its size, which its document shows, too, and which changes when files are
/// merged.
pub(crate) fn etag_of(table: &Table) -> String {
    format!("\"{}.{:x}\"", version_of(table.version), table.size.size_bytes)
}
