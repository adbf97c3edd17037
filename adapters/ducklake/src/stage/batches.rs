//! Rows that were decoded on the way, batch by batch.

use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::compute::concat_batches;
use duckdb::Connection;
use futures_util::StreamExt as _;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{RowBatch, RowBatchStream, Violations};
use gadwall_domain::schema::TableSchema;
use tokio::task::JoinHandle;

use super::check::{Keys, check, check_missing, check_unique, check_values};
use super::columns::{append, create_stage, given, internal, numbered};
use super::source::Source;
use super::{Incoming, Spool, SpooledFile, Staged, step};
use crate::engine::Engine;
use crate::error::fault;
use crate::measure::count_rows;
use crate::root::Lent;

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
    spool: &Spool,
    schema: &TableSchema,
    batches: RowBatchStream,
    keys: Keys,
) -> Result<Incoming, WriteError> {
    // It may have ended when it is looked at again.
    let mut batches = batches.fuse();
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
            stage_batches(spool, schema, all, keys).await.map(Incoming::Staged)
        }
    }
}

/// Bytes of the values, whatever is shared with others or kept in reserve.
fn size(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(usize::MAX / 4)).sum()
}

async fn stage_batches(
    spool: &Spool,
    schema: &TableSchema,
    mut batches: RowBatchStream,
    keys: Keys,
) -> Result<Staged, WriteError> {
    let engine = &spool.shared.engine;
    let schema = Arc::new(schema.clone());
    let mut piece = Piece::new(engine);
    let mut whole = Whole::default();
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        piece.take(batch, rows)?;
        rows = piece.last;
        if piece.has_waiting() {
            piece = piece.load(&schema).await?;
        }
        if piece.is_full() && spool.takes(rows) {
            whole.add(spool, &schema, std::mem::replace(&mut piece, Piece::new(engine))).await?;
        }
    }
    piece = piece.load(&schema).await?;
    if whole.is_empty() {
        let Piece { staged, sources, found, .. } = piece;
        return step(engine, move |connection| check(connection, &schema, staged, &sources, found, keys)).await;
    }
    if piece.staged.rows > 0 {
        whole.add(spool, &schema, piece).await?;
    }
    let (files, found, counted) = whole.end().await?;
    if !found.is_empty() {
        return Err(WriteError::Violations(found));
    }
    let staged = spool.staged(&schema, files, rows, counted);
    let unique = move |connection: &Lent| check_unique(connection, &schema, &staged).map(|()| staged);
    step(engine, unique).await
}

/// Rows of a piece that go into one file.
const PIECE_ROWS: u64 = 491_520;
/// Bytes of batches that are loaded together, and how many batches at most.
const WAITING_BYTES: usize = 4 << 20;
const MAX_WAITING: usize = 256;
/// Bytes of a piece. Two are in memory at a time: one is filled while the other is written.
const PIECE_BYTES: usize = 48 << 20;

/// Some of the rows, in a table in memory.
struct Piece {
    staged: Staged,
    name: String,
    sources: Vec<Source>,
    /// What the decoder found wrong.
    found: Violations,
    bytes: usize,
    /// Batches that aren't in the table yet: a table takes many small ones faster together.
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
    /// The number of the last row.
    last: u64,
}

