//! How each column of an Arrow schema enters its column of the table.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema};
use gadwall_domain::rows::{RowsError, Violation, Violations};
use gadwall_domain::types::DataType;
use serde_json::value::RawValue;

use super::super::columns::Lookup;
use super::super::shorten;
use super::typed::{can_misfit, convert, is_utc, misfit, typed};
use crate::cell::{Cell, Misfit, from_json, from_text};
use crate::encode::json::{Decimals, JsonOptions};
use crate::encode::{Values, extension, write_json, write_text, write_uuid, write_wkt};

/// A column's way.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// As it is, or in a neighbouring type.
    Typed(ArrowType),
    /// As text: the same checks as for text formats then hold.
    Text,
    /// Bytes for a `BLOB`.
    Bytes,
    /// 16 bytes for a `UUID`.
    Uuid,
    /// Well-known binary for a `GEOMETRY`.
    Geometry,
    /// As JSON, for what is nested here or there.
    Json,
}

/// A field of the schema, its column of the table, and the way between.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) field: FieldRef,
    pub(super) place: usize,
    pub(super) nullable: bool,
    pub(super) route: Route,
}

/// Finds a way for every column of the schema.
pub(super) fn plan(schema: &Schema, lookup: &Lookup) -> Result<Vec<Planned>, RowsError> {
    let malformed = |reason| RowsError::Malformed { format: "Arrow", reason };
    let mut planned: Vec<Planned> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let place = lookup.find(field.name())?;
        if planned.iter().any(|other| other.place == place) {
            return Err(malformed(format!("the schema names the column {:?} twice", shorten(field.name()))));
        }
        let column = &lookup.columns()[place];
        let route =
            route(&column.data_type, field).map_err(|reason| malformed(format!("column {} {reason}", column.name)))?;
        planned.push(Planned { field: field.clone(), place, nullable: column.nullable, route });
    }
    if planned.is_empty() {
        return Err(malformed("the schema has no columns".to_owned()));
    }
    let named = |place: usize| planned.iter().any(|column| column.place == place);
    let absent = lookup.columns().iter().enumerate().filter(|(place, _)| !named(*place));
    if let Some((_, column)) = absent.into_iter().find(|(_, column)| !column.nullable && column.default.is_none()) {
        let name = &column.name;
        return Err(malformed(format!("the schema lacks the column {name}, which is NOT NULL and has no default")));
    }
    Ok(planned)
}

fn route(column: &DataType, field: &Field) -> Result<Route, String> {
    let extension = extension(field);
    let arrow = match field.data_type() {
        ArrowType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    let refuse = || {
        let shown = shorten(&arrow.to_string());
        format!("is {shown}, which doesn't fit {}", shorten(&column.to_string()))
    };
    if let (
        ArrowType::Timestamp(_, Some(zone)),
        DataType::Timestamp | DataType::TimestampS | DataType::TimestampMs | DataType::TimestampNs,
    ) = (arrow, column)
        && !is_utc(zone)
    {
        let zone = shorten(zone);
        return Err(format!("has the time zone {zone}, which {column} would drop; use TIMESTAMP WITH TIME ZONE"));
    }
    if extension.is_none()
        && let Some(target) = typed(column, field.data_type())
    {
        return Ok(Route::Typed(target));
    }
    let text = matches!(arrow, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View);
    // DuckDB's own types that travel as bytes are written as text.
    let bytes =
        matches!(
            arrow,
            ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_)
        ) && !matches!(extension.as_deref(), Some("hugeint" | "uhugeint" | "time_tz" | "bit" | "bignum" | "uuid"));
    Ok(match column {
        _ if *arrow == ArrowType::Null => Route::Text,
        DataType::Blob if bytes => Route::Bytes,
        DataType::Uuid if *arrow == ArrowType::FixedSizeBinary(16) => Route::Uuid,
        DataType::Geometry if bytes => Route::Geometry,
        _ if bytes => return Err(refuse()),
        DataType::Variant => Route::Json,
        DataType::Json if !text => Route::Json,
        nested if nested.is_nested() && arrow.is_nested() => Route::Json,
        nested if nested.is_nested() && !text => return Err(refuse()),
        _ if arrow.is_nested() => return Err(refuse()),
        _ => Route::Text,
    })
}

