//! Rows as CSV (RFC 4180).

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use thiserror::Error;

use super::EncodeError;
use super::json::{Decimals, JsonOptions, bind_columns, unique_names, write_json};
use super::values::{Kind, Values};

/// Longest text for NULL, in characters.
const MAX_NULL_TEXT: usize = 64;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How CSV is written.
///
/// NULL is an unquoted field of the null text, by default nothing; a text that looks the same is quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvStyle {
    delimiter: u8,
    header: bool,
    null_text: String,
    quote_all: bool,
}

/// A sign that would be mistaken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StyleError {
    /// Not a single ASCII character, or one that means something else.
    #[error("the delimiter is one ASCII character, and no quote, line break or NUL")]
    Delimiter,
    /// It could not be told from other fields.
    #[error("the text for NULL is at most 64 characters, without delimiters, quotes, line breaks or NUL")]
    NullText,
}

impl Default for CsvStyle {
    fn default() -> Self {
        Self { delimiter: b',', header: true, null_text: String::new(), quote_all: false }
    }
}

impl CsvStyle {
    /// With these signs between fields and in place of NULL.
    ///
    /// # Errors
    /// If one of them would be mistaken for another.
    pub fn new(delimiter: char, null_text: &str) -> Result<Self, StyleError> {
        let reserved = |sign: char| matches!(sign, '"' | '\r' | '\n' | '\0');
        if !delimiter.is_ascii() || reserved(delimiter) {
            return Err(StyleError::Delimiter);
        }
        let unfit = |sign| reserved(sign) || sign == delimiter;
        if null_text.chars().any(unfit) || null_text.chars().count() > MAX_NULL_TEXT {
            return Err(StyleError::NullText);
        }
        let delimiter = u8::try_from(delimiter).map_err(|_| StyleError::Delimiter)?;
        Ok(Self { delimiter, null_text: null_text.to_owned(), ..Self::default() })
    }

    /// Whether the first line names the columns.
    #[must_use]
    pub fn with_header(self, header: bool) -> Self {
        Self { header, ..self }
    }

    /// Whether every field but NULL is quoted, needed or not.
    #[must_use]
    pub fn with_quote_all(self, quote_all: bool) -> Self {
        Self { quote_all, ..self }
    }
}

/// Writes rows of one result: a header and CRLF lines.
///
/// Values read as in JSON, without quotes; nested ones are JSON.
#[derive(Debug, Clone)]
pub struct Csv {
    schema: SchemaRef,
    names: Vec<String>,
    style: CsvStyle,
}

impl Csv {
    /// An encoder of rows with these columns.
    ///
    /// # Errors
    /// If there is a type that can't be written.
    pub fn new(schema: &SchemaRef, style: CsvStyle) -> Result<Self, EncodeError> {
        bind_columns(schema, &RecordBatch::new_empty(schema.clone()))?;
        Ok(Self { names: unique_names(schema), schema: schema.clone(), style })
    }

    /// Appends the header line, if there is to be one.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        if !self.style.header {
            return;
        }
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.push(self.style.delimiter);
            }
            let start = out.len();
            out.extend_from_slice(name.as_bytes());
            self.style.quote_from(start, out);
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
                    out.push(self.style.delimiter);
                }
                self.style.write_field(column, row, out);
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

impl CsvStyle {
    fn write_field(&self, values: &Values<'_>, row: usize, out: &mut Vec<u8>) {
        if values.is_null(row) {
            out.extend_from_slice(self.null_text.as_bytes());
            return;
        }
        let start = out.len();
        write_text(values, row, usize::MAX, out);
        self.quote_from(start, out);
    }

    /// Puts what was appended since `start` in quotes if it needs them.
    fn quote_from(&self, start: usize, out: &mut Vec<u8>) {
        let field = &out[start..];
        let is = |sign: bool| usize::from(sign);
        // Without a way out in the middle, which the processor does many bytes at a time.
        let special = |byte: u8| is(byte == b'"') | is(byte == b'\r') | is(byte == b'\n') | is(byte == self.delimiter);
        let needed = field.iter().fold(0, |any, &byte| any | special(byte)) > 0;
        // Nothing is NULL, and so is the text for it; a byte order mark would be taken for one.
        let ambiguous = field.is_empty() || field == self.null_text.as_bytes() || field.starts_with(BYTE_ORDER_MARK);
        if !(self.quote_all || ambiguous || needed) {
            return;
        }
        let quotes: usize = field.iter().map(|&byte| is(byte == b'"')).sum();
        let end = out.len();
        out.resize(end + quotes + 2, b'"');
        // From the back, so that nothing is overwritten before it has moved.
        let mut to = out.len() - 1;
        for from in (start..end).rev() {
            let byte = out[from];
            to -= 1;
            out[to] = byte;
            if byte == b'"' {
                to -= 1;
                out[to] = b'"';
            }
        }
        out[start] = b'"';
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
        let csv = Csv::new(&batch.schema(), CsvStyle::default()).unwrap();
        let mut out = Vec::new();
        csv.write_header(&mut out);
        csv.write_batch(&batch, &mut out).unwrap();
        let expected = "id,\"na,me\",l\r\n1,a,\"[1,null]\"\r\n2,\"\",\r\n3,,[]\r\n4,\"x,\"\"y\"\"\n\",\r\n5,é,\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
