//! Writes a table or a statement's result into a file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::transfer::{ExportSource, Exported, TransferError};
use gadwall_domain::query::{NamedFiles, QueryError};
use gadwall_domain::rows::StagedFile;
use gadwall_domain::transfer::{Codec, FileFormat};

use super::scan::describe;
use crate::catalogs::Catalogs;
use crate::engine::Engine;
use crate::error::{files_error, io_error};
use crate::names::{as_written, linked};
use crate::query::{checked, lake_failed};
use crate::reading::Reading;
use crate::root::Lent;
use crate::{links, sql, structure};

pub(super) struct Exporter<'a> {
    pub(super) engine: &'a Engine,
    pub(super) catalogs: &'a Arc<Catalogs>,
    pub(super) connection: &'a Lent,
}

impl Exporter<'_> {
    pub(super) fn export(
        &self,
        source: &ExportSource,
        format: &FileFormat,
        target: Arc<StagedFile>,
    ) -> Result<Exported, TransferError> {
        let (lake, at, files) = match source {
            ExportSource::Table { lake, at, .. } => (*lake, *at, NamedFiles::default()),
            ExportSource::Query { scope, .. } => (scope.lake, scope.at, scope.files.clone()),
        };
        let failed = |error: &duckdb::Error| {
            let told = files_error(error, &self.engine.scrub, &sql::catalog(lake), None, &files);
            match source {
                ExportSource::Query { scope, .. } => links::told(told, scope, &self.engine.scrub),
                ExportSource::Table { .. } => told,
            }
        };
        let lease = self.catalogs.lease(self.connection, lake)?;
        let _linked = match source {
            ExportSource::Query { scope, .. } => links::lease(self.connection, self.catalogs, scope)?,
            ExportSource::Table { .. } => Vec::new(),
        };
        // One transaction, so that the snapshot named is the snapshot read.
        self.connection.execute_batch("BEGIN TRANSACTION").map_err(|error| failed(&error))?;
        let snapshot = self.snapshot(lake, at)?;
        let version = lease.known.settled.version(snapshot);
        let reading = Reading { connection: self.connection, lake, version };
        let (select, linked, reads) = match source {
            ExportSource::Table { table, selection, .. } => {
                (reading.rows(table, selection, at)?, Vec::new(), BTreeSet::new())
            }
            ExportSource::Query { scope, query } => {
                let checked = checked(self.connection, scope, query, version, &failed)?;
                let reads = checked.tables.iter().filter_map(|table| as_written(scope, table)).collect();
                let linked = linked(scope, &checked.tables);
                (checked.text, linked, reads)
            }
        };
        let select = select.trim_end_matches([';', ' ', '\n']);
        let columns = describe(self.connection, select).map_err(|error| failed(&error))?;
        let shaped = shaped(select, &columns, format);
        let path = sql::text(&target.path().to_string_lossy());
        let copy = format!("COPY ({shaped}) TO {path} ({}, USE_TMP_FILE false)", options(format));
        let rows: i64 = self.connection.query_row(&copy, [], |row| row.get(0)).map_err(|error| failed(&error))?;
        self.connection.execute_batch("ROLLBACK").map_err(|error| failed(&error))?;
        let bytes = std::fs::metadata(target.path()).map_err(io_error)?.len();
        Ok(Exported {
            file: target,
            rows: u64::try_from(rows).unwrap_or_default(),
            bytes,
            snapshot,
            linked,
            reads,
            columns,
        })
    }

    fn snapshot(&self, lake: LakeId, at: ReadAt) -> Result<SnapshotId, QueryError> {
        match at {
            ReadAt::Head => structure::pinned(self.connection, lake).map_err(lake_failed),
            ReadAt::Snapshot(snapshot) => {
                let kept = structure::is_kept(self.connection, lake, snapshot).map_err(lake_failed)?;
                if kept { Ok(snapshot) } else { Err(QueryError::NoSnapshot(snapshot)) }
            }
        }
    }
}

/// Formats of text have no types of their own: what they can't hold is written as an import reads it.
fn shaped(select: &str, columns: &[(String, String)], format: &FileFormat) -> String {
    if matches!(format, FileFormat::Parquet(_)) {
        return select.to_owned();
    }
    let csv = matches!(format, FileFormat::Csv(_));
    // Names by position, since a statement may give one name to several columns.
    let inner = |index: usize| format!("c{index}");
    let list = columns.iter().enumerate().map(|(index, (name, type_text))| {
        format!("{} AS {}", as_text(&inner(index), type_text, csv), sql::ident(name))
    });
    let list: Vec<String> = list.collect();
    let names: Vec<String> = (0..columns.len()).map(inner).collect();
    format!("SELECT {} FROM ({select}) AS exported({})", list.join(", "), names.join(", "))
}

fn as_text(value: &str, type_text: &str, csv: bool) -> String {
    let nested = type_text.ends_with(']') || type_text.starts_with("STRUCT(") || type_text.starts_with("MAP(");
    match type_text {
        "BLOB" => format!("to_base64({value})"),
        "VARIANT" if csv => format!("CAST(CAST({value} AS JSON) AS VARCHAR)"),
        "VARIANT" => format!("CAST({value} AS JSON)"),
        // More digits than most readers of JSON keep.
        _ if !csv && precision(type_text).is_some_and(|digits| digits > 15) => format!("CAST({value} AS VARCHAR)"),
        _ if csv && nested => format!("CAST(to_json({value}) AS VARCHAR)"),
        _ => value.to_owned(),
    }
}

/// The digits of a decimal type.
fn precision(type_text: &str) -> Option<u8> {
    let (digits, _) = type_text.strip_prefix("DECIMAL(")?.split_once(',')?;
    digits.parse().ok()
}

fn options(format: &FileFormat) -> String {
    match format {
        FileFormat::Parquet(options) => {
            let codec = match options.codec() {
                Codec::None => "uncompressed",
                Codec::Lz4 => "lz4_raw",
                other => other.as_str(),
            };
            let mut text = format!("FORMAT parquet, COMPRESSION {}", sql::text(codec));
            if let Some(rows) = options.row_group_size() {
                let _ = write!(text, ", ROW_GROUP_SIZE {rows}");
            }
            text
        }
        FileFormat::Csv(options) => {
            let letter = |given: Option<char>| sql::text(&given.map(String::from).unwrap_or_default());
            format!(
                "FORMAT csv, DELIMITER {}, QUOTE {}, ESCAPE {}, HEADER {}, NULLSTR {}",
                letter(Some(options.delimiter())),
                letter(options.quote()),
                letter(options.escape()),
                options.header(),
                sql::text(options.null()),
            )
        }
        FileFormat::Ndjson => "FORMAT json, ARRAY false".to_owned(),
    }
}