/// Reads a value the way of its column. `scratch` holds its text.
pub(super) fn cell<'a>(
    route: &Route,
    column: &DataType,
    values: &Values<'a>,
    row: usize,
    limit: usize,
    scratch: &'a mut Vec<u8>,
) -> Result<Option<Cell<'a>>, Misfit> {
    if values.is_null(row) {
        return Ok(None);
    }
    scratch.clear();
    match route {
        Route::Typed(_) => return Ok(None),
        Route::Bytes => {
            let bytes = values.bytes(row).ok_or_else(|| "the bytes are missing".to_owned())?;
            return Ok(Some(Cell::Bytes(bytes.into())));
        }
        Route::Text => {
            if let Some(text) = values.text(row) {
                return from_text(column, text).map(Some);
            }
            write_text(values, row, limit, scratch);
        }
        Route::Uuid => write_uuid(values.bytes(row).unwrap_or_default(), scratch),
        Route::Geometry => {
            write_wkt(values.bytes(row).unwrap_or_default(), scratch)
                .ok_or_else(|| "it is not well-known binary".to_owned())?;
        }
        Route::Json => {
            // Inside nested types a decimal keeps its digits either way; in JSON it should be a number.
            let decimals = if column.is_nested() { Decimals::AsString } else { Decimals::AsNumber };
            write_json(values, row, JsonOptions { decimals, ..JsonOptions::default() }, limit, scratch);
        }
    }
    if scratch.len() > limit {
        return Err(format!("it takes more than {limit} bytes when it is unpacked").into());
    }
    let text = std::str::from_utf8(scratch).map_err(|error| error.to_string())?;
    match route {
        Route::Json => {
            let raw: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
            from_json(column, raw)
        }
        _ => from_text(column, text).map(Some),
    }
}

/// A typed column's part of a batch, and what is wrong in it.
pub(super) fn typed_part(
    name: &str,
    nullable: bool,
    array: &ArrayRef,
    target: &ArrowType,
    first_row: u64,
    violations: &mut Violations,
) -> ArrayRef {
    let array = convert(array, target);
    let check_nulls = !nullable && array.null_count() > 0;
    let mut violate = |row: usize, reason: &str| {
        let row = first_row + u64::try_from(row).unwrap_or_default();
        violations.push(Violation { row, column: Some(name.to_owned()), reason: reason.to_owned() });
    };
    if check_nulls || can_misfit(array.data_type()) {
        for row in 0..array.len() {
            if array.is_null(row) {
                if !nullable {
                    violate(row, "it is NULL, but the column is NOT NULL");
                }
            } else if let Some(reason) = misfit(array.as_ref(), row) {
                violate(row, reason);
            }
        }
    }
    array
}

/// Refuses lengths that nothing stands behind: some arrays (of nulls, of nothing) take no bytes however
/// long they say they are, and would be written out one by one.
pub(super) fn check_lengths(batch: &RecordBatch) -> Result<(), String> {
    fn bytes(data: &arrow::array::ArrayData) -> usize {
        let own: usize = data.buffers().iter().map(arrow::buffer::Buffer::len).sum();
        own + data.child_data().iter().map(bytes).sum::<usize>() + data.nulls().map_or(0, |nulls| nulls.buffer().len())
    }
    fn fits(data: &arrow::array::ArrayData, budget: usize) -> bool {
        data.len() <= budget && data.child_data().iter().all(|child| fits(child, budget))
    }
    let columns: Vec<_> = batch.columns().iter().map(Array::to_data).collect();
    // A value takes at least a bit.
    let budget = columns.iter().map(bytes).sum::<usize>().saturating_mul(8).saturating_add(1 << 16);
    if batch.num_rows() <= budget && columns.iter().all(|data| fits(data, budget)) {
        Ok(())
    } else {
        Err("a batch claims more values than it carries".to_owned())
    }
}
