//! Rows as Parquet, a row group at a time.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, LogicalType, Repetition, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::EncodeError;
use super::coalesce::Coalescer;
use super::columnar::{Columnar, Target};
use super::describe::extension;
use super::encoder::Write;

/// Rows of a row group, as DuckDB has them.
const ROW_GROUP_ROWS: usize = 122_880;
/// Bytes of a row group, whatever its rows: that much is held.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// What DuckDB and most others use.
const ZSTD_LEVEL: i32 = 3;

/// How Parquet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParquetOptions {
    /// How pages are packed.
    pub compression: ParquetCompression,
    /// Most rows of a row group; at least one. Wide rows make smaller groups: a group is held until it is whole.
    pub row_group_rows: usize,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self { compression: ParquetCompression::default(), row_group_rows: ROW_GROUP_ROWS }
    }
}

/// How pages are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParquetCompression {
    /// Not at all.
    None,
    /// Fast, and read by everyone.
    #[default]
    Snappy,
    /// Smaller.
    Zstd,
}

impl ParquetOptions {
    fn properties(self) -> Result<WriterProperties, ParquetError> {
        let compression = match self.compression {
            ParquetCompression::None => Compression::UNCOMPRESSED,
            ParquetCompression::Snappy => Compression::SNAPPY,
            ParquetCompression::Zstd => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
        };
        Ok(WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(self.row_group_rows.max(1)))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            // Those of pages are held to the end of the file.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(concat!("gadwall ", env!("CARGO_PKG_VERSION")).to_owned())
            .build())
    }
}

fn failed(error: &impl ToString) -> EncodeError {
    EncodeError::writer("Parquet", error)
}

pub(super) struct ParquetFile {
    columns: Columnar,
    waiting: Coalescer,
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetFile {
    pub(super) fn new(schema: &SchemaRef, options: ParquetOptions) -> Result<Self, EncodeError> {
        let columns = Columnar::new(schema, Target::Parquet)?;
        let begin = || {
            let options = ArrowWriterOptions::new()
                .with_properties(options.properties()?)
                .with_parquet_schema(parquet_schema(&columns.schema())?);
            ArrowWriter::try_new_with_options(Vec::new(), columns.schema(), options)
        };
        let writer = begin().map_err(|error| failed(&error))?;
        Ok(Self { columns, waiting: Coalescer::default(), writer })
    }
}

impl Write for ParquetFile {
    fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let batch = self.columns.convert(batch)?;
        if let Some(batch) = self.waiting.push(batch).map_err(|error| failed(&error))? {
            self.writer.write(&batch).map_err(|error| failed(&error))?;
        }
        out.append(self.writer.inner_mut());
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some(batch) = self.waiting.take().map_err(|error| failed(&error))? {
            self.writer.write(&batch).map_err(|error| failed(&error))?;
        }
        self.writer.finish().map_err(|error| failed(&error))?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

/// The schema that the crate makes of Arrow's, with what it leaves out: `GEOMETRY`.
fn parquet_schema(schema: &SchemaRef) -> Result<SchemaDescriptor, ParquetError> {
    let made = ArrowSchemaConverter::new().convert(schema)?;
    let fields = geometries(made.root_schema().get_fields(), schema.fields())?;
    let root = Type::group_type_builder(made.root_schema().name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

fn geometries(types: &[TypePtr], fields: &Fields) -> Result<Vec<TypePtr>, ParquetError> {
    types.iter().zip(fields).map(|(made, field)| geometry(made, field)).collect()
}

fn geometry(made: &TypePtr, field: &Field) -> Result<TypePtr, ParquetError> {
    let info = made.get_basic_info();
    let changed = match (made.as_ref(), field.data_type()) {
        (Type::PrimitiveType { physical_type, .. }, _) if extension(field).as_deref() == Some("wkb") => {
            Type::primitive_type_builder(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_logical_type(Some(LogicalType::Geometry { crs: None }))
                .build()?
        }
        (Type::GroupType { fields: types, .. }, DataType::Struct(children)) => {
            group(made, geometries(types, children)?)?
        }
        // A list is a group of a repeated group of the item, a map one of a repeated group of key and value.
        (
            Type::GroupType { fields: types, .. },
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _),
        ) => {
            let Some(repeated) = types.first() else { return Ok(Arc::clone(made)) };
            let items = geometries(repeated.get_fields(), &Fields::from(vec![Arc::clone(item)]))?;
            group(made, vec![Arc::new(group(repeated, items)?)])?
        }
        (Type::GroupType { fields: types, .. }, DataType::Map(entries, _)) => {
            let (Some(repeated), DataType::Struct(children)) = (types.first(), entries.data_type()) else {
                return Ok(Arc::clone(made));
            };
            let entries = geometries(repeated.get_fields(), children)?;
            group(made, vec![Arc::new(group(repeated, entries)?)])?
        }
        _ => return Ok(Arc::clone(made)),
    };
    Ok(Arc::new(changed))
}

/// The same group of other fields.
fn group(made: &Type, fields: Vec<TypePtr>) -> Result<Type, ParquetError> {
    let info = made.get_basic_info();
    let repetition = if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED };
    Type::group_type_builder(info.name())
        .with_repetition(repetition)
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_fields(fields)
        .build()
}
