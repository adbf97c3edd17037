//! Rows on their way into memory: read as their columns' types, and held to the table's rules.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_schema::{ArrowError, Field, Schema};
use futures_util::StreamExt as _;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{MAX_VIOLATIONS, RowSource, RowsError, Violation, Violations};
use gadwall_domain::schema::{Column, DefaultValue, TableSchema};
use gadwall_domain::types::DataType;
use serde_json::Value;

/// A value for each of the table's columns, in table order.
pub(super) type Row = Vec<Value>;

/// Reads all rows. What is wrong in them is reported together.
pub(super) async fn read(schema: &TableSchema, source: RowSource) -> Result<Vec<Row>, WriteError> {
    let RowSource::Batches(mut batches) = source else {
        let reason = "the lake in memory doesn't read Parquet".to_owned();
        return Err(RowsError::Malformed { format: "Parquet", reason }.into());
    };
    let (mut rows, mut found) = (Vec::new(), Violations::default());
    let mut refused = false;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        refused |= !batch.violations.is_empty();
        found.merge(batch.violations);
        let given = given_columns(schema, &batch.rows)?;
        for index in 0..batch.rows.num_rows() {
            // Where the decoder refused a value it left NULL, and has said so already.
            let mut reader = RowReader { number: rows.len() as u64 + 1, nulls_are_told: refused, found: &mut found };
            let value = |(column, texts): (&Column, &Option<Texts>)| reader.value(column, texts.as_ref(), index);
            rows.push(schema.columns().iter().zip(&given).map(value).collect());
        }
    }
    if !found.is_empty() {
        return Err(WriteError::Violations(found));
    }
    refuse_duplicates(twice(schema, &rows))?;
    Ok(rows)
}

/// A column's values as text.
type Texts = Vec<Option<String>>;

/// For each of the table's columns the values given for it, if there are any.
fn given_columns(schema: &TableSchema, batch: &RecordBatch) -> Result<Vec<Option<Texts>>, WriteError> {
    let mut given = vec![None; schema.columns().len()];
    for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
        let name = ColumnName::parse(field.name()).ok();
        let position = name.and_then(|name| schema.columns().iter().position(|column| column.name == name));
        let Some(position) = position else { return Err(unknown_column(schema, field.name())) };
        given[position] = Some(texts(values).ok_or_else(|| unreadable(field))?);
    }
    Ok(given)
}

fn unknown_column(schema: &TableSchema, name: &str) -> WriteError {
    let known: Vec<&str> = schema.columns().iter().map(|column| column.name.as_str()).collect();
    RowsError::UnknownColumn { column: name.chars().take(60).collect(), known: known.join(", ") }.into()
}

fn unreadable(field: &Field) -> WriteError {
    let reason = format!("the lake in memory doesn't read {} (column {:?})", field.data_type(), field.name());
    RowsError::Malformed { format: "Arrow", reason }.into()
}

fn texts(values: &ArrayRef) -> Option<Texts> {
    let any = values.as_any();
    if let Some(values) = any.downcast_ref::<StringArray>() {
        return Some(values.iter().map(|value| value.map(ToOwned::to_owned)).collect());
    }
    if let Some(values) = any.downcast_ref::<Int64Array>() {
        return Some(values.iter().map(|value| value.map(|value| value.to_string())).collect());
    }
    if let Some(values) = any.downcast_ref::<Float64Array>() {
        return Some(values.iter().map(|value| value.map(|value| value.to_string())).collect());
    }
    let values = any.downcast_ref::<BooleanArray>()?;
    Some(values.iter().map(|value| value.map(|value| value.to_string())).collect())
}

/// Reads the values of one row.
struct RowReader<'a> {
    number: u64,
    nulls_are_told: bool,
    found: &'a mut Violations,
}

