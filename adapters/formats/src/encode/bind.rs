//! Settles how a column's values are to be read, by its Arrow type and extension.

use arrow::array::types::{
    ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, Float16Type,
    Float32Type, Float64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::EncodeError;
use super::describe::{describe_type, extension};
use super::values::{Blobs, Integers, Kind, Offsets, Texts, Values};

/// Deepest nesting of types; a table's are less deep.
const MAX_DEPTH: usize = 64;

pub(super) fn bind<'a>(field: &Field, array: &'a dyn Array, depth: usize) -> Result<Values<'a>, EncodeError> {
    let refuse = || EncodeError::Type {
        column: crate::decode::shorten(field.name()),
        data_type: crate::decode::shorten(&describe_type(field)),
        format: "text",
        instead: "VARCHAR",
    };
    if depth > MAX_DEPTH {
        return Err(refuse());
    }
    let kind = match (extension(field), array.data_type()) {
        (Some(name), data_type) => match extended(&name, data_type, array) {
            Some(kind) => kind,
            None => plain(field, array, depth)?.ok_or_else(refuse)?,
        },
        (None, _) => plain(field, array, depth)?.ok_or_else(refuse)?,
    };
    Ok(Values { array, kind })
}

/// Types that Arrow has only by their extension's name.
fn extended<'a>(name: &str, data_type: &DataType, array: &'a dyn Array) -> Option<Kind<'a>> {
    Some(match (name, data_type) {
        ("bool8", DataType::Int8) => Kind::Bool8(array.as_primitive::<Int8Type>().values()),
        ("uuid", DataType::FixedSizeBinary(16)) => Kind::Uuid(array.as_fixed_size_binary()),
        ("hugeint", DataType::FixedSizeBinary(16)) => Kind::HugeInt(array.as_fixed_size_binary()),
        ("uhugeint", DataType::FixedSizeBinary(16)) => Kind::UHugeInt(array.as_fixed_size_binary()),
        ("time_tz", DataType::FixedSizeBinary(8)) => Kind::TimeTz(array.as_fixed_size_binary()),
        ("json", _) => Kind::Json(texts(array)?),
        ("bit", _) => Kind::Bit(blobs(array)?),
        ("bignum", _) => Kind::BigNum(blobs(array)?),
        ("wkb", _) => Kind::Geometry(blobs(array)?),
        _ => return None,
    })
}

fn texts(array: &dyn Array) -> Option<Texts<'_>> {
    Some(match array.data_type() {
        DataType::Utf8 => Texts::Small(array.as_string()),
        DataType::LargeUtf8 => Texts::Large(array.as_string()),
        DataType::Utf8View => Texts::View(array.as_string_view()),
        _ => return None,
    })
}

fn blobs(array: &dyn Array) -> Option<Blobs<'_>> {
    Some(match array.data_type() {
        DataType::Binary => Blobs::Small(array.as_binary()),
        DataType::LargeBinary => Blobs::Large(array.as_binary()),
        DataType::BinaryView => Blobs::View(array.as_binary_view()),
        DataType::FixedSizeBinary(_) => Blobs::Fixed(array.as_fixed_size_binary()),
        _ => return None,
    })
}

/// `None`: there is no way to write the type.
fn plain<'a>(field: &Field, array: &'a dyn Array, depth: usize) -> Result<Option<Kind<'a>>, EncodeError> {
    if let Some(texts) = texts(array) {
        return Ok(Some(Kind::Text(texts)));
    }
    if let Some(blobs) = blobs(array) {
        return Ok(Some(Kind::Blob(blobs)));
    }
    if let Some(kind) = temporal(array) {
        return Ok(Some(kind));
    }
    Ok(Some(match array.data_type() {
        DataType::Null => Kind::Null,
        DataType::Boolean => Kind::Boolean(array.as_boolean()),
        DataType::Int8 => Kind::Integer(Integers::I8(array.as_primitive::<Int8Type>().values())),
        DataType::Int16 => Kind::Integer(Integers::I16(array.as_primitive::<Int16Type>().values())),
        DataType::Int32 => Kind::Integer(Integers::I32(array.as_primitive::<Int32Type>().values())),
        DataType::Int64 => Kind::Integer(Integers::I64(array.as_primitive::<Int64Type>().values())),
        DataType::UInt8 => Kind::Integer(Integers::U8(array.as_primitive::<UInt8Type>().values())),
        DataType::UInt16 => Kind::Integer(Integers::U16(array.as_primitive::<UInt16Type>().values())),
        DataType::UInt32 => Kind::Integer(Integers::U32(array.as_primitive::<UInt32Type>().values())),
        DataType::UInt64 => Kind::Integer(Integers::U64(array.as_primitive::<UInt64Type>().values())),
        DataType::Float16 => Kind::Half(array.as_primitive::<Float16Type>().values()),
        DataType::Float32 => Kind::Float(array.as_primitive::<Float32Type>().values()),
        DataType::Float64 => Kind::Double(array.as_primitive::<Float64Type>().values()),
        DataType::Decimal32(_, scale) => Kind::Decimal32(array.as_primitive::<Decimal32Type>().values(), *scale),
        DataType::Decimal64(_, scale) => Kind::Decimal64(array.as_primitive::<Decimal64Type>().values(), *scale),
        DataType::Decimal128(_, scale) => Kind::Decimal128(array.as_primitive::<Decimal128Type>().values(), *scale),
        DataType::Decimal256(_, scale) => Kind::Decimal256(array.as_primitive::<Decimal256Type>(), *scale),
        _ => return composite(field, array, depth),
    }))
}

