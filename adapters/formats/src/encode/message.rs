//! An Arrow record batch as a message whose large buffers are passed on as they are.
//!
//! The writers of the `arrow` crate copy each value three times on its way into a buffer of ours. Most columns lie in
//! memory as they are to be sent, so only small buffers are copied here, to save calls. What lies otherwise (nested
//! columns, parts of a batch, packed buffers) is left to those writers.

use arrow::array::{Array as _, ArrayData, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use arrow::ipc::{Buffer as Place, FieldNode, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder};
use bytes::Bytes;
use flatbuffers::FlatBufferBuilder;

/// Readers map buffers that begin at multiples of this.
const ALIGNMENT: usize = 64;
/// Buffers up to this size are copied: a piece of its own costs more.
const COPIED: usize = 24 * 1024;
/// Larger ones are handed on in pieces of this size, so that a slow reader is seen to take them.
const PIECE: usize = 1 << 20;
/// What a message begins with, since the format's version 5.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// A buffer that others hold, too.
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// A batch as it will be sent; none if its columns don't lie that way.
pub(super) struct Message {
    nodes: Vec<FieldNode>,
    places: Vec<Place>,
    /// What is sent, without the padding between.
    buffers: Vec<Buffer>,
    rows: usize,
    length: usize,
}

impl Message {
    pub(super) fn of(batch: &RecordBatch) -> Option<Self> {
        let mut message =
            Self { nodes: Vec::new(), places: Vec::new(), buffers: Vec::new(), rows: batch.num_rows(), length: 0 };
        for column in batch.columns() {
            message.column(&column.to_data())?;
        }
        Some(message)
    }

    fn column(&mut self, data: &ArrayData) -> Option<()> {
        let (rows, nulls) = (data.len(), data.null_count());
        let at = |index: usize| data.buffers().get(index).filter(|_| data.offset() == 0);
        let validity = match data.nulls() {
            Some(bits) if nulls > 0 => {
                if bits.offset() != 0 {
                    return None;
                }
                head(bits.buffer(), rows.div_ceil(8))?
            }
            // All are there.
            _ => Buffer::default(),
        };
        let values: Vec<Buffer> = match data.data_type() {
            DataType::Boolean => vec![head(at(0)?, rows.div_ceil(8))?],
            DataType::Utf8 | DataType::Binary => {
                let offsets = head(at(0)?, (rows + 1) * size_of::<i32>())?;
                let edges: &[i32] = offsets.typed_data();
                let (first, last) = (*edges.first()?, *edges.last()?);
                let used = usize::try_from(last).ok().filter(|_| first == 0)?;
                vec![offsets, head(at(1)?, used)?]
            }
            DataType::FixedSizeBinary(width) => vec![head(at(0)?, rows * usize::try_from(*width).ok()?)?],
            plain => vec![head(at(0)?, rows * plain.primitive_width()?)?],
        };
        self.nodes.push(FieldNode::new(i64::try_from(rows).ok()?, i64::try_from(nulls).ok()?));
        for buffer in std::iter::once(validity).chain(values) {
            let place = Place::new(i64::try_from(self.length).ok()?, i64::try_from(buffer.len()).ok()?);
            self.length += buffer.len() + padding(buffer.len());
            self.places.push(place);
            self.buffers.push(buffer);
        }
        Some(())
    }

    /// Appends the message to `pieces`; small parts come after them in `rest`, in front of what is sent next.
    pub(super) fn write(self, rest: &mut Vec<u8>, pieces: &mut Vec<Bytes>) {
        let head = self.head();
        rest.extend_from_slice(&head);
        for buffer in self.buffers {
            let padding = padding(buffer.len());
            if buffer.len() <= COPIED {
                rest.extend_from_slice(&buffer);
            } else {
                if !rest.is_empty() {
                    pieces.push(std::mem::take(rest).into());
                }
                let mut shared = Bytes::from_owner(Shared(buffer));
                while shared.len() > PIECE {
                    pieces.push(shared.split_to(PIECE));
                }
                pieces.push(shared);
            }
            rest.extend_from_slice(&[0; ALIGNMENT][..padding]);
        }
    }

    /// What tells where the buffers lie.
    fn head(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let (places, nodes) = (builder.create_vector(&self.places), builder.create_vector(&self.nodes));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(i64::try_from(self.rows).unwrap_or(i64::MAX));
        batch.add_nodes(nodes);
        batch.add_buffers(places);
        let batch = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut builder);
        message.add_version(MetadataVersion::V5);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_bodyLength(i64::try_from(self.length).unwrap_or(i64::MAX));
        message.add_header(batch);
        let message = message.finish();
        builder.finish(message, None);
        let told = builder.finished_data();
        let prefix = CONTINUATION.len() + size_of::<i32>();
        let size = told.len() + padding(prefix + told.len());
        let mut head = Vec::with_capacity(prefix + size);
        head.extend_from_slice(&CONTINUATION);
        head.extend_from_slice(&i32::try_from(size).unwrap_or(i32::MAX).to_le_bytes());
        head.extend_from_slice(told);
        head.resize(prefix + size, 0);
        head
    }
}

