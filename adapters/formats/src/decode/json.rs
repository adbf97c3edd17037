//! stub
use super::*;
pub(super) struct JsonDecoder;
impl JsonDecoder { pub(super) fn document(_: Arc<TableSchema>, _: &DecodeOptions) -> Self { Self } 
 pub(super) fn lines(_: Arc<TableSchema>, _: &DecodeOptions) -> Self { Self } }
impl Decoder for JsonDecoder {
    fn push(&mut self, _: &[u8]) -> Result<(), RowsError> { Ok(()) }
    fn finish(&mut self) -> Result<(), RowsError> { Ok(()) }
    fn next_batch(&mut self) -> Result<Option<RowBatch>, RowsError> { Ok(None) }
}
