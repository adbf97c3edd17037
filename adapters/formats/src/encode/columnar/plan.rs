//! Finds, once per result, what each column becomes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit, UnionFields};

use super::Target;
use crate::encode::EncodeError;
use crate::encode::describe::{EXTENSION_METADATA, describe_type, extension};

/// Deepest nesting of types; a table's are less deep.
const MAX_DEPTH: usize = 64;

/// What a column, or a part of one, becomes, and how.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) field: FieldRef,
    pub(super) step: Step,
    /// For messages: the column, and the way to the field within.
    pub(super) path: String,
}

/// The way from the engine's values.
#[derive(Debug)]
pub(super) enum Step {
    /// They are right as they are.
    Keep,
    /// Booleans of a byte.
    Bits,
    /// 128-bit integers into decimals of 38 digits.
    Decimal {
        signed: bool,
    },
    /// Seconds into microseconds.
    Micros,
    /// Into the text that the engine would read; the field says what they are now.
    Text(FieldRef),
    /// Into another layout of the same values, then on.
    Unpack(DataType, Box<Column>),
    List(Box<Column>),
    Map(Box<Column>, Box<Column>),
    Struct(Vec<Column>),
    Union(Vec<(i8, Column)>),
}

pub(super) fn plan(field: &Field, target: Target) -> Result<Column, EncodeError> {
    Planner { target }.column(field, field.name(), 0)
}

struct Planner {
    target: Target,
}

impl Planner {
    fn column(&self, field: &Field, path: &str, depth: usize) -> Result<Column, EncodeError> {
        if depth > MAX_DEPTH {
            return Err(self.refuse(field, path, "VARCHAR"));
        }
        let named = extension(field);
        let keeps_name = matches!(
            (named.as_deref(), field.data_type()),
            (Some("uuid"), DataType::FixedSizeBinary(16))
                | (Some("json"), DataType::Utf8 | DataType::LargeUtf8)
                | (Some("wkb"), DataType::Binary | DataType::LargeBinary)
        );
        let (step, data_type) = match named.as_deref() {
            _ if keeps_name => (Step::Keep, field.data_type().clone()),
            Some(name) => match Self::extended(name, field) {
                Some(found) => found,
                None => self.plain(field, path, depth)?,
            },
            None => self.plain(field, path, depth)?,
        };
        let mut becomes = Field::new(field.name(), data_type, field.is_nullable());
        if keeps_name {
            let mut metadata = field.metadata().clone();
            if named.as_deref() == Some("uuid") {
                // A UUID has no parameters. The engine says "none" with an empty text, which some take for one.
                metadata.remove(EXTENSION_METADATA);
            }
            becomes.set_metadata(metadata);
        } else if let Step::Unpack(_, inner) = &step {
            becomes.set_metadata(inner.field.metadata().clone());
        }
        Ok(Column { field: Arc::new(becomes), step, path: path.to_owned() })
    }

    fn refuse(&self, field: &Field, path: &str, instead: &'static str) -> EncodeError {
        EncodeError::Type {
            column: crate::decode::shorten(path),
            data_type: crate::decode::shorten(&describe_type(field)),
            format: self.target.name(),
            instead,
        }
    }

    /// Types that Arrow has only by their extension's name.
    fn extended(name: &str, field: &Field) -> Option<(Step, DataType)> {
        Some(match (name, field.data_type()) {
            ("bool8", DataType::Int8) => (Step::Bits, DataType::Boolean),
            ("hugeint", DataType::FixedSizeBinary(16)) => (Step::Decimal { signed: true }, DataType::Decimal128(38, 0)),
            ("uhugeint", DataType::FixedSizeBinary(16)) => {
                (Step::Decimal { signed: false }, DataType::Decimal128(38, 0))
            }
            ("time_tz", DataType::FixedSizeBinary(8))
            | ("bit" | "bignum", DataType::Binary | DataType::LargeBinary) => text(field),
            _ => return None,
        })
    }