fn temporal(array: &dyn Array) -> Option<Kind<'_>> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    Some(match array.data_type() {
        DataType::Date32 => Kind::Date(array.as_primitive::<Date32Type>().values()),
        DataType::Date64 => Kind::Date64(array.as_primitive::<Date64Type>().values()),
        DataType::Timestamp(unit, zone) => {
            let values: &[i64] = match unit {
                Second => array.as_primitive::<TimestampSecondType>().values(),
                Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
            };
            Kind::Timestamp { values, unit: *unit, zoned: zone.is_some() }
        }
        DataType::Time32(Second) => Kind::Time32(array.as_primitive::<Time32SecondType>().values(), Second),
        DataType::Time32(Millisecond) => {
            Kind::Time32(array.as_primitive::<Time32MillisecondType>().values(), Millisecond)
        }
        DataType::Time64(Microsecond) => {
            Kind::Time64(array.as_primitive::<Time64MicrosecondType>().values(), Microsecond)
        }
        DataType::Time64(Nanosecond) => Kind::Time64(array.as_primitive::<Time64NanosecondType>().values(), Nanosecond),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            Kind::Interval(array.as_primitive::<IntervalMonthDayNanoType>().values())
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            Kind::Months(array.as_primitive::<IntervalYearMonthType>().values())
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            Kind::DayTime(array.as_primitive::<IntervalDayTimeType>().values())
        }
        DataType::Duration(unit) => {
            let values: &[i64] = match unit {
                Second => array.as_primitive::<DurationSecondType>().values(),
                Millisecond => array.as_primitive::<DurationMillisecondType>().values(),
                Microsecond => array.as_primitive::<DurationMicrosecondType>().values(),
                Nanosecond => array.as_primitive::<DurationNanosecondType>().values(),
            };
            Kind::Duration(values, *unit)
        }
        _ => return None,
    })
}

fn composite<'a>(field: &Field, array: &'a dyn Array, depth: usize) -> Result<Option<Kind<'a>>, EncodeError> {
    let inner = |child: &Field, values: &'a ArrayRef| bind(child, values.as_ref(), depth + 1).map(Box::new);
    Ok(Some(match array.data_type() {
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            Kind::List { offsets: Offsets::Small(list.value_offsets()), items: inner(item, list.values())? }
        }
        DataType::LargeList(item) => {
            let list = array.as_list::<i64>();
            Kind::List { offsets: Offsets::Large(list.value_offsets()), items: inner(item, list.values())? }
        }
        DataType::FixedSizeList(item, length) => {
            let items = inner(item, array.as_fixed_size_list().values())?;
            Kind::List { offsets: Offsets::Fixed(usize::try_from(*length).unwrap_or_default()), items }
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(array.as_struct().columns()).map(|(child, values)| {
                let mut name = Vec::with_capacity(child.name().len() + 3);
                super::json::write_string(child.name(), &mut name);
                name.push(b':');
                Ok((name, bind(child, values.as_ref(), depth + 1)?))
            });
            Kind::Struct(parts.collect::<Result<_, _>>()?)
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return Ok(None) };
            let [key, value] = fields.as_ref() else { return Ok(None) };
            let map = array.as_map();
            let (keys, values) = (inner(key, map.keys())?, inner(value, map.values())?);
            let text_keys = match &keys.kind {
                Kind::Text(_) => true,
                Kind::Dictionary { values, .. } => matches!(values.kind, Kind::Text(_)),
                _ => false,
            };
            Kind::Map { offsets: map.value_offsets(), keys, values, text_keys }
        }
        DataType::Union(fields, _) => {
            let union = array.as_union();
            let members = fields
                .iter()
                .map(|(id, child)| Ok((id, bind(child, union.child(id).as_ref(), depth + 1)?)))
                .collect::<Result<_, EncodeError>>()?;
            Kind::Union { types: union.type_ids(), offsets: union.offsets().map(AsRef::as_ref), members }
        }
        DataType::Dictionary(key, _) => match key.as_ref() {
            DataType::Int8 => dictionary(field, array.as_dictionary::<Int8Type>(), depth)?,
            DataType::Int16 => dictionary(field, array.as_dictionary::<Int16Type>(), depth)?,
            DataType::Int32 => dictionary(field, array.as_dictionary::<Int32Type>(), depth)?,
            DataType::Int64 => dictionary(field, array.as_dictionary::<Int64Type>(), depth)?,
            DataType::UInt8 => dictionary(field, array.as_dictionary::<UInt8Type>(), depth)?,
            DataType::UInt16 => dictionary(field, array.as_dictionary::<UInt16Type>(), depth)?,
            DataType::UInt32 => dictionary(field, array.as_dictionary::<UInt32Type>(), depth)?,
            DataType::UInt64 => dictionary(field, array.as_dictionary::<UInt64Type>(), depth)?,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

fn dictionary<'a, K: ArrowDictionaryKeyType>(
    field: &Field,
    array: &'a DictionaryArray<K>,
    depth: usize,
) -> Result<Kind<'a>, EncodeError> {
    let values = Box::new(bind(field, array.values().as_ref(), depth + 1)?);
    Ok(Kind::Dictionary { keys: Box::new(|row| array.key(row)), values })
}
