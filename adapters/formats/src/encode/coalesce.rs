//! Small batches into larger ones: the engine's have 2,048 rows, too few for a message or a page.

use arrow::array::{Array as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

/// Rows of a batch that is worth a message. Old clients expect at most 10,000.
const ROWS: usize = 8_192;
/// Bytes of one.
const BYTES: usize = 4 << 20;
/// Bytes of a batch that is worth a message by itself: putting it together with others would copy it.
const ENOUGH: usize = 128 << 10;

#[derive(Default)]
pub(super) struct Coalescer {
    waiting: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Coalescer {
    /// Takes a batch; gives one back if enough wait.
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let bytes = batch.get_array_memory_size();
        if self.waiting.is_empty() && bytes >= ENOUGH && used(&batch) >= ENOUGH {
            return Ok(Some(batch));
        }
        self.rows += batch.num_rows();
        self.bytes += bytes;
        self.waiting.push(batch);
        if self.rows >= ROWS || self.bytes >= BYTES { self.take() } else { Ok(None) }
    }

    /// Whatever waits.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let waiting = std::mem::take(self).waiting;
        match waiting.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            [first, ..] => concat_batches(first.schema_ref(), &waiting).map(Some),
        }
    }
}

/// Bytes of a batch's own rows: it may be a part of a larger one, whose memory it shares.
fn used(batch: &RecordBatch) -> usize {
    batch.columns().iter().filter_map(|column| column.to_data().get_slice_memory_size().ok()).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array};

    use super::*;

    fn batch(rows: i32) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("id", ids)]).unwrap()
    }

    #[test]
    fn batches_wait_until_there_are_enough() {
        let mut coalescer = Coalescer::default();
        assert!(coalescer.push(batch(0)).unwrap().is_none());
        for _ in 0..3 {
            assert!(coalescer.push(batch(2_048)).unwrap().is_none());
        }
        assert_eq!(coalescer.push(batch(2_048)).unwrap().unwrap().num_rows(), 8_192);
        assert!(coalescer.take().unwrap().is_none());
        coalescer.push(batch(1)).unwrap();
        assert_eq!(coalescer.take().unwrap().unwrap().num_rows(), 1);
    }

    #[test]
    fn large_rows_do_not_wait() {
        assert!(Coalescer::default().push(batch(1_100_000)).unwrap().is_some());
    }
}
