//! Arrow IPC, as a stream or as a file (told apart by its first bytes).
//!
//! A column whose Arrow type fits the table's keeps it. Any other goes through text, value by value, and
//! so through the checks that hold for JSON and CSV; dictionaries and views are resolved on the way, and
//! nested values become the JSON that a nested column takes. Both forms are read message by message:
//! memory is bounded by the largest message and the dictionaries, not by the body.

mod frames;
mod plan;
mod typed;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use gadwall_domain::rows::{RowBatch, RowsError, Violations};
use gadwall_domain::schema::TableSchema;

use self::frames::Framer;
use self::plan::{Planned, Route, cell, check_lengths, plan, typed_part};
use super::columns::{BATCH_ROWS, Lookup, Rows};
use super::{DecodeOptions, Decoder, shorten};
use crate::encode::Values;

/// The end of a stream, in its own words.
const END_OF_STREAM: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

pub(super) struct ArrowDecoder {
    framer: Framer,
    decoder: StreamDecoder,
    lookup: Lookup,
    table: Option<Table>,
    /// Decoded batches, and how many of the first one's rows are behind.
    pending: VecDeque<RecordBatch>,
    behind: usize,
    max_row: usize,
}

/// What is known once the schema is read.
struct Table {
    columns: Vec<Planned>,
    /// The columns that go through text, in their order among `columns`.
    rows: Rows,
    schema: SchemaRef,
}

fn malformed(reason: String) -> RowsError {
    RowsError::Malformed { format: "Arrow", reason }
}

/// Runs code of the `arrow` crate, which may panic on damaged input.
fn guarded<T>(run: impl FnOnce() -> Result<T, RowsError>) -> Result<T, RowsError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(malformed("it is damaged".to_owned())))
}

impl ArrowDecoder {
    pub(super) fn new(schema: Arc<TableSchema>, options: &DecodeOptions) -> Self {
        Self {
            framer: Framer::new(options.max_message_bytes),
            decoder: StreamDecoder::new(),
            lookup: Lookup::new(schema),
            table: None,
            pending: VecDeque::new(),
            behind: 0,
            max_row: options.max_row_bytes,
        }
    }

    /// Gives a message to `arrow`, and looks at what it made of it.
    fn decode(&mut self, message: Vec<u8>) -> Result<(), RowsError> {
        let mut buffer = Buffer::from_vec(message);
        while !buffer.is_empty() {
            let decoded = self.decoder.decode(&mut buffer).map_err(|error| malformed(shorten(&error.to_string())))?;
            if self.table.is_none()
                && let Some(schema) = self.decoder.schema()
            {
                self.table = Some(Table::new(&schema, &self.lookup)?);
            }
            if let Some(batch) = decoded {
                check_lengths(&batch).map_err(malformed)?;
                self.pending.push_back(batch);
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), RowsError> {
        while let Some(message) = self.framer.next().map_err(malformed)? {
            self.decode(message)?;
        }
        Ok(())
    }
}

impl Decoder for ArrowDecoder {
    fn push(&mut self, piece: &[u8]) -> Result<(), RowsError> {
        guarded(|| {
            self.framer.push(piece).map_err(malformed)?;
            self.drain()
        })
    }

    fn finish(&mut self) -> Result<(), RowsError> {
        guarded(|| {
            self.framer.finish().map_err(malformed)?;
            // The decoder acts on a message without a body only when something follows.
            self.decode(END_OF_STREAM.to_vec())?;
            if self.table.is_none() {
                return Err(malformed("it has no schema".to_owned()));
            }
            Ok(())
        })
    }

    fn next_batch(&mut self) -> Result<Option<RowBatch>, RowsError> {
        guarded(|| {
            let Some(table) = self.table.as_mut() else { return Ok(None) };
            while let Some(batch) = self.pending.front() {
                if self.behind < batch.num_rows() {
                    let (rows, taken) = table.take(batch, self.behind, self.max_row)?;
                    self.behind += taken;
                    return Ok(Some(rows));
                }
                self.pending.pop_front();
                self.behind = 0;
            }
            Ok(None)
        })
    }
}

impl Table {
    fn new(schema: &Schema, lookup: &Lookup) -> Result<Self, RowsError> {
        let columns = plan(schema, lookup)?;
        for column in &columns {
            // What can't be written as text is refused before the first batch.
            let empty = arrow::array::new_empty_array(column.field.data_type());
            Values::bind(&column.field, empty.as_ref()).map_err(|error| malformed(error.to_string()))?;
        }
        let by_text = |column: &&Planned| !matches!(column.route, Route::Typed(_));
        let places: Vec<usize> = columns.iter().filter(by_text).map(|column| column.place).collect();
        let rows = Rows::new(lookup, &places);
        let mut texts = rows.schema().fields().iter().cloned();
        let field = |column: &Planned| match &column.route {
            Route::Typed(target) => {
                let name = lookup.columns()[column.place].name.as_str();
                Some(Arc::new(Field::new(name, target.clone(), true)))
            }
            _ => texts.next(),
        };
        let schema = Arc::new(Schema::new(columns.iter().filter_map(field).collect::<Vec<_>>()));
        Ok(Self { columns, rows, schema })
    }

    /// The next rows of a batch, and how many.
    fn take(&mut self, batch: &RecordBatch, behind: usize, limit: usize) -> Result<(RowBatch, usize), RowsError> {
        let first_row = self.rows.row_number();
        let bound: Vec<(&Route, Values<'_>)> = self
            .columns
            .iter()
            .zip(batch.columns())
            .filter(|(column, _)| !matches!(column.route, Route::Typed(_)))
            .map(|(column, array)| Ok((&column.route, Values::bind(&column.field, array.as_ref())?)))
            .collect::<Result<_, crate::encode::EncodeError>>()
            .map_err(|error| malformed(error.to_string()))?;
        let mut scratch = Vec::new();
        let end = batch.num_rows().min(behind + BATCH_ROWS);
        for row in behind..end {
            for (slot, (route, values)) in bound.iter().enumerate() {
                let data_type = &self.rows.column(slot).data_type;
                let checked = cell(route, data_type, values, row, limit, &mut scratch);
                self.rows.set(slot, checked);
            }
            self.rows.end_row();
            if self.rows.is_full() {
                break;
            }
        }
        let texts = self.rows.take()?.ok_or_else(|| malformed("a batch is empty".to_owned()))?;
        let taken = texts.rows.num_rows();
        self.assemble(batch, behind, first_row, texts).map(|rows| (rows, taken))
    }

    /// Puts the typed columns beside those that went through text.
    fn assemble(
        &self,
        batch: &RecordBatch,
        behind: usize,
        first_row: u64,
        texts: RowBatch,
    ) -> Result<RowBatch, RowsError> {
        let taken = texts.rows.num_rows();
        let mut violations = Violations::default();
        let mut by_text = texts.rows.columns().iter().cloned();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for ((column, array), field) in self.columns.iter().zip(batch.columns()).zip(self.schema.fields()) {
            if let Route::Typed(target) = &column.route {
                let part = array.slice(behind, taken);
                let nullable = column.nullable;
                arrays.push(typed_part(field.name(), nullable, &part, target, first_row, &mut violations));
            } else {
                arrays.extend(by_text.next());
            }
        }
        violations.merge(texts.violations);
        let rows = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|error| malformed(error.to_string()))?;
        Ok(RowBatch { rows, violations })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