/// Whether columns of a type lie in memory as they are sent.
pub(super) fn is_flat(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Boolean | DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_))
        || data_type.primitive_width().is_some()
}

fn head(buffer: &Buffer, length: usize) -> Option<Buffer> {
    (length <= buffer.len()).then(|| buffer.slice_with_length(0, length))
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT) - length
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringArray};
    use arrow::ipc::reader::StreamReader;

    use super::*;
    use crate::encode::{ArrowOptions, Encoder, Output};

    /// Wide enough that some buffers are passed on and some are copied.
    fn batch(from: i64) -> RecordBatch {
        let numbers = || from..from + 2_048;
        let columns: [(&str, ArrayRef); 5] = [
            ("id", Arc::new(Int64Array::from_iter_values(numbers()))),
            ("gaps", Arc::new(numbers().map(|n| (n % 3 != 0).then_some(n)).collect::<Int64Array>())),
            ("price", Arc::new(Decimal128Array::from_iter_values(numbers().map(i128::from)))),
            ("odd", Arc::new(numbers().map(|n| (n % 5 != 0).then_some(n % 2 == 1)).collect::<BooleanArray>())),
            ("text", Arc::new(numbers().map(|n| (n % 7 != 0).then(|| format!("{n:>60}"))).collect::<StringArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).unwrap()
    }

    /// What a reader makes of batches, and how many pieces they came in.
    fn read_again(batches: &[RecordBatch]) -> (Vec<RecordBatch>, usize) {
        let (mut sent, mut rest, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
        let output = Output::ArrowStream(ArrowOptions::default());
        let mut encoder = Encoder::begin(&batches[0].schema(), output, &mut rest).unwrap();
        let mut count = 0;
        for batch in batches {
            encoder.push_shared(batch, &mut rest, &mut pieces).unwrap();
            count += pieces.len();
            pieces.drain(..).for_each(|piece| sent.extend_from_slice(&piece));
            sent.append(&mut rest);
        }
        encoder.finish(&mut rest).unwrap();
        sent.append(&mut rest);
        let read = StreamReader::try_new(Cursor::new(sent), None).unwrap();
        (read.collect::<Result<_, _>>().unwrap(), count)
    }

    #[test]
    fn readers_get_what_was_handed_on() {
        let batches = [batch(0), batch(2_048)];
        let (read, pieces) = read_again(&batches);
        assert_eq!(read, batches);
        assert_eq!(pieces, 8, "of each batch the decimals and the texts, and what is before them");
    }

    #[test]
    fn parts_of_a_batch_are_written_another_way() {
        let part = batch(0).slice(3, 2_000);
        assert!(Message::of(&part).is_none());
        assert_eq!(read_again(std::slice::from_ref(&part)).0, [part]);
    }

    #[test]
    fn small_batches_are_put_together() {
        let rows: Vec<RecordBatch> = (0..10).map(|n| batch(n).slice(0, 1)).collect();
        let (read, pieces) = read_again(&rows);
        assert_eq!((read.len(), read[0].num_rows(), pieces), (1, 10, 0));
    }
}