impl RowReader<'_> {
    fn value(&mut self, column: &Column, given: Option<&Texts>, index: usize) -> Value {
        let text = match given {
            Some(texts) => texts[index].as_deref(),
            None => column.default.as_ref().map(DefaultValue::as_str),
        };
        let Some(text) = text else { return self.null(column, given.is_some()) };
        let target = &column.data_type;
        if target.max_chars().is_some_and(|limit| text.chars().count() > limit as usize) {
            self.report(column, &format!("{} is longer than {target} allows", shortened(text)));
        }
        parse(text, target).unwrap_or_else(|| {
            self.report(column, &format!("{} can't be read as {target} without loss", shortened(text)));
            Value::Null
        })
    }

    fn null(&mut self, column: &Column, given: bool) -> Value {
        if !column.nullable && !given {
            self.report(column, "is missing, but the column is NOT NULL and has no default");
        } else if !column.nullable && !self.nulls_are_told {
            self.report(column, "is NULL, but the column is NOT NULL");
        }
        Value::Null
    }

    fn report(&mut self, column: &Column, reason: &str) {
        let column = Some(column.name.to_string());
        self.found.push(Violation { row: self.number, column, reason: reason.to_owned() });
    }
}

fn shortened(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

/// The value that a text stands for; types that aren't plain are kept as their text.
fn parse(text: &str, target: &DataType) -> Option<Value> {
    let whole = |low: i64, high: i64| {
        let number: i64 = text.trim().parse().ok()?;
        (low..=high).contains(&number).then(|| Value::from(number))
    };
    match target {
        DataType::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Some(Value::Bool(true)),
            "false" | "f" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        DataType::TinyInt => whole(i8::MIN.into(), i8::MAX.into()),
        DataType::SmallInt => whole(i16::MIN.into(), i16::MAX.into()),
        DataType::Integer => whole(i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => whole(i64::MIN, i64::MAX),
        DataType::UTinyInt => whole(0, u8::MAX.into()),
        DataType::USmallInt => whole(0, u16::MAX.into()),
        DataType::UInteger => whole(0, u32::MAX.into()),
        DataType::Float | DataType::Double => {
            serde_json::Number::from_f64(text.trim().parse().ok()?).map(Value::Number)
        }
        _ => Some(Value::from(text)),
    }
}

/// A row's key as a JSON object.
pub(super) fn key_of(schema: &TableSchema, row: &Row) -> Value {
    let value = |name: &ColumnName| {
        let position = schema.columns().iter().position(|column| column.name == *name);
        let value = position.and_then(|position| row.get(position)).cloned().unwrap_or_default();
        (name.to_string(), value)
    };
    Value::Object(schema.key_columns().iter().map(value).collect())
}

/// Keys that more than one of the rows has, each once, in the order they come.
fn twice(schema: &TableSchema, rows: &[Row]) -> Vec<Value> {
    if schema.key_columns().is_empty() {
        return Vec::new();
    }
    let mut seen: HashMap<String, u32> = HashMap::new();
    let again = |key: &Value| {
        let times = seen.entry(key.to_string()).or_default();
        *times += 1;
        *times == 2
    };
    rows.iter().map(|row| key_of(schema, row)).filter(again).collect()
}

pub(super) fn refuse_duplicates(mut keys: Vec<Value>) -> Result<(), WriteError> {
    if keys.is_empty() {
        return Ok(());
    }
    let count = keys.len() as u64;
    keys.truncate(MAX_VIOLATIONS);
    Err(WriteError::DuplicateKeys { first: keys, count })
}

/// Rows as Arrow has them; what isn't plain is text.
pub(super) fn to_batch(columns: &[Column], rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (position, column) in columns.iter().enumerate() {
        let array = to_array(&column.data_type, rows, position);
        fields.push(Field::new(column.name.as_str(), array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
}

fn to_array(target: &DataType, rows: &[Row], position: usize) -> ArrayRef {
    let values = rows.iter().map(|row| row.get(position).unwrap_or(&Value::Null));
    match target {
        DataType::Boolean => Arc::new(values.map(Value::as_bool).collect::<BooleanArray>()),
        DataType::Integer => {
            let small = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
            Arc::new(values.map(small).collect::<Int32Array>())
        }
        DataType::BigInt => Arc::new(values.map(Value::as_i64).collect::<Int64Array>()),
        DataType::Double => Arc::new(values.map(Value::as_f64).collect::<Float64Array>()),
        _ => Arc::new(values.map(text_of).collect::<StringArray>()),
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
