//! Results put aside: every batch exactly as the engine made it, so that any format can be made of it later.
//!
//! They are Arrow IPC streams with packed buffers. Not files with an index: those can't hold dictionaries that grow
//! from batch to batch, and nobody reads them out of order.

use std::fmt;
use std::io::{Read, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

pub use arrow::error::ArrowError as SpoolError;

/// Puts batches aside.
pub struct SpoolWriter<W: Write>(StreamWriter<W>);

impl<W: Write> fmt::Debug for SpoolWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpoolWriter")
    }
}

impl<W: Write> SpoolWriter<W> {
    /// Begins with the shape of the batches.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn new(out: W, schema: &SchemaRef) -> Result<Self, SpoolError> {
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        Ok(Self(StreamWriter::try_new_with_options(out, schema, options)?))
    }

    /// Takes the next batch.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), SpoolError> {
        self.0.write(batch)
    }

    /// Ends it, and gives back what was written to.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn finish(mut self) -> Result<W, SpoolError> {
        self.0.finish()?;
        self.0.into_inner()
    }
}

/// Reads what was put aside.
pub struct SpoolReader<R: Read>(StreamReader<R>);

impl<R: Read> fmt::Debug for SpoolReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpoolReader")
    }
}

impl<R: Read> SpoolReader<R> {
    /// Begins with the shape of the batches.
    ///
    /// # Errors
    /// If it isn't there.
    pub fn new(from: R) -> Result<Self, SpoolError> {
        Ok(Self(StreamReader::try_new(from, None)?))
    }

    /// The shape of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}

impl<R: Read> Iterator for SpoolReader<R> {
    type Item = Result<RecordBatch, SpoolError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int32Array, StringArray};
    use arrow::datatypes::{DataType, Field, Int32Type, Schema};

    use super::*;

    #[test]
    fn batches_come_back_with_types_metadata_and_dictionaries() {
        let metadata = [("ARROW:extension:name".to_owned(), "arrow.opaque".to_owned())].into();
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let fields =
            vec![Field::new("a", DataType::Utf8, true).with_metadata(metadata), Field::new("b", dictionary, true)];
        let schema = Arc::new(Schema::new(fields));
        let batch = |word: &str| {
            let values = DictionaryArray::<Int32Type>::new(
                Int32Array::from(vec![Some(0), None]),
                Arc::new(StringArray::from(vec![word])),
            );
            let text = StringArray::from(vec![Some(word), None]);
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(text), Arc::new(values)]).unwrap()
        };
        let mut writer = SpoolWriter::new(Vec::new(), &schema).unwrap();
        let batches = [batch("x"), batch("y")];
        for batch in &batches {
            writer.push(batch).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let reader = SpoolReader::new(bytes.as_slice()).unwrap();
        assert_eq!(reader.schema(), schema);
        let read: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(read, batches);
    }
}
