//! Single values as text.

use std::fmt::Display;
use std::io::Write as _;

use arrow::datatypes::TimeUnit;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::calendar::{units_per_second, write_date, write_time, write_timestamp};
use super::opaque::{write_bignum, write_bits, write_hugeint, write_timetz};
use super::values::{Blobs, Integers, Kind};
use super::wkt::write_wkt;

const SECONDS_PER_DAY: i64 = 86_400;
/// DuckDB's `-infinity` of a date; `infinity` is the largest number.
const PAST_DAY: i32 = -i32::MAX;
/// DuckDB's `-infinity` of a timestamp.
const PAST: i64 = -i64::MAX;

impl Kind<'_> {
    /// Appends the value without quotes. Every text but `Text` and `Json` is plain ASCII without
    /// anything to escape. Gives `false`, and appends nothing, for types that aren't scalar.
    pub(super) fn write_scalar(&self, row: usize, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Boolean(array) => write_bool(array.value(row), out),
            Self::Bool8(values) => write_bool(values[row] != 0, out),
            Self::Integer(integers) => integers.write(row, out),
            Self::Half(values) => write_float(values[row].to_f32(), out),
            Self::Float(values) => write_float(values[row], out),
            Self::Double(values) => write_float(values[row], out),
            Self::Decimal32(values, scale) => write_decimal(values[row], *scale, out),
            Self::Decimal64(values, scale) => write_decimal(values[row], *scale, out),
            Self::Decimal128(values, scale) => write_decimal(values[row], *scale, out),
            Self::Decimal256(array, scale) => write_decimal(array.value(row), *scale, out),
            Self::HugeInt(array) => write_hugeint(array.value(row), true, out),
            Self::UHugeInt(array) => write_hugeint(array.value(row), false, out),
            Self::TimeTz(array) => write_timetz(array.value(row), out),
            Self::Uuid(array) => write_uuid(array.value(row), out),
            Self::Text(texts) | Self::Json(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Self::Blob(blobs) => write_base64(blobs.value(row), out),
            Self::Bit(blobs) => write_bits(blobs.value(row), out),
            Self::BigNum(blobs) => write_bignum(blobs.value(row), out),
            Self::Geometry(blobs) => write_geometry(blobs, row, out),
            Self::Date(values) => match values[row] {
                i32::MAX => out.extend_from_slice(b"infinity"),
                i32::MIN..=PAST_DAY => out.extend_from_slice(b"-infinity"),
                days => write_date(days.into(), out),
            },
            Self::Date64(values) => {
                if values[row] % 86_400_000 == 0 {
                    write_date(values[row] / 86_400_000, out);
                } else {
                    write_timestamp(values[row], TimeUnit::Millisecond, false, out);
                }
            }
            Self::Timestamp { values, unit, zoned } => match values[row] {
                i64::MAX => out.extend_from_slice(b"infinity"),
                i64::MIN..=PAST => out.extend_from_slice(b"-infinity"),
                value => write_timestamp(value, *unit, *zoned, out),
            },
            Self::Time32(values, unit) => write_time(values[row].into(), *unit, out),
            Self::Time64(values, unit) => write_time(values[row], *unit, out),
            Self::Interval(values) => {
                write_interval(values[row].months, values[row].days, values[row].nanoseconds, out);
            }
            Self::Months(values) => write_interval(values[row], 0, 0, out),
            Self::DayTime(values) => {
                write_interval(0, values[row].days, i64::from(values[row].milliseconds) * 1_000_000, out);
            }
            Self::Duration(values, unit) => write_duration(values[row], *unit, out),
            Self::Null
            | Self::Dictionary { .. }
            | Self::List { .. }
            | Self::Map { .. }
            | Self::Struct(_)
            | Self::Union { .. } => return false,
        }
        true
    }
}

impl Integers<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        // Writing to a vector can't fail.
        let _ = match self {
            Self::I8(values) => write!(out, "{}", values[row]),
            Self::I16(values) => write!(out, "{}", values[row]),
            Self::I32(values) => write!(out, "{}", values[row]),
            Self::I64(values) => write!(out, "{}", values[row]),
            Self::U8(values) => write!(out, "{}", values[row]),
            Self::U16(values) => write!(out, "{}", values[row]),
            Self::U32(values) => write!(out, "{}", values[row]),
            Self::U64(values) => write!(out, "{}", values[row]),
        };
    }
}

fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// The shortest text that reads back as the same number, or `NaN`, `Infinity`, `-Infinity`.
fn write_float<F: Into<f64> + Copy + serde::Serialize>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if wide.is_finite() {
        // Writing to a vector can't fail.
        let _ = serde_json::to_writer(out, &value);
    } else if wide.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if wide > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
}

fn write_decimal(value: impl Display, scale: i8, out: &mut Vec<u8>) {
    let text = value.to_string();
    let digits = text.trim_start_matches('-');
    if digits.len() < text.len() {
        out.push(b'-');
    }
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits.as_bytes());
        out.extend(std::iter::repeat_n(b'0', if digits == "0" { 0 } else { places }));
        return;
    }
    let whole = digits.len().saturating_sub(places);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits.as_bytes()[..whole] });
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', places.saturating_sub(digits.len())));
    out.extend_from_slice(&digits.as_bytes()[whole..]);
}

pub(crate) fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend([byte >> 4, byte & 15].map(|nibble| b"0123456789abcdef"[usize::from(nibble)]));
    }
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or_default();
    out.truncate(start + written);
}

/// Well-known text; base64 if the bytes aren't a geometry we know.
fn write_geometry(blobs: &Blobs<'_>, row: usize, out: &mut Vec<u8>) {
    let start = out.len();
    if write_wkt(blobs.value(row), out).is_none() {
        out.truncate(start);
        write_base64(blobs.value(row), out);
    }
}

/// As DuckDB writes it: `1 year 2 months 3 days 04:05:06.7`.
fn write_interval(months: i32, days: i32, nanos: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut part = |count: i32, word: &str| {
        if count != 0 {
            let space = if out.len() == start { "" } else { " " };
            let plural = if count.abs() == 1 { "" } else { "s" };
            // Writing to a vector can't fail.
            let _ = write!(out, "{space}{count} {word}{plural}");
        }
    };
    part(months / 12, "year");
    part(months % 12, "month");
    part(days, "day");
    if nanos != 0 || out.len() == start {
        if out.len() != start {
            out.push(b' ');
        }
        if nanos < 0 {
            out.push(b'-');
        }
        write_time(i64::try_from(nanos.unsigned_abs()).unwrap_or(i64::MAX), TimeUnit::Nanosecond, out);
    }
}

fn write_duration(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let per_second = units_per_second(unit);
    let per_day = SECONDS_PER_DAY * per_second;
    let nanos = value % per_day * (1_000_000_000 / per_second);
    // More days than an interval holds don't fit a table either.
    let days = (value / per_day).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    write_interval(0, i32::try_from(days).unwrap_or_default(), nanos, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_every_digit() {
        let decimal = |value: i128, scale| text(|out| write_decimal(value, scale, out));
        assert_eq!(decimal(1_234_567_890_123_456_789_012, 2), "12345678901234567890.12");
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(0, 3), "0.000");
        assert_eq!(decimal(i128::MIN, 0), i128::MIN.to_string());
        assert_eq!(decimal(15, -2), "1500");
    }

    #[test]
    fn floats_are_as_short_as_they_can_be() {
        assert_eq!(text(|out| write_float(0.1_f32, out)), "0.1");
        assert_eq!(text(|out| write_float(1e300_f64, out)).parse(), Ok(1e300_f64));
        assert_eq!(text(|out| write_float(f64::NAN, out)), "NaN");
        assert_eq!(text(|out| write_float(f32::NEG_INFINITY, out)), "-Infinity");
    }

    #[test]
    fn intervals_read_as_duckdb_writes_them() {
        let interval = |months, days, nanos| text(|out| write_interval(months, days, nanos, out));
        assert_eq!(interval(14, 3, 4_000_004_000), "1 year 2 months 3 days 00:00:04.000004");
        assert_eq!(interval(0, 0, 0), "00:00:00");
        assert_eq!(interval(-1, 0, -3_600_000_000_000), "-1 month -01:00:00");
        assert_eq!(interval(0, 0, i64::MIN).len(), "-2562047:47:16.854775807".len());
    }

    #[test]
    fn durations_are_intervals_of_days() {
        assert_eq!(text(|out| write_duration(90_000, TimeUnit::Second, out)), "1 day 01:00:00");
        assert!(text(|out| write_duration(i64::MIN, TimeUnit::Nanosecond, out)).starts_with("-106751 days"));
    }

    #[test]
    fn bytes_are_base64_and_uuids_hexadecimal() {
        assert_eq!(text(|out| write_base64(b"\xAA\x00", out)), "qgA=");
        assert_eq!(text(|out| write_uuid(&[0xAB; 16], out)), "abababab-abab-abab-abab-abababababab");
    }
}