    fn plain(&self, field: &Field, path: &str, depth: usize) -> Result<(Step, DataType), EncodeError> {
        use DataType as T;
        let parquet = self.target == Target::Parquet;
        let unpacked = match field.data_type() {
            T::Dictionary(_, values) => Some(values.as_ref().clone()),
            T::Utf8View => Some(T::Utf8),
            T::BinaryView => Some(T::Binary),
            T::Float16 => Some(T::Float32),
            T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => Some(T::Decimal128(*precision, *scale)),
            T::Time32(TimeUnit::Second) if parquet => Some(T::Time32(TimeUnit::Millisecond)),
            T::Date64 if parquet => Some(T::Timestamp(TimeUnit::Millisecond, None)),
            // A column of nothing has to be of something.
            T::Null if parquet => Some(T::Int32),
            _ => None,
        };
        if let Some(values) = unpacked {
            let inner = self.column(&field.clone().with_data_type(values.clone()), path, depth + 1)?;
            let becomes = inner.field.data_type().clone();
            return Ok((Step::Unpack(values, Box::new(inner)), becomes));
        }
        Ok(match field.data_type() {
            T::Timestamp(TimeUnit::Second, zone) if parquet => {
                (Step::Micros, T::Timestamp(TimeUnit::Microsecond, zone.clone()))
            }
            // Parquet's own intervals have no sign, and few read them.
            T::Interval(IntervalUnit::MonthDayNano | IntervalUnit::DayTime | IntervalUnit::YearMonth)
            | T::Duration(_)
                if parquet =>
            {
                text(field)
            }
            T::List(_) | T::LargeList(_) | T::FixedSizeList(..) | T::Map(..) | T::Struct(_) | T::Union(..) => {
                self.nested(field, path, depth)?
            }
            T::ListView(_) | T::LargeListView(_) | T::RunEndEncoded(..) => {
                return Err(self.refuse(field, path, "VARCHAR"));
            }
            other => (Step::Keep, other.clone()),
        })
    }

    fn nested(&self, field: &Field, path: &str, depth: usize) -> Result<(Step, DataType), EncodeError> {
        use DataType as T;
        let part = |child: &Field, name: &str| self.column(child, &format!("{path}{name}"), depth + 1);
        let (step, data_type) = match field.data_type() {
            T::List(item) => {
                let item = part(item, "[]")?;
                let becomes = T::List(Arc::clone(&item.field));
                (Step::List(Box::new(item)), becomes)
            }
            T::LargeList(item) => {
                let item = part(item, "[]")?;
                let becomes = T::LargeList(Arc::clone(&item.field));
                (Step::List(Box::new(item)), becomes)
            }
            T::FixedSizeList(item, length) => {
                let item = part(item, "[]")?;
                let becomes = T::FixedSizeList(Arc::clone(&item.field), *length);
                (Step::List(Box::new(item)), becomes)
            }
            T::Map(entries, sorted) => {
                let T::Struct(fields) = entries.data_type() else { return Err(self.refuse(field, path, "VARCHAR")) };
                let [key, value] = fields.as_ref() else { return Err(self.refuse(field, path, "VARCHAR")) };
                // Keys are never NULL, and Parquet wants to be told.
                let key = part(&key.as_ref().clone().with_nullable(false), ".key")?;
                let value = part(value, ".value")?;
                let fields = vec![Arc::clone(&key.field), Arc::clone(&value.field)];
                let entries = Field::new(entries.name(), T::Struct(fields.into()), false);
                (Step::Map(Box::new(key), Box::new(value)), T::Map(Arc::new(entries), *sorted))
            }
            T::Struct(fields) => {
                let parts: Vec<Column> =
                    fields.iter().map(|child| part(child, &format!(".{}", child.name()))).collect::<Result<_, _>>()?;
                let becomes = T::Struct(parts.iter().map(|part| Arc::clone(&part.field)).collect());
                (Step::Struct(parts), becomes)
            }
            T::Union(fields, mode) if self.target == Target::Arrow => {
                let members: Vec<(i8, Column)> = fields
                    .iter()
                    .map(|(id, child)| Ok((id, part(child, &format!(".{}", child.name()))?)))
                    .collect::<Result<_, EncodeError>>()?;
                let becomes: UnionFields = members.iter().map(|(id, part)| (*id, Arc::clone(&part.field))).collect();
                (Step::Union(members), T::Union(becomes, *mode))
            }
            _ => return Err(self.refuse(field, path, "VARCHAR or JSON")),
        };
        let same = data_type == *field.data_type();
        Ok((if same { Step::Keep } else { step }, data_type))
    }
}

fn text(field: &Field) -> (Step, DataType) {
    (Step::Text(Arc::new(field.clone())), DataType::Utf8)
}
