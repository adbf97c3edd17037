//! JSON and NDJSON: an object a row, its keys the columns.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use gadwall_domain::rows::{RowBatch, RowsError};
use gadwall_domain::schema::TableSchema;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::{Lookup, Rows};
use super::splitter::{Layout, Splitter};
use super::{DecodeOptions, Decoder};
use crate::cell::from_json;

/// Decodes a JSON document or lines of JSON. Every column of the table is in every batch.
pub(super) struct JsonDecoder {
    format: &'static str,
    splitter: Splitter,
    parser: RowParser,
    ready: VecDeque<RowBatch>,
}

struct RowParser {
    lookup: Lookup,
    rows: Rows,
    /// The last row's keys and their columns: most rows have the same, in the same order.
    keys: Vec<(String, usize)>,
}

/// What ends the decoding: bytes that aren't a row, or an error to pass on as it is.
enum Stop {
    Malformed(String),
    Other(RowsError),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Malformed(reason)
    }
}

impl Stop {
    fn into_error(self, format: &'static str) -> RowsError {
        match self {
            Self::Malformed(reason) => RowsError::Malformed { format, reason },
            Self::Other(error) => error,
        }
    }
}

impl JsonDecoder {
    pub(super) fn document(schema: Arc<TableSchema>, options: &DecodeOptions) -> Self {
        Self::new("JSON", Layout::Document, schema, options)
    }

    pub(super) fn lines(schema: Arc<TableSchema>, options: &DecodeOptions) -> Self {
        Self::new("NDJSON", Layout::Lines, schema, options)
    }

    fn new(format: &'static str, layout: Layout, schema: Arc<TableSchema>, options: &DecodeOptions) -> Self {
        let lookup = Lookup::new(schema);
        let places: Vec<usize> = (0..lookup.columns().len()).collect();
        let parser = RowParser { rows: Rows::new(&lookup, &places), lookup, keys: Vec::new() };
        Self { format, splitter: Splitter::new(layout, options.max_row_bytes), parser, ready: VecDeque::new() }
    }
}

impl Decoder for JsonDecoder {
    fn push(&mut self, piece: &[u8]) -> Result<(), RowsError> {
        let Self { splitter, parser, ready, format } = self;
        splitter.push(piece, &mut |row| parser.row(row, ready)).map_err(|stop: Stop| stop.into_error(format))
    }

    fn finish(&mut self) -> Result<(), RowsError> {
        let Self { splitter, parser, ready, format } = self;
        splitter.finish(&mut |row| parser.row(row, ready)).map_err(|stop: Stop| stop.into_error(format))?;
        ready.extend(parser.rows.take()?);
        Ok(())
    }

    fn next_batch(&mut self) -> Result<Option<RowBatch>, RowsError> {
        Ok(self.ready.pop_front())
    }
}

impl RowParser {
    fn row(&mut self, row: &[u8], ready: &mut VecDeque<RowBatch>) -> Result<(), Stop> {
        let number = self.rows.row_number();
        let text = std::str::from_utf8(row).map_err(|_| format!("row {number} is not UTF-8"))?;
        if !text.starts_with('{') {
            return Err(format!("row {number} is not an object").into());
        }
        let mut unknown = None;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let seed = RowSeed { parser: self, unknown: &mut unknown };
        let parsed = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        if let Some(error) = unknown {
            return Err(Stop::Other(error));
        }
        parsed.map_err(|error| format!("row {number}: {error}"))?;
        self.rows.end_row();
        if self.rows.is_full() {
            ready.extend(self.rows.take().map_err(Stop::Other)?);
        }
        Ok(())
    }

    /// The column of the row's key number `nth`.
    fn column_of(&mut self, nth: usize, key: &str) -> Result<usize, RowsError> {
        if let Some((expected, slot)) = self.keys.get(nth)
            && expected == key
        {
            return Ok(*slot);
        }
        let slot = self.lookup.find(key)?;
        if nth <= self.lookup.columns().len() {
            self.keys.truncate(nth);
            self.keys.push((key.to_owned(), slot));
        }
        Ok(slot)
    }
}

/// Reads an object straight into the row in work.
struct RowSeed<'a> {
    parser: &'a mut RowParser,
    unknown: &'a mut Option<RowsError>,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { parser, unknown } = self;
        let mut nth = 0;
        while let Some(slot) = map.next_key_seed(KeySeed { parser: &mut *parser, nth, unknown: &mut *unknown })? {
            let raw: &RawValue = map.next_value()?;
            let checked = from_json(&parser.rows.column(slot).data_type, raw);
            parser.rows.set(slot, checked);
            nth += 1;
        }
        Ok(())
    }
}

/// Reads a key as the place of its column, without keeping it.
struct KeySeed<'a> {
    parser: &'a mut RowParser,
    nth: usize,
    unknown: &'a mut Option<RowsError>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<usize, E> {
        self.parser.column_of(self.nth, key).map_err(|error| {
            *self.unknown = Some(error);
            E::custom("unknown column")
        })
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