impl Piece {
    fn new(engine: &Arc<Engine>) -> Self {
        let (staged, name) = Staged::in_memory(engine);
        Self {
            staged,
            name,
            sources: Vec::new(),
            found: Violations::default(),
            bytes: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            last: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.staged.rows >= PIECE_ROWS || self.bytes >= PIECE_BYTES
    }

    /// Takes a batch in, that comes after so many rows.
    fn take(&mut self, batch: RowBatch, before: u64) -> Result<(), WriteError> {
        let RowBatch { rows, violations } = batch;
        self.found.merge(violations);
        self.waiting_bytes += size(&rows);
        self.last = before + rows.num_rows() as u64;
        self.waiting.push(numbered(0, &rows, before)?);
        Ok(())
    }

    /// Whether enough batches wait to be loaded.
    fn has_waiting(&self) -> bool {
        self.waiting_bytes >= WAITING_BYTES || self.waiting.len() >= MAX_WAITING
    }

    /// Puts the batches that wait into the table.
    async fn load(mut self, schema: &Arc<TableSchema>) -> Result<Self, WriteError> {
        if self.waiting.is_empty() {
            return Ok(self);
        }
        let (schema, engine) = (Arc::clone(schema), Arc::clone(&self.staged.engine));
        let load = move |connection: &Lent| {
            let waiting = std::mem::take(&mut self.waiting);
            if self.sources.is_empty()
                && let Some(first) = waiting.first()
            {
                self.sources = create_stage(connection, &self.name, &schema, &given(first.schema_ref()))?;
            }
            self.staged.rows += append(connection, &self.name, waiting)?;
            self.bytes += std::mem::take(&mut self.waiting_bytes);
            Ok(self)
        };
        step(&engine, load).await
    }
}

/// A piece's file, what is wrong with it, and what the rules of a contract count in it.
type Written = Result<(Option<SpooledFile>, Violations, Option<Vec<i64>>), WriteError>;

/// Pieces that are in files, and the one that is being written.
#[derive(Default)]
struct Whole {
    files: Vec<SpooledFile>,
    found: Violations,
    /// What the rules of a contract count; none where that failed.
    counted: Option<Vec<i64>>,
    writing: Option<JoinHandle<Written>>,
}

impl Whole {
    fn is_empty(&self) -> bool {
        self.writing.is_none() && self.files.is_empty() && self.found.is_empty()
    }

    /// Starts to check and write a piece, once the one before it is done.
    async fn add(&mut self, spool: &Spool, schema: &Arc<TableSchema>, piece: Piece) -> Result<(), WriteError> {
        self.settle().await?;
        let (spool, schema) = (spool.clone(), Arc::clone(schema));
        let futile = !self.found.is_empty();
        self.writing = Some(tokio::spawn(async move {
            let engine = Arc::clone(&spool.shared.engine);
            step(&engine, move |connection| write_piece(connection, &spool, &schema, piece, futile)).await
        }));
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), WriteError> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let (file, found, counted) = writing.await.map_err(|error| fault(format!("staging stopped: {error}")))??;
        self.counted = match (self.counted.take(), counted) {
            (Some(before), Some(more)) => Some(before.iter().zip(more).map(|(before, more)| before + more).collect()),
            (None, counted) if self.files.is_empty() => counted,
            _ => None,
        };
        self.files.extend(file);
        self.found.merge(found);
        Ok(())
    }

    async fn end(mut self) -> Result<(Vec<SpooledFile>, Violations, Option<Vec<i64>>), WriteError> {
        self.settle().await?;
        Ok((self.files, self.found, self.counted))
    }
}

/// Holds a piece to the table's rules and writes it, unless it is known that the rows are refused.
fn write_piece(connection: &Lent, spool: &Spool, schema: &TableSchema, piece: Piece, futile: bool) -> Written {
    let Piece { mut staged, sources, mut found, .. } = piece;
    check_missing(schema, &sources, staged.rows, &mut found);
    check_values(connection, &staged, &sources, &mut found)?;
    let mut counted = None;
    let file = if found.is_empty() && !futile {
        staged.read_as(&sources);
        // While the next piece comes. What fails here is looked at once more when all are together.
        counted = count_rows(connection, schema, &staged).ok();
        Some(spool.write(connection, schema, &staged)?)
    } else {
        None
    };
    staged.remove(connection);
    Ok((file, found, counted))
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
    staged.rows = append(connection, &name, vec![numbered(0, &few.rows, 0)?])?;
    check(connection, schema, staged, &sources, Violations::default(), keys)
}
