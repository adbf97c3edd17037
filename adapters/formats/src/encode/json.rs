//! Rows as JSON: an object or an array a row. What stands around the rows is the caller's.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use super::EncodeError;
use super::values::{Integers, Kind, Values};

/// How a `DECIMAL` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimals {
    /// `"1.10"`: no reader loses a digit.
    #[default]
    AsString,
    /// `1.10`: a reader that takes it for a double may lose digits.
    AsNumber,
}

/// How an integer of 64 bits is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WideIntegers {
    /// `9007199254740993`: a reader that takes it for a double may lose digits.
    #[default]
    AsNumber,
    /// `"9007199254740993"`: no reader loses a digit.
    AsString,
}

/// How a `JSON` column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JsonColumns {
    /// As part of the row.
    #[default]
    Embed,
    /// As a string that holds JSON.
    Text,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// `{"column": value, …}`
    #[default]
    Object,
    /// `[value, …]`
    Array,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonOptions {
    /// How a `DECIMAL` is written.
    pub decimals: Decimals,
    /// How a `BIGINT` or `UBIGINT` is written.
    pub wide: WideIntegers,
    /// How a `JSON` column is written.
    pub json: JsonColumns,
    /// What a row is.
    pub shape: Shape,
}

/// Writes rows of one result.
///
/// Integers up to 64 bits are numbers (those of 64 strings, if wanted), wider ones strings. Floats are numbers, but `"NaN"`, `"Infinity"`
/// and `"-Infinity"`. Dates and times are ISO 8601 strings (or `"infinity"`), instants in UTC. A `BLOB` is
/// base64, a `GEOMETRY` well-known text. A `MAP` is an object if its keys are texts, else an array of
/// `{"key", "value"}`. A `UNION` is its value.
#[derive(Debug, Clone)]
pub struct Rows {
    schema: SchemaRef,
    names: Vec<String>,
    /// Escaped, with the colon.
    keys: Vec<Vec<u8>>,
    options: JsonOptions,
}

/// A batch made ready to be written.
#[derive(Debug)]
pub struct BatchRows<'a> {
    rows: &'a Rows,
    columns: Vec<Values<'a>>,
    len: usize,
}

impl std::fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Values({})", self.array.data_type())
    }
}

impl Rows {
    /// An encoder of rows with these columns.
    ///
    /// # Errors
    /// If there is a type that can't be written.
    pub fn new(schema: &SchemaRef, options: JsonOptions) -> Result<Self, EncodeError> {
        let names = unique_names(schema);
        let keys = names.iter().map(|name| {
            let mut key = Vec::with_capacity(name.len() + 3);
            write_string(name, &mut key);
            key.push(b':');
            key
        });
        let rows = Self { schema: schema.clone(), keys: keys.collect(), names, options };
        rows.batch(&RecordBatch::new_empty(schema.clone()))?;
        Ok(rows)
    }

    /// The columns' names in the objects. A name that appears again gets a number: `a`, `a_1`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Makes a batch ready.
    ///
    /// # Errors
    /// If its columns aren't those of the schema.
    pub fn batch<'a>(&'a self, batch: &'a RecordBatch) -> Result<BatchRows<'a>, EncodeError> {
        Ok(BatchRows { rows: self, columns: bind_columns(&self.schema, batch)?, len: batch.num_rows() })
    }
}

impl BatchRows<'_> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a row, without a separator. Rows that don't exist are left out.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        if row >= self.len {
            return;
        }
        let object = self.rows.options.shape == Shape::Object;
        out.push(if object { b'{' } else { b'[' });
        for (index, (key, column)) in self.rows.keys.iter().zip(&self.columns).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if object {
                out.extend_from_slice(key);
            }
            write_json(column, row, self.rows.options, usize::MAX, out);
        }
        out.push(if object { b'}' } else { b']' });
    }

    /// Appends all rows as NDJSON: one a line.
    pub fn write_lines(&self, out: &mut Vec<u8>) {
        for row in 0..self.len {
            self.write(row, out);
            out.push(b'\n');
        }
    }
}

pub(super) fn bind_columns<'a>(schema: &Schema, batch: &'a RecordBatch) -> Result<Vec<Values<'a>>, EncodeError> {
    if batch.num_columns() != schema.fields().len() {
        return Err(EncodeError::Columns { found: batch.num_columns(), expected: schema.fields().len() });
    }
    schema.fields().iter().zip(batch.columns()).map(|(field, array)| Values::bind(field, array.as_ref())).collect()
}

