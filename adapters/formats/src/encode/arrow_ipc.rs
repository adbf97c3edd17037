//! Rows as Arrow IPC: a stream of messages, or a file with an index of them.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use bytes::Bytes;

use super::EncodeError;
use super::coalesce::Coalescer;
use super::columnar::{Columnar, Target};
use super::encoder::Write;
use super::message::{Message, is_flat};

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
    /// Whether buffers can be sent as they are: a stream without packing, of columns without parts.
    plain: bool,
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
        let form = form.map_err(|error| failed(&error))?;
        let plain = matches!((&form, options.compression), (Form::Stream(_), ArrowCompression::None))
            && columns.schema().fields().iter().all(|field| is_flat(field.data_type()));
        Ok(Self { columns, waiting: Coalescer::default(), form, plain })
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

    fn push_shared(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        pieces: &mut Vec<Bytes>,
    ) -> Result<(), EncodeError> {
        if !self.plain {
            return self.push(batch, out);
        }
        let batch = self.columns.convert(batch)?;
        let Some(batch) = self.waiting.push(batch).map_err(|error| failed(&error))? else { return Ok(()) };
        // The schema, at first.
        out.append(self.form.ready());
        if let Some(message) = Message::of(&batch) {
            message.write(out, pieces);
        } else {
            self.form.write(&batch).map_err(|error| failed(&error))?;
            out.append(self.form.ready());
        }
        Ok(())
    }

    fn hands_on(&self) -> bool {
        self.plain
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
