//! What the decoders' tests share.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType as ArrowType;
use bytes::Bytes;
use futures_util::StreamExt;
use gadwall_domain::names::ColumnName;
use gadwall_domain::rows::{RowsError, Violations};
use gadwall_domain::schema::{Column, DefaultValue, TableSchema};
use gadwall_domain::types::DataType;

use super::{DecodeOptions, decode};
use crate::InputFormat;

/// A table from lines like `name TYPE`, `name TYPE!` (NOT NULL) or `name TYPE = 'default'`.
pub(super) fn table(columns: &[&str]) -> Arc<TableSchema> {
    let column = |line: &&str| {
        let (name, rest) = line.split_once(' ').unwrap();
        let (rest, default) = rest.split_once(" = ").map_or((rest, None), |(rest, text)| (rest, Some(text)));
        let default = default.and_then(|text| DefaultValue::parse(text).unwrap());
        let data_type = DataType::parse(rest.trim_end_matches('!')).unwrap();
        Column { nullable: !rest.ends_with('!'), default, ..Column::new(ColumnName::parse(name).unwrap(), data_type) }
    };
    Arc::new(TableSchema::new(columns.iter().map(column).collect(), Vec::new()).unwrap())
}

/// Decodes a body that arrives in pieces of `chunk` bytes.
pub(crate) fn run(
    format: InputFormat,
    columns: &[&str],
    body: &[u8],
    chunk: usize,
    options: &DecodeOptions,
) -> Result<(Vec<RecordBatch>, Violations), RowsError> {
    let chunks: Vec<_> = body.chunks(chunk.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut stream = decode(format, futures_util::stream::iter(chunks), table(columns), options);
    let mut batches = Vec::new();
    let mut violations = Violations::default();
    let collected = async {
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            batches.push(batch.rows);
            violations.merge(batch.violations);
        }
        Ok::<(), RowsError>(())
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(collected)?;
    Ok((batches, violations))
}

/// Decodes a body and gives its rows as texts.
pub(super) fn rows(format: InputFormat, columns: &[&str], body: &str) -> Result<Vec<Vec<Option<String>>>, RowsError> {
    let (batches, violations) = run(format, columns, body.as_bytes(), 7, &DecodeOptions::default())?;
    assert!(violations.is_empty(), "{violations:?}");
    Ok(batches.iter().flat_map(texts).collect())
}

/// What is wrong with a body's values, as `row column: reason`.
pub(super) fn violations(format: InputFormat, columns: &[&str], body: &str) -> Vec<String> {
    let (_, violations) = run(format, columns, body.as_bytes(), 7, &DecodeOptions::default()).unwrap();
    violations
        .first()
        .iter()
        .map(|v| format!("{} {}: {}", v.row, v.column.as_deref().unwrap_or("*"), v.reason))
        .collect()
}

/// Why a body can't be decoded.
pub(super) fn failure(format: InputFormat, columns: &[&str], body: &[u8]) -> String {
    run(format, columns, body, 5, &DecodeOptions::default()).unwrap_err().to_string()
}

fn texts(batch: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let cell = |array: &dyn Array, row: usize| match array.data_type() {
        _ if array.is_null(row) => None,
        ArrowType::Utf8 => Some(array.as_string::<i32>().value(row).to_owned()),
        ArrowType::Binary => Some(format!("{:x?}", array.as_binary::<i32>().value(row))),
        other => Some(format!("{other}")),
    };
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|array| cell(array, row)).collect()).collect()
}

/// A row of texts, to compare with.
pub(super) fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}
