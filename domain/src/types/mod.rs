//! Data types of columns: everything a lake can store without loss.

mod parse;
mod widen;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::ColumnName;

pub use parse::{TypeError, TypeProblem};

/// A column's data type.
///
/// Holds what DuckLake stores and reads back unchanged. `HUGEINT`, `UHUGEINT`, `TIMETZ` and `TIME_NS`
/// are left out on purpose: the first three lose information in Parquet, the last one brings the engine down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `BOOLEAN`
    Boolean,
    /// `TINYINT`, 8 bit signed
    TinyInt,
    /// `SMALLINT`, 16 bit signed
    SmallInt,
    /// `INTEGER`, 32 bit signed
    Integer,
    /// `BIGINT`, 64 bit signed
    BigInt,
    /// `UTINYINT`, 8 bit unsigned
    UTinyInt,
    /// `USMALLINT`, 16 bit unsigned
    USmallInt,
    /// `UINTEGER`, 32 bit unsigned
    UInteger,
    /// `UBIGINT`, 64 bit unsigned
    UBigInt,
    /// `FLOAT`, 32 bit IEEE 754
    Float,
    /// `DOUBLE`, 64 bit IEEE 754
    Double,
    /// `DECIMAL(precision, scale)`, 1 ≤ precision ≤ 38, scale ≤ precision
    Decimal {
        /// Total digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `VARCHAR`, or `VARCHAR(n)`: at most n characters, enforced by Gadwall
    Varchar(Option<u32>),
    /// `CHAR(n)`: at most n characters, enforced by Gadwall, not padded
    Char(u32),
    /// `BLOB`
    Blob,
    /// `DATE`
    Date,
    /// `TIME`, microseconds
    Time,
    /// `TIMESTAMP`, microseconds, no zone
    Timestamp,
    /// `TIMESTAMP_S`, seconds
    TimestampS,
    /// `TIMESTAMP_MS`, milliseconds
    TimestampMs,
    /// `TIMESTAMP_NS`, nanoseconds
    TimestampNs,
    /// `TIMESTAMP WITH TIME ZONE`: an instant, microseconds
    TimestampTz,
    /// `INTERVAL`: months, days and milliseconds (finer parts can't be stored)
    Interval,
    /// `UUID`
    Uuid,
    /// `JSON`
    Json,
    /// `GEOMETRY`
    Geometry,
    /// `VARIANT`
    Variant,
    /// `T[]`
    List(Box<DataType>),
    /// `STRUCT(name T, …)`
    Struct(Vec<(ColumnName, DataType)>),
    /// `MAP(K, V)`
    Map(Box<DataType>, Box<DataType>),
}

impl DataType {
    /// Parses a type as users write it: any of DuckDB's spellings, any case.
    pub fn parse(text: &str) -> Result<Self, TypeError> {
        parse::parse(text)
    }

    /// The longest text the type admits, in characters, if it limits it.
    pub fn max_chars(&self) -> Option<u32> {
        match self {
            Self::Varchar(limit) => *limit,
            Self::Char(limit) => Some(*limit),
            _ => None,
        }
    }

    /// The type as DuckDB prints it: field names in quotes only where they aren't plain words.
    ///
    /// For people and documents. In a statement use `Display`, which always quotes them.
    pub fn spelling(&self) -> String {
        match self {
            Self::List(item) => format!("{}[]", item.spelling()),
            Self::Map(key, value) => format!("MAP({}, {})", key.spelling(), value.spelling()),
            Self::Struct(fields) => {
                let field = |(name, inner): &(ColumnName, Self)| {
                    let plain = !name.as_str().starts_with(|first: char| first.is_ascii_digit())
                        && name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    let quote = if plain { "" } else { "\"" };
                    format!("{quote}{name}{quote} {}", inner.spelling())
                };
                format!("STRUCT({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        }
    }

    /// Whether it is made of other types.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::List(_) | Self::Struct(_) | Self::Map(..))
    }

    /// The type as the engine knows it: lengths, which the engine ignores, are left out.
    #[must_use]
    pub fn without_lengths(&self) -> Self {
        match self {
            Self::Varchar(_) | Self::Char(_) => Self::Varchar(None),
            Self::List(item) => Self::List(Box::new(item.without_lengths())),
            Self::Map(key, value) => Self::Map(Box::new(key.without_lengths()), Box::new(value.without_lengths())),
            Self::Struct(fields) => {
                Self::Struct(fields.iter().map(|(name, inner)| (name.clone(), inner.without_lengths())).collect())
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for DataType {
    /// DuckDB's canonical spelling. Field names are always quoted, so the text is safe in a statement.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Boolean => "BOOLEAN",
            Self::TinyInt => "TINYINT",
            Self::SmallInt => "SMALLINT",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::UTinyInt => "UTINYINT",
            Self::USmallInt => "USMALLINT",
            Self::UInteger => "UINTEGER",
            Self::UBigInt => "UBIGINT",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Decimal { precision, scale } => return write!(f, "DECIMAL({precision},{scale})"),
            Self::Varchar(None) => "VARCHAR",
            Self::Varchar(Some(limit)) => return write!(f, "VARCHAR({limit})"),
            Self::Char(limit) => return write!(f, "CHAR({limit})"),
            Self::Blob => "BLOB",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampS => "TIMESTAMP_S",
            Self::TimestampMs => "TIMESTAMP_MS",
            Self::TimestampNs => "TIMESTAMP_NS",
            Self::TimestampTz => "TIMESTAMP WITH TIME ZONE",
            Self::Interval => "INTERVAL",
            Self::Uuid => "UUID",
            Self::Json => "JSON",
            Self::Geometry => "GEOMETRY",
            Self::Variant => "VARIANT",
            Self::List(item) => return write!(f, "{item}[]"),
            Self::Map(key, value) => return write!(f, "MAP({key}, {value})"),
            Self::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (index, (name, inner)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}\"{name}\" {inner}")?;
                }
                return f.write_str(")");
            }
        };
        f.write_str(word)
    }
}

impl Serialize for DataType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
