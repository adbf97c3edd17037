//! Imports, exports, and files that become part of a table where they lie.

use std::sync::Arc;

use gadwall_application::transfers::{ExportOf, NewExport, NewImport, Transfers};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::LoadMode;
use gadwall_domain::transfer::{Codec, CsvOptions, FileFormat, FilePattern, ObjectPath, ParquetOptions};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use super::operations::{Accepted, accepted};
use super::{Area, project_id, table_ref};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

/// Most patterns of one request.
const MAX_PATTERNS: usize = 1_000;

pub(crate) struct TransfersApi {
    pub(crate) transfers: Arc<Transfers>,
}

/// What can be said about a format.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct TransferOptions {
    /// Parquet, export: `snappy` (unless told), `zstd`, `gzip`, `lz4`, `brotli` or `none`.
    compression: Option<String>,
    /// Parquet, export: rows of a row group, 2048 to 10000000.
    row_group_size: Option<u64>,
    /// CSV: one character; the comma unless told.
    delimiter: Option<String>,
    /// CSV: one character, or empty for none; `"` unless told.
    quote: Option<String>,
    /// CSV: one character; the quote unless told.
    escape: Option<String>,
    /// CSV: whether the first line names the columns; true unless told.
    header: Option<bool>,
    /// CSV: unquoted text that means NULL; empty unless told.
    null_string: Option<String>,
}

/// An import.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ImportRequest {
    /// `"/dataset/path/*.csv"`, or a list of such. `*` is any text within a part, `?` any one character, `**` any
    /// parts.
    files: Any<Value>,
    /// `parquet`, `csv` or `ndjson`; what the files' names tell, without.
    format: Option<String>,
    /// Options of the format.
    options: Option<TransferOptions>,
    /// `append` (unless told), `upsert` or `replace`.
    mode: Option<String>,
    /// Make the table if it isn't there, with columns as the files have them.
    #[oai(default)]
    create: bool,
}

/// An export of a table.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ExportRequest {
    /// `"/dataset/prefix/name.parquet"`. An object of that name is replaced.
    to: String,
    /// `parquet`, `csv` or `ndjson`; what the file's name tells, without.
    format: Option<String>,
    /// Options of the format.
    options: Option<TransferOptions>,
    /// Only these columns, in this order.
    columns: Option<Vec<String>>,
    /// Only rows that fit: `{"column", "op", "value"}`, or `and`, `or` with a list, or `not` with one.
    filter: Option<Any<Value>>,
    /// As of this snapshot.
    snapshot: Option<u64>,
}

/// An export of a query's result.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct QueryExportRequest {
    /// One read-only statement. Tables are named `bucket.table`, or `table` for those in `main`.
    query: String,
    /// `"/dataset/prefix/name.parquet"`. An object of that name is replaced.
    to: String,
    /// `parquet`, `csv` or `ndjson`; what the file's name tells, without.
    format: Option<String>,
    /// Options of the format.
    options: Option<TransferOptions>,
    /// As of this snapshot.
    snapshot: Option<u64>,
}

/// Files to register.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct RegisterRequest {
    /// `"/dataset/path/*.parquet"`, or a list of such.
    files: Any<Value>,
}

/// Files that were registered.
#[derive(Debug, Object)]
pub(crate) struct RegisteredBody {
    /// How many files.
    files: u64,
    /// Their rows.
    rows: u64,
    /// The snapshot they are in.
    snapshot_id: u64,
}

