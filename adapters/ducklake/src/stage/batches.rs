//! Rows that were decoded on the way, batch by batch.

use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::compute::concat_batches;
use duckdb::Connection;
use futures_util::StreamExt as _;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{RowBatch, RowBatchStream, Violations};
use gadwall_domain::schema::TableSchema;

use super::check::{Keys, check};
use super::columns::{append, create_stage, internal, numbered};
use super::{Incoming, Staged, step};
use crate::engine::Engine;

/// What still counts as few rows.
const FEW_ROWS: usize = 2048;
/// What few rows may take, as a queue full of them waits in memory.
const FEW_BYTES: usize = 256 << 10;

/// A few rows, complete, at least one. The decoder found nothing wrong with them.
pub(crate) struct Few {
    pub(super) rows: RecordBatch,
}

impl Few {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether the rows have the same columns as others, so that they can be held in one table.
    pub(crate) fn same_columns(&self, other: &Self) -> bool {
        self.rows.schema_ref().fields() == other.rows.schema_ref().fields()
    }
}

/// Takes rows in: a few as they are, more by loading and checking them.
pub(super) async fn take(
    engine: &Arc<Engine>,
    schema: &TableSchema,
    mut batches: RowBatchStream,
    keys: Keys,
) -> Result<Incoming, WriteError> {
    let (mut first, mut rows, mut bytes, mut fine) = (Vec::new(), 0, 0, true);
    let mut ended = false;
    while !ended && rows <= FEW_ROWS && bytes <= FEW_BYTES {
        match batches.next().await {
            Some(batch) => {
                let batch = batch?;
                rows += batch.rows.num_rows();
                bytes += size(&batch.rows);
                fine &= batch.violations.is_empty();
                first.push(batch);
            }
            None => ended = true,
        }
    }
    match first.first() {
        Some(one) if ended && fine && rows > 0 => {
            let all = concat_batches(one.rows.schema_ref(), first.iter().map(|batch| &batch.rows)).map_err(internal)?;
            Ok(Incoming::Few(Few { rows: all }))
        }
        _ => {
            let all = Box::pin(futures_util::stream::iter(first.into_iter().map(Ok)).chain(batches));
            stage_batches(engine, schema, all, keys).await.map(Incoming::Staged)
        }
    }
}

/// Bytes of the values, whatever is shared with others or kept in reserve.
fn size(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(usize::MAX / 4)).sum()
}

async fn stage_batches(
    engine: &Arc<Engine>,
    schema: &TableSchema,
    mut batches: RowBatchStream,
    keys: Keys,
) -> Result<Staged, WriteError> {
    let (mut staged, name) = Staged::in_memory(engine);
    let mut found = Violations::default();
    let mut sources = None;
    while let Some(batch) = batches.next().await {
        let RowBatch { rows, violations } = batch?;
        found.merge(violations);
        let numbered = numbered(0, &rows, staged.rows)?;
        staged.rows += numbered.num_rows() as u64;
        let (name, schema, known) = (name.clone(), schema.clone(), sources.take());
        let load = move |connection: &Connection| {
            let sources = match known {
                Some(sources) => sources,
                None => create_stage(connection, &name, &schema, rows.schema_ref())?,
            };
            append(connection, &name, numbered)?;
            Ok(sources)
        };
        sources = Some(step(engine, load).await?);
    }
    let (schema, sources) = (schema.clone(), sources.unwrap_or_default());
    step(engine, move |connection| check(connection, &schema, staged, &sources, found, keys)).await
}

/// Loads and checks the few rows of one request by themselves.
pub(crate) fn stage_few(
    engine: &Arc<Engine>,
    connection: &Connection,
    schema: &TableSchema,
    few: &Few,
    keys: Keys,
) -> Result<Staged, WriteError> {
    let (mut staged, name) = Staged::in_memory(engine);
    let sources = create_stage(connection, &name, schema, few.rows.schema_ref())?;
    append(connection, &name, numbered(0, &few.rows, 0)?)?;
    staged.rows = few.rows.num_rows() as u64;
    check(connection, schema, staged, &sources, Violations::default(), keys)
}
