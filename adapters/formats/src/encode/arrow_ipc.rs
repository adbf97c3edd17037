//! Rows as Arrow IPC: a stream of messages, or a file with an index of them.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::EncodeError;
use super::coalesce::Coalescer;
use super::columnar::{Columnar, Target};
use super::encoder::Write;

/// How Arrow IPC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrowOptions {
    /// How buffers are packed.
    pub compression: ArrowCompression,
}

/// How buffers are packed. Every reader takes them as they are; not every one has each codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArrowCompression {
    /// Not at all.
    #[default]
    None,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl ArrowOptions {
    fn writer(self) -> Result<IpcWriteOptions, ArrowError> {
        IpcWriteOptions::default().try_with_compression(match self.compression {
            ArrowCompression::None => None,
            ArrowCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
            ArrowCompression::Zstd => Some(CompressionType::ZSTD),
        })
    }
}

fn failed(error: &ArrowError) -> EncodeError {
    EncodeError::writer("Arrow", error)
}

/// Either form: a file is a stream with an index of its batches at the end.
enum Form {
    Stream(StreamWriter<Vec<u8>>),
    File(Box<FileWriter<Vec<u8>>>),
}

impl Form {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        match self {
            Self::Stream(writer) => writer.write(batch),
            Self::File(writer) => writer.write(batch),
        }
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        match self {
            Self::Stream(writer) => writer.finish(),
            Self::File(writer) => writer.finish(),
        }
    }

    fn ready(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Stream(writer) => writer.get_mut(),
            Self::File(writer) => writer.get_mut(),
        }
    }
}

pub(super) struct Ipc {
    columns: Columnar,
    waiting: Coalescer,
    form: Form,
}

impl Ipc {
    pub(super) fn stream(schema: &SchemaRef, options: ArrowOptions) -> Result<Self, EncodeError> {
        Self::new(schema, options, |schema, options| {
            Ok(Form::Stream(StreamWriter::try_new_with_options(Vec::new(), schema, options)?))
        })
    }

    pub(super) fn file(schema: &SchemaRef, options: ArrowOptions) -> Result<Self, EncodeError> {
        Self::new(schema, options, |schema, options| {
            Ok(Form::File(Box::new(FileWriter::try_new_with_options(Vec::new(), schema, options)?)))
        })
    }

    fn new(
        schema: &SchemaRef,
        options: ArrowOptions,
        begin: impl FnOnce(&Schema, IpcWriteOptions) -> Result<Form, ArrowError>,
    ) -> Result<Self, EncodeError> {
        let columns = Columnar::new(schema, Target::Arrow)?;
        let form = options.writer().and_then(|options| begin(&columns.schema(), options));
        Ok(Self { columns, waiting: Coalescer::default(), form: form.map_err(|error| failed(&error))? })
    }
}

impl Write for Ipc {
    fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let batch = self.columns.convert(batch)?;
        if let Some(batch) = self.waiting.push(batch).map_err(|error| failed(&error))? {
            self.form.write(&batch).map_err(|error| failed(&error))?;
        }
        out.append(self.form.ready());
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some(batch) = self.waiting.take().map_err(|error| failed(&error))? {
            self.form.write(&batch).map_err(|error| failed(&error))?;
        }
        self.form.finish().map_err(|error| failed(&error))?;
        out.append(self.form.ready());
        Ok(())
    }
}
