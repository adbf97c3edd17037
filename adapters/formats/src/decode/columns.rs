//! The rows of a batch as they are put together, cell by cell.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use gadwall_domain::rows::{RowBatch, RowsError, Violation, Violations};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::types::DataType;

use super::shorten;
use crate::cell::{Cell, Misfit, from_default};

/// Most rows of a batch.
pub(super) const BATCH_ROWS: usize = 8_192;
/// A batch is handed on once its values take this many bytes.
pub(super) const BATCH_BYTES: usize = 8 << 20;
/// Longest list of column names in a message.
const LISTED: usize = 400;

/// Finds a table's columns by name.
pub(super) struct Lookup {
    schema: Arc<TableSchema>,
    by_name: HashMap<String, usize>,
}

impl Lookup {
    pub(super) fn new(schema: Arc<TableSchema>) -> Self {
        let by_name = schema.columns().iter().enumerate().map(|(at, column)| (column.name.folded(), at)).collect();
        Self { schema, by_name }
    }

    /// The column's place in the table.
    pub(super) fn find(&self, name: &str) -> Result<usize, RowsError> {
        self.by_name.get(&name.to_ascii_lowercase()).copied().ok_or_else(|| self.unknown(name))
    }

    pub(super) fn columns(&self) -> &[Column] {
        self.schema.columns()
    }

    fn unknown(&self, name: &str) -> RowsError {
        let mut known = String::new();
        for column in self.columns() {
            if known.len() > LISTED {
                known.push_str(", …");
                break;
            }
            let comma = if known.is_empty() { "" } else { ", " };
            known = known + comma + column.name.as_str();
        }
        RowsError::UnknownColumn { column: shorten(name), known }
    }
}

enum Builder {
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

impl Builder {
    fn for_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Blob => Self::Bytes(BinaryBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        match self {
            Self::Text(builder) => builder.len(),
            Self::Bytes(builder) => builder.len(),
        }
    }

    /// Appends a cell and tells its size.
    fn push(&mut self, cell: Option<&Cell<'_>>) -> usize {
        match (self, cell) {
            (Self::Text(builder), Some(Cell::Text(text))) => {
                builder.append_value(text);
                text.len()
            }
            (Self::Bytes(builder), Some(Cell::Bytes(bytes))) => {
                builder.append_value(bytes);
                bytes.len()
            }
            // The checks give bytes for a BLOB and text for all else, so this is NULL.
            (Self::Text(builder), _) => {
                builder.append_null();
                0
            }
            (Self::Bytes(builder), _) => {
                builder.append_null();
                0
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder) => Arc::new(builder.finish()),
        }
    }
}

struct Slot {
    column: Column,
    builder: Builder,
    default: Option<Cell<'static>>,
}

/// Builds batches with some of a table's columns. A value that doesn't fit leaves NULL and a violation.
pub(super) struct Rows {
    slots: Vec<Slot>,
    schema: SchemaRef,
    violations: Violations,
    /// Finished rows of the whole request.
    total: u64,
    /// Finished rows of this batch.
    held: usize,
    bytes: usize,
}

impl Rows {
    /// Rows of the columns at these places of the table, in this order.
    pub(super) fn new(lookup: &Lookup, places: &[usize]) -> Self {
        let slot = |&at: &usize| {
            let column = lookup.columns().get(at)?.clone();
            let default = column.default.as_ref().map(|text| default_cell(&column.data_type, text.as_str()));
            Some(Slot { builder: Builder::for_type(&column.data_type), default, column })
        };
        let slots: Vec<_> = places.iter().filter_map(slot).collect();
        let field = |slot: &Slot| {
            let arrow = if slot.column.data_type == DataType::Blob { ArrowType::Binary } else { ArrowType::Utf8 };
            Field::new(slot.column.name.as_str(), arrow, true)
        };
        let schema = Arc::new(Schema::new(slots.iter().map(field).collect::<Vec<_>>()));
        Self { slots, schema, violations: Violations::default(), total: 0, held: 0, bytes: 0 }
    }

    pub(super) fn column(&self, slot: usize) -> &Column {
        &self.slots[slot].column
    }

    /// The number of the row in work, from 1.
    pub(super) fn row_number(&self) -> u64 {
        self.total + 1
    }

    /// The columns of a batch.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Sets a cell of the row in work: a checked one, NULL, or what is wrong with it.
    pub(super) fn set(&mut self, slot: usize, checked: Result<Option<Cell<'_>>, Misfit>) {
        if self.slots[slot].builder.len() > self.held {
            let reason = "it appears twice in the row".to_owned();
            return self.violate(slot, "", reason);
        }
        let cell = match checked {
            Ok(None) if !self.slots[slot].column.nullable => {
                self.violate(slot, "", "it is NULL, but the column is NOT NULL".to_owned());
                None
            }
            Ok(cell) => cell,
            Err(misfit) => {
                self.violate(slot, &misfit.path, misfit.reason);
                None
            }
        };
        self.bytes += self.slots[slot].builder.push(cell.as_ref()) + 8;
    }

    /// Notes a violation of the row in work.
    pub(super) fn violate(&mut self, slot: usize, path: &str, reason: String) {
        let column = Some(format!("{}{path}", self.slots[slot].column.name));
        self.violations.push(Violation { row: self.row_number(), column, reason });
    }

    /// Ends the row: columns that weren't set take their default, or NULL.
    pub(super) fn end_row(&mut self) {
        for at in 0..self.slots.len() {
            if self.slots[at].builder.len() > self.held {
                continue;
            }
            let default = self.slots[at].default.clone();
            if default.is_none() && !self.slots[at].column.nullable {
                self.violate(at, "", "it is missing, but the column is NOT NULL and has no default".to_owned());
            }
            self.bytes += self.slots[at].builder.push(default.as_ref()) + 8;
        }
        self.held += 1;
        self.total += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.held >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The finished rows; none if there are none.
    pub(super) fn take(&mut self) -> Result<Option<RowBatch>, RowsError> {
        if self.held == 0 {
            return Ok(None);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.held));
        let arrays = self.slots.iter_mut().map(|slot| slot.builder.finish()).collect();
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| RowsError::Internal(Box::new(error)))?;
        self.held = 0;
        self.bytes = 0;
        Ok(Some(RowBatch { rows, violations: std::mem::take(&mut self.violations) }))
    }
}

/// A default was a literal when the table was made. If it doesn't fit its column, the engine will say so.
fn default_cell(data_type: &DataType, text: &str) -> Cell<'static> {
    match from_default(data_type, text) {
        Ok(Cell::Bytes(bytes)) => Cell::Bytes(bytes.into_owned().into()),
        Ok(Cell::Text(text)) => Cell::Text(text.into_owned().into()),
        Err(_) if *data_type == DataType::Blob => Cell::Bytes(text.as_bytes().to_vec().into()),
        Err(_) => Cell::Text(text.to_owned().into()),
    }
}
