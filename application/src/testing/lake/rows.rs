//! Rows on their way into memory: read as their columns' types, and held to the table's rules.

use std::collections::HashMap;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::Field;
use futures_util::StreamExt as _;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{MAX_VIOLATIONS, RowSource, RowsError, Violation, Violations};
use gadwall_domain::schema::{Column, DefaultValue, TableSchema};
use serde_json::Value;

use super::checks;
use super::values::{Row, parse};

/// Rows that were read and fit their table.
pub(super) struct Loaded {
    pub(super) rows: Vec<Row>,
    /// For each column whether the rows mention it; where not, the table's default of the moment is theirs.
    pub(super) mentioned: Vec<bool>,
}

/// Reads all rows. What is wrong in them is reported together.
pub(super) async fn read(schema: &TableSchema, source: RowSource) -> Result<Loaded, WriteError> {
    let RowSource::Batches(mut batches) = source else {
        let reason = "the lake in memory doesn't read Parquet".to_owned();
        return Err(RowsError::Malformed { format: "Parquet", reason }.into());
    };
    let (mut rows, mut found) = (Vec::new(), Violations::default());
    let mut mentioned = Vec::new();
    let mut refused = false;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        refused |= !batch.violations.is_empty();
        found.merge(batch.violations);
        let given = given_columns(schema, &batch.rows)?;
        mentioned = given.iter().map(Option::is_some).collect();
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
    Ok(Loaded { rows, mentioned })
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
        let Some(value) = parse(text, target) else {
            self.report(column, &format!("{} can't be read as {target} without loss", shortened(text)));
            return Value::Null;
        };
        for broken in checks::broken(column, &value) {
            self.report(column, &format!("{} {}", shortened(text), broken.reason()));
        }
        value
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
pub(super) fn twice<'a>(schema: &TableSchema, rows: impl Iterator<Item = &'a Row>) -> Vec<Value> {
    if schema.key_columns().is_empty() {
        return Vec::new();
    }
    let mut seen: HashMap<String, u32> = HashMap::new();
    let again = |key: &Value| {
        let times = seen.entry(key.to_string()).or_default();
        *times += 1;
        *times == 2
    };
    rows.map(|row| key_of(schema, row)).filter(again).collect()
}

pub(super) fn refuse_duplicates(mut keys: Vec<Value>) -> Result<(), WriteError> {
    if keys.is_empty() {
        return Ok(());
    }
    let count = keys.len() as u64;
    keys.truncate(MAX_VIOLATIONS);
    Err(WriteError::DuplicateKeys { first: keys, count })
}
