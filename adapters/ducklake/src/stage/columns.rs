//! Arrow's types as the engine's, and batches put into the engine's memory.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::error::ArrowError;
use duckdb::Connection;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::RowsError;
use gadwall_domain::schema::{Column, TableSchema};

use super::source::Source;
use super::{REQUEST, ROW, engine_refused};
use crate::error::lake_error;
use crate::sql;

/// Makes the table in memory that holds batches as they are, of one request or of several.
pub(super) fn create_stage(
    connection: &Connection,
    name: &str,
    schema: &TableSchema,
    rows: &Schema,
) -> Result<Vec<Source>, WriteError> {
    let mut definition = format!("{REQUEST} BIGINT, {ROW} BIGINT");
    let mut sources = Vec::new();
    for field in rows.fields() {
        let column = table_column(schema, field.name())?;
        let stage_type = stage_type(field)?;
        let _ = write!(definition, ", {} {stage_type}", sql::ident(field.name()));
        sources.push(Source::decoded(column.clone(), field.name().clone(), &stage_type));
    }
    connection
        .execute_batch(&format!("CREATE TABLE memory.main.{} ({definition})", sql::ident(name)))
        .map_err(|error| lake_error(&error))?;
    Ok(sources)
}

/// Puts rows into a table in memory; answers how many.
pub(super) fn append(connection: &Connection, name: &str, batches: Vec<RecordBatch>) -> Result<u64, WriteError> {
    let load = || {
        let mut appender = connection.appender_to_catalog_and_db(name, "memory", "main")?;
        let mut rows = 0;
        for batch in batches {
            rows += batch.num_rows() as u64;
            appender.append_record_batch(batch)?;
        }
        appender.flush()?;
        Ok(rows)
    };
    load().map_err(|error| engine_refused("the rows", &error))
}

/// The columns of numbered rows without the numbers.
pub(super) fn given(numbered: &Schema) -> Schema {
    Schema::new(numbered.fields().iter().skip(2).cloned().collect::<Vec<_>>())
}

/// Puts the number of the request and of the row before the row's values.
pub(super) fn numbered(request: usize, rows: &RecordBatch, before: u64) -> Result<RecordBatch, WriteError> {
    let request = i64::try_from(request).unwrap_or(i64::MAX);
    let first = i64::try_from(before).unwrap_or(i64::MAX - 1) + 1;
    let requests: Int64Array = std::iter::repeat_n(request, rows.num_rows()).collect();
    let numbers: Int64Array = (first..).take(rows.num_rows()).collect();
    let number = |name| Arc::new(Field::new(name, ArrowType::Int64, false));
    let mut fields = vec![number(REQUEST), number(ROW)];
    fields.extend(rows.schema().fields().iter().cloned());
    let mut columns: Vec<ArrayRef> = vec![Arc::new(requests), Arc::new(numbers)];
    columns.extend(rows.columns().iter().cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(internal)
}

/// A fault of ours while rows are put together.
pub(super) fn internal(error: ArrowError) -> WriteError {
    RowsError::Internal(Box::new(error)).into()
}

pub(super) fn table_column<'a>(schema: &'a TableSchema, name: &str) -> Result<&'a Column, WriteError> {
    let column = ColumnName::parse(name).ok().and_then(|name| schema.column(&name));
    column.ok_or_else(|| {
        let known: Vec<&str> = schema.columns().iter().map(|column| column.name.as_str()).collect();
        RowsError::UnknownColumn { column: name.chars().take(60).collect(), known: known.join(", ") }.into()
    })
}

/// The engine's type for a column of decoded rows.
fn stage_type(field: &Field) -> Result<String, WriteError> {
    use arrow::datatypes::TimeUnit;
    let nested = |inner: &Field| stage_type(inner);
    Ok(match field.data_type() {
        ArrowType::Boolean => "BOOLEAN".to_owned(),
        ArrowType::Int8 => "TINYINT".to_owned(),
        ArrowType::Int16 => "SMALLINT".to_owned(),
        ArrowType::Int32 => "INTEGER".to_owned(),
        ArrowType::Int64 => "BIGINT".to_owned(),
        ArrowType::UInt8 => "UTINYINT".to_owned(),
        ArrowType::UInt16 => "USMALLINT".to_owned(),
        ArrowType::UInt32 => "UINTEGER".to_owned(),
        ArrowType::UInt64 => "UBIGINT".to_owned(),
        ArrowType::Float32 => "FLOAT".to_owned(),
        ArrowType::Float64 => "DOUBLE".to_owned(),
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => "VARCHAR".to_owned(),
        ArrowType::FixedSizeBinary(16) if field.extension_type_name() == Some("arrow.uuid") => "UUID".to_owned(),
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            "BLOB".to_owned()
        }
        ArrowType::Date32 | ArrowType::Date64 => "DATE".to_owned(),
        ArrowType::Time32(_) | ArrowType::Time64(_) => "TIME".to_owned(),
        ArrowType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        ArrowType::Timestamp(TimeUnit::Second, None) => "TIMESTAMP_S".to_owned(),
        ArrowType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP_MS".to_owned(),
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP".to_owned(),
        ArrowType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP_NS".to_owned(),
        ArrowType::Duration(_) | ArrowType::Interval(_) => "INTERVAL".to_owned(),
        ArrowType::List(inner) | ArrowType::LargeList(inner) => format!("{}[]", nested(inner)?),
        ArrowType::FixedSizeList(inner, size) => format!("{}[{size}]", nested(inner)?),
        ArrowType::Struct(fields) => {
            let mut list = String::new();
            for inner in fields {
                let comma = if list.is_empty() { "" } else { ", " };
                let _ = write!(list, "{comma}{} {}", sql::ident(inner.name()), nested(inner)?);
            }
            format!("STRUCT({list})")
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(pair) if pair.len() == 2 => format!("MAP({}, {})", nested(&pair[0])?, nested(&pair[1])?),
            _ => return Err(unloadable(field)),
        },
        _ => return Err(unloadable(field)),
    })
}

fn unloadable(field: &Field) -> WriteError {
    let reason = format!("column {:?} is of the Arrow type {}, which can't be loaded", field.name(), field.data_type());
    RowsError::Malformed { format: "Arrow", reason }.into()
}
