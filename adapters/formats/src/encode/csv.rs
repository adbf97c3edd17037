//! Rows as CSV (RFC 4180).

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::EncodeError;
use super::json::{Decimals, JsonOptions, bind_columns, unique_names, write_json};
use super::values::{Kind, Values};

/// Writes rows of one result: a header and CRLF lines.
///
/// NULL is an empty field, an empty text a quoted one. Values read as in JSON, without quotes; nested ones
/// are JSON.
#[derive(Debug, Clone)]
pub struct Csv {
    schema: SchemaRef,
    names: Vec<String>,
}

impl Csv {
    /// An encoder of rows with these columns.
    ///
    /// # Errors
    /// If there is a type that can't be written.
    pub fn new(schema: &SchemaRef) -> Result<Self, EncodeError> {
        bind_columns(schema, &RecordBatch::new_empty(schema.clone()))?;
        Ok(Self { names: unique_names(schema), schema: schema.clone() })
    }

    /// Appends the header line.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let start = out.len();
            out.extend_from_slice(name.as_bytes());
            quote_from(start, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the rows of a batch.
    ///
    /// # Errors
    /// If its columns aren't those of the schema.
    pub fn write_batch(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let columns = bind_columns(&self.schema, batch)?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_field(column, row, out);
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

/// Appends a value as text: scalars bare, nested ones as JSON, NULL as nothing.
pub(crate) fn write_text(values: &Values<'_>, row: usize, limit: usize, out: &mut Vec<u8>) {
    if values.is_null(row) {
        return;
    }
    match &values.kind {
        Kind::Dictionary { keys, values } => {
            if let Some(key) = keys(row) {
                write_text(values, key, limit, out);
            }
        }
        Kind::Union { .. } => {
            if let Some((member, at)) = values.member(row) {
                write_text(member, at, limit, out);
            }
        }
        kind => {
            if !kind.write_scalar(row, out) {
                let options = JsonOptions { decimals: Decimals::AsString, ..JsonOptions::default() };
                write_json(values, row, options, limit, out);
            }
        }
    }
}

fn write_field(values: &Values<'_>, row: usize, out: &mut Vec<u8>) {
    let start = out.len();
    write_text(values, row, usize::MAX, out);
    if !values.is_null(row) {
        quote_from(start, out);
    }
}

/// Puts what was appended since `start` in quotes if it needs them.
fn quote_from(start: usize, out: &mut Vec<u8>) {
    let field = &out[start..];
    let needs = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    if !field.is_empty() && !field.iter().any(needs) {
        return;
    }
    let doubled: Vec<u8> =
        field.iter().flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 })).collect();
    out.truncate(start);
    out.push(b'"');
    out.extend_from_slice(&doubled);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let names: ArrayRef =
            Arc::new(StringArray::from(vec![Some("a"), Some(""), None, Some("x,\"y\"\n"), Some("é")]));
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            None,
            None,
        ]);
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5]));
        let batch =
            RecordBatch::try_from_iter([("id", ids), ("na,me", names), ("l", Arc::new(lists) as ArrayRef)]).unwrap();
        let csv = Csv::new(&batch.schema()).unwrap();
        let mut out = Vec::new();
        csv.write_header(&mut out);
        csv.write_batch(&batch, &mut out).unwrap();
        let expected = "id,\"na,me\",l\r\n1,a,\"[1,null]\"\r\n2,\"\",\r\n3,,[]\r\n4,\"x,\"\"y\"\"\n\",\r\n5,é,\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
