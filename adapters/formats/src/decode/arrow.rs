//! stub
use super::*;
pub(super) struct ArrowDecoder;
impl ArrowDecoder { pub(super) fn new(_: Arc<TableSchema>, _: &DecodeOptions) -> Self { Self } }
impl Decoder for ArrowDecoder {
    fn push(&mut self, _: &[u8]) -> Result<(), RowsError> { Ok(()) }
    fn finish(&mut self) -> Result<(), RowsError> { Ok(()) }
    fn next_batch(&mut self) -> Result<Option<RowBatch>, RowsError> { Ok(None) }
}