#[OpenApi(tag = "Area::Operations")]
impl TransfersApi {
    /// Import files into a table
    ///
    /// All of their rows or none, held to the table's rules as rows that are sent. Needs `write`, and `manage` with
    /// `create` where the table isn't there. Answered before it is done: look at `Location`.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/import",
        method = "post",
        operation_id = "import_files"
    )]
    async fn import(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        body: Json<ImportRequest>,
    ) -> ApiResult<Accepted> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let ImportRequest { files, format, options, mode, create } = body.0;
        let files = patterns(files.0)?;
        let mode = match mode.as_deref() {
            None => LoadMode::default(),
            Some(word) => {
                LoadMode::parse(word).ok_or_else(|| ApiError::out_of_range("mode is one of append, upsert, replace"))?
            }
        };
        let format = match format {
            Some(word) => Some(FileFormat::by_word(&word, "read")?),
            // A pattern may leave open what it finds; then the files' names tell.
            None => FileFormat::by_names(files.iter().map(FilePattern::name), "read").ok().flatten(),
        };
        let format = match (format, options) {
            (format, None) => format,
            (Some(format), Some(options)) => Some(options.apply(&format)?),
            (None, Some(_)) => return Err(ApiError::out_of_range("options need a format; say which one with format")),
        };
        let new = NewImport { table, files, format, mode, create };
        Ok(accepted(self.transfers.import(auth.caller(), &project, new).await?))
    }

    /// Export a table into a file
    ///
    /// The file is there whole, or not at all. Needs `read` and `write`. Answered before it is done: look at
    /// `Location`.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/export",
        method = "post",
        operation_id = "export_table"
    )]
    async fn export(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        body: Json<ExportRequest>,
    ) -> ApiResult<Accepted> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let ExportRequest { to, format, options, columns, filter, snapshot } = body.0;
        let columns = columns.map(|names| names.iter().map(|name| ColumnName::parse(name)).collect()).transpose()?;
        let of = ExportOf::Table { table, columns, filter: filter.map(|filter| filter.0) };
        self.start(&auth, &project, of, Target { to, format, options, snapshot }).await
    }

    /// Export a query's result into a file
    ///
    /// As the export of a table.
    #[oai(path = "/projects/:project/export", method = "post", operation_id = "export_query")]
    async fn export_query(
        &self,
        auth: Auth,
        project: Path<String>,
        body: Json<QueryExportRequest>,
    ) -> ApiResult<Accepted> {
        let project = project_id(&project.0)?;
        let QueryExportRequest { query, to, format, options, snapshot } = body.0;
        self.start(&auth, &project, ExportOf::Query(query), Target { to, format, options, snapshot }).await
    }

    /// Make Parquet files part of a table
    ///
    /// The files stay where they are, and nothing is copied. All of them or none. Do not change or delete them
    /// afterwards.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/files",
        method = "post",
        operation_id = "register_files"
    )]
    async fn register(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        body: Json<RegisterRequest>,
    ) -> ApiResult<Json<RegisteredBody>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let files = patterns(body.0.files.0)?;
        let done = self.transfers.register(auth.caller(), &project, table, files).await?;
        let (rows, snapshot_id) = (done.committed.rows.inserted, done.committed.snapshot.get());
        Ok(Json(RegisteredBody { files: done.files, rows, snapshot_id }))
    }
}

/// Where an export goes, as it was asked for.
struct Target {
    to: String,
    format: Option<String>,
    options: Option<TransferOptions>,
    snapshot: Option<u64>,
}

impl TransfersApi {
    async fn start(
        &self,
        auth: &Auth,
        project: &gadwall_domain::names::ProjectId,
        of: ExportOf,
        target: Target,
    ) -> ApiResult<Accepted> {
        let to = ObjectPath::parse(&target.to)?;
        let format = match target.format {
            Some(word) => FileFormat::by_word(&word, "written")?,
            None => FileFormat::by_name(&to.object, "written")?,
        };
        let format = target.options.unwrap_or_default().apply(&format)?;
        let snapshot = target.snapshot.map(snapshot).transpose()?;
        let new = NewExport { of, snapshot, to, format };
        Ok(accepted(self.transfers.export(auth.caller(), project, new).await?))
    }
}

fn snapshot(number: u64) -> ApiResult<SnapshotId> {
    let known = i64::try_from(number).ok().and_then(|number| SnapshotId::new(number).ok());
    known.ok_or_else(|| ApiError::out_of_range("snapshot is a snapshot's number"))
}

impl TransferOptions {
    /// The format with these options. One that the format doesn't know is refused.
    fn apply(self, format: &FileFormat) -> ApiResult<FileFormat> {
        let of_parquet = self.compression.is_some() || self.row_group_size.is_some();
        let of_csv = self.delimiter.is_some()
            || self.quote.is_some()
            || self.escape.is_some()
            || self.header.is_some()
            || self.null_string.is_some();
        let foreign = |known: &str| {
            Err(ApiError::out_of_range(format!("{} takes {known}; leave the other options out", format.name())))
        };
        Ok(match format {
            FileFormat::Parquet(_) if of_csv => return foreign("compression and row_group_size"),
            FileFormat::Csv(_) if of_parquet => return foreign("delimiter, quote, escape, header and null_string"),
            FileFormat::Ndjson if of_csv || of_parquet => return foreign("no options"),
            FileFormat::Ndjson => FileFormat::Ndjson,
            FileFormat::Parquet(_) => {
                let codec = self.compression.as_deref().map(Codec::parse).transpose()?;
                FileFormat::Parquet(ParquetOptions::new(codec, self.row_group_size)?)
            }
            FileFormat::Csv(usual) => {
                let delimiter = self.delimiter.unwrap_or_else(|| usual.delimiter().to_string());
                FileFormat::Csv(CsvOptions::new(
                    Some(&delimiter),
                    self.quote.as_deref(),
                    self.escape.as_deref(),
                    self.header,
                    self.null_string.as_deref(),
                )?)
            }
        })
    }
}

fn patterns(given: Value) -> ApiResult<Vec<FilePattern>> {
    let refuse = || ApiError::out_of_range(format!("files is a path or a list of 1 to {MAX_PATTERNS} paths"));
    let texts = match given {
        Value::String(text) => vec![text],
        Value::Array(texts) if (1..=MAX_PATTERNS).contains(&texts.len()) => texts
            .into_iter()
            .map(|text| text.as_str().map(str::to_owned).ok_or_else(refuse))
            .collect::<Result<_, _>>()?,
        _ => return Err(refuse()),
    };
    texts.iter().map(|text| Ok(FilePattern::parse(text)?)).collect()
}