/// The columns' names, made unique as DuckDB makes them when it creates a table of a query.
pub(super) fn unique_names(schema: &Schema) -> Vec<String> {
    let given: HashSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut used: HashSet<String> = HashSet::new();
    let unique = |name: &String| {
        let mut unique = name.clone();
        let mut number = 0;
        while used.contains(&unique) || (number > 0 && given.contains(unique.as_str())) {
            number += 1;
            unique = format!("{name}_{number}");
        }
        used.insert(unique.clone());
        unique
    };
    schema.fields().iter().map(|field| field.name()).map(unique).collect()
}

/// Appends a value. Once `out` is longer than `limit`, nested values are cut short: the caller must look.
pub(crate) fn write_json(values: &Values<'_>, row: usize, options: JsonOptions, limit: usize, out: &mut Vec<u8>) {
    if values.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    let item = |values: &Values<'_>, row: usize, out: &mut Vec<u8>| write_json(values, row, options, limit, out);
    match &values.kind {
        Kind::Text(texts) => write_string(texts.value(row), out),
        Kind::Json(texts) => match options.json {
            JsonColumns::Embed => embed(texts.value(row), out),
            JsonColumns::Text => write_string(texts.value(row), out),
        },
        Kind::Dictionary { keys, values } => {
            if let Some(key) = keys(row) {
                item(values, key, out);
            }
        }
        Kind::Union { .. } => {
            if let Some((member, at)) = values.member(row) {
                item(member, at, out);
            }
        }
        Kind::List { offsets, items } => {
            out.push(b'[');
            sequence(offsets.range(row), limit, out, |at, out| item(items, at, out));
            out.push(b']');
        }
        Kind::Struct(fields) => {
            out.push(b'{');
            sequence(0..fields.len(), limit, out, |index, out| {
                let (key, field) = &fields[index];
                out.extend_from_slice(key);
                item(field, row, out);
            });
            out.push(b'}');
        }
        Kind::Map { offsets, keys, values, text_keys } => {
            let range = super::values::Offsets::Small(offsets).range(row);
            out.push(if *text_keys { b'{' } else { b'[' });
            sequence(range, limit, out, |at, out| {
                if *text_keys {
                    item(keys, at, out);
                    out.push(b':');
                    item(values, at, out);
                } else {
                    out.extend_from_slice(b"{\"key\":");
                    item(keys, at, out);
                    out.extend_from_slice(b",\"value\":");
                    item(values, at, out);
                    out.push(b'}');
                }
            });
            out.push(if *text_keys { b'}' } else { b']' });
        }
        scalar => write_scalar(scalar, row, options, out),
    }
}

fn sequence(range: std::ops::Range<usize>, limit: usize, out: &mut Vec<u8>, mut each: impl FnMut(usize, &mut Vec<u8>)) {
    let first = range.start;
    for at in range {
        if out.len() > limit {
            return;
        }
        if at > first {
            out.push(b',');
        }
        each(at, out);
    }
}

/// Numbers and booleans bare, everything else in quotes.
fn write_scalar(kind: &Kind<'_>, row: usize, options: JsonOptions, out: &mut Vec<u8>) {
    let bare = match kind {
        Kind::Integer(Integers::I64(_) | Integers::U64(_)) => options.wide == WideIntegers::AsNumber,
        Kind::Boolean(_) | Kind::Bool8(_) | Kind::Integer(_) => true,
        Kind::Half(values) => values[row].is_finite(),
        Kind::Float(values) => values[row].is_finite(),
        Kind::Double(values) => values[row].is_finite(),
        Kind::Decimal32(..) | Kind::Decimal64(..) | Kind::Decimal128(..) | Kind::Decimal256(..) => {
            options.decimals == Decimals::AsNumber
        }
        _ => false,
    };
    if !bare {
        out.push(b'"');
    }
    kind.write_scalar(row, out);
    if !bare {
        out.push(b'"');
    }
}

/// Appends a string with its quotes.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector can't fail.
    let _ = serde_json::to_writer(out, text);
}

/// Appends JSON as it is, on one line. What isn't JSON after all goes as a string: it must not break the rest.
fn embed(text: &str, out: &mut Vec<u8>) {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return write_string(text, out);
    }
    // In valid JSON a line break only ever stands between values.
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
