//! Columns that stay what they are in Arrow, because their type can hold nothing that the table's can't.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, Time64MicrosecondArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Decimal128Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use gadwall_domain::types::DataType;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// The first instant of a TIMESTAMP, in microseconds.
const FIRST_MICRO: i64 = -9_223_372_022_400_000_000;
/// The first instant of a TIMESTAMP_NS, in nanoseconds.
const FIRST_NANO: i64 = -9_223_286_400_000_000_000;
/// How the engine writes `-infinity`; `infinity` is the largest number.
const PAST: i64 = -i64::MAX;

/// The Arrow type that a column is handed on with, if it needs no detour through text.
///
/// Intervals take the detour: duckdb-rs 1.10505.0 forgets which of them are NULL when it appends them.
pub(super) fn typed(column: &DataType, arrow: &ArrowType) -> Option<ArrowType> {
    use ArrowType as A;
    use DataType as T;
    let keeps = match (column, arrow) {
        (T::Decimal { precision, scale }, A::Decimal128(given, places)) => {
            given <= precision && u8::try_from(*places) == Ok(*scale)
        }
        (T::Time, A::Time32(_) | A::Time64(_)) => return Some(A::Time64(TimeUnit::Microsecond)),
        (T::TimestampTz, A::Timestamp(_, Some(_))) => {
            return Some(A::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        }
        // The caller has refused zones other than UTC.
        (T::Timestamp | T::TimestampS | T::TimestampMs | T::TimestampNs | T::TimestampTz, A::Timestamp(unit, _)) => {
            return Some(A::Timestamp(*unit, None));
        }
        _ => matches!(
            (column, arrow),
            (T::Boolean, A::Boolean)
                | (T::TinyInt, A::Int8)
                | (T::SmallInt, A::Int8 | A::Int16 | A::UInt8)
                | (T::Integer, A::Int8 | A::Int16 | A::Int32 | A::UInt8 | A::UInt16)
                | (T::BigInt, A::Int8 | A::Int16 | A::Int32 | A::Int64 | A::UInt8 | A::UInt16 | A::UInt32)
                | (T::UTinyInt, A::UInt8)
                | (T::USmallInt, A::UInt8 | A::UInt16)
                | (T::UInteger, A::UInt8 | A::UInt16 | A::UInt32)
                | (T::UBigInt, A::UInt8 | A::UInt16 | A::UInt32 | A::UInt64)
                | (T::Float | T::Double, A::Float32)
                | (T::Double, A::Float64)
                | (T::Date, A::Date32)
        ),
    };
    keeps.then(|| arrow.clone())
}

/// Whether a time zone's name stands for UTC.
pub(super) fn is_utc(zone: &str) -> bool {
    ["UTC", "Z", "GMT", "Etc/UTC", "+00:00", "+00", "+0000"].iter().any(|name| zone.eq_ignore_ascii_case(name))
}

/// The array in the type that [`typed`] chose. Instants that don't fit are left to [`misfit`].
pub(super) fn convert(array: &ArrayRef, target: &ArrowType) -> ArrayRef {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    match (array.data_type(), target) {
        (ArrowType::Time32(Second), _) => times::<Time32SecondType>(array, |value| i64::from(value) * 1_000_000),
        (ArrowType::Time32(_), _) => times::<Time32MillisecondType>(array, |value| i64::from(value) * 1_000),
        (ArrowType::Time64(Nanosecond), _) => times::<Time64NanosecondType>(array, |value| value.div_euclid(1_000)),
        (ArrowType::Timestamp(unit, Some(_)), ArrowType::Timestamp(_, Some(zone))) => match unit {
            Second => instants::<TimestampSecondType>(array, zone, |value| value.saturating_mul(1_000_000)),
            Millisecond => instants::<TimestampMillisecondType>(array, zone, |value| value.saturating_mul(1_000)),
            Microsecond => instants::<TimestampMicrosecondType>(array, zone, |value| value),
            Nanosecond => instants::<TimestampNanosecondType>(array, zone, |value| value.div_euclid(1_000)),
        },
        (ArrowType::Timestamp(unit, Some(_)), _) => match unit {
            Second => Arc::new(array.as_primitive::<TimestampSecondType>().clone().with_timezone_opt::<Arc<str>>(None)),
            Millisecond => {
                Arc::new(array.as_primitive::<TimestampMillisecondType>().clone().with_timezone_opt::<Arc<str>>(None))
            }
            Microsecond => {
                Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt::<Arc<str>>(None))
            }
            Nanosecond => {
                Arc::new(array.as_primitive::<TimestampNanosecondType>().clone().with_timezone_opt::<Arc<str>>(None))
            }
        },
        _ => array.clone(),
    }
}

fn times<T: ArrowPrimitiveType>(array: &ArrayRef, micros: impl Fn(T::Native) -> i64) -> ArrayRef {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let times: Time64MicrosecondArray = array.unary(micros);
    Arc::new(times)
}

fn instants<T>(array: &ArrayRef, zone: &Arc<str>, micros: impl Fn(i64) -> i64) -> ArrayRef
where
    T: ArrowPrimitiveType<Native = i64>,
{
    let array: &PrimitiveArray<T> = array.as_primitive();
    let infinite = |value| matches!(value, i64::MAX | PAST);
    let instants: TimestampMicrosecondArray = array.unary(|value| if infinite(value) { value } else { micros(value) });
    Arc::new(instants.with_timezone(zone.clone()))
}

/// What is wrong with a value that isn't NULL: numbers that stand for nothing in the engine.
pub(super) fn misfit(array: &dyn Array, row: usize) -> Option<&'static str> {
    const RANGE: &str = "it is out of the type's range";
    match array.data_type() {
        ArrowType::Decimal128(precision, _) => {
            let value = array.as_primitive::<Decimal128Type>().value(row).unsigned_abs();
            let limit = 10_u128.checked_pow((*precision).into());
            limit.is_none_or(|limit| value >= limit).then_some("it has more digits than its type")
        }
        ArrowType::Date32 => (array.as_primitive::<Date32Type>().value(row) == i32::MIN).then_some(RANGE),
        ArrowType::Time64(TimeUnit::Microsecond) => {
            let value = array.as_primitive::<Time64MicrosecondType>().value(row);
            (!(0..=MICROS_PER_DAY).contains(&value)).then_some(RANGE)
        }
        ArrowType::Timestamp(unit, _) => {
            let (value, factor, first) = match unit {
                TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 1_000_000, FIRST_MICRO),
                TimeUnit::Millisecond => {
                    (array.as_primitive::<TimestampMillisecondType>().value(row), 1_000, FIRST_MICRO)
                }
                TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1, FIRST_MICRO),
                TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 1, FIRST_NANO),
            };
            let real =
                matches!(value, i64::MAX | PAST) || value.checked_mul(factor).is_some_and(|value| value >= first);
            (!real).then_some(RANGE)
        }
        _ => None,
    }
}

/// Whether [`misfit`] can find anything in arrays of the type.
pub(super) fn can_misfit(arrow: &ArrowType) -> bool {
    matches!(arrow, ArrowType::Decimal128(..) | ArrowType::Date32 | ArrowType::Time64(_) | ArrowType::Timestamp(..))
}
