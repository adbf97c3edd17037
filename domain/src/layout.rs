//! How a table's rows are laid out in its files: apart by partition, in order within a file.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::alteration::AlterationError;
use crate::error::{Classify, ErrorKind};
use crate::names::ColumnName;
use crate::schema::TableSchema;
use crate::types::DataType;

/// Most parts of a partitioning or an order.
const MAX_PARTS: usize = 16;
/// Most buckets of a hash.
const MAX_BUCKETS: u32 = 4_096;

/// Partitioning and order of a table's files. Empty means "as they come".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layout {
    /// Rows that differ in one of these never share a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<Partition>,
    /// Order of the rows within a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sort_by: Vec<SortKey>,
}

impl Layout {
    /// Whether rows lie as they come.
    pub fn is_plain(&self) -> bool {
        self.partition_by.is_empty() && self.sort_by.is_empty()
    }

    /// Fails if it needs a column as it is.
    pub fn require_without(&self, column: &ColumnName) -> Result<(), AlterationError> {
        let part = if self.partition_by.iter().any(|part| part.column == *column) {
            "partitioning"
        } else if self.sort_by.iter().any(|key| key.column == *column) {
            "sort order"
        } else {
            return Ok(());
        };
        Err(AlterationError::ColumnInUse { column: column.clone(), part })
    }
}

/// One part of a table's partitioning: a column, or something computed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Of which column.
    pub column: ColumnName,
    /// What is computed.
    pub transform: Transform,
}

/// What of a column's value decides the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// The value itself.
    Identity,
    /// Its year.
    Year,
    /// Its month.
    Month,
    /// Its day.
    Day,
    /// Its hour.
    Hour,
    /// A hash of it, in so many buckets.
    Bucket(u32),
}

/// One part of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortKey {
    /// By which column.
    pub column: ColumnName,
    /// Largest first.
    #[serde(default)]
    pub descending: bool,
    /// NULLs before all values.
    #[serde(default)]
    pub nulls_first: bool,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = Quoted(&self.column);
        match self.transform {
            Transform::Identity => write!(f, "{column}"),
            Transform::Year => write!(f, "year({column})"),
            Transform::Month => write!(f, "month({column})"),
            Transform::Day => write!(f, "day({column})"),
            Transform::Hour => write!(f, "hour({column})"),
            Transform::Bucket(count) => write!(f, "bucket({count}, {column})"),
        }
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { " desc" } else { "" };
        let nulls = if self.nulls_first { " nulls first" } else { "" };
        write!(f, "{}{direction}{nulls}", Quoted(&self.column))
    }
}

/// A column's name as it is written in a part: in double quotes if it could be taken for more than a name.
struct Quoted<'a>(&'a ColumnName);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        let is_bare = |name: &str| {
            let key = SortKey::parse(name).is_ok_and(|key| key.column.as_str() == name);
            key && Partition::parse(name).is_ok_and(|part| part.column.as_str() == name)
        };
        if is_bare(name) { f.write_str(name) } else { write!(f, "\"{name}\"") }
    }
}

/// Why a text or a table makes no layout.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct LayoutError(String);

impl Classify for LayoutError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_layout"
    }
}

/// A name, with or without double quotes; no name has one in it.
fn column(text: &str) -> Result<ColumnName, LayoutError> {
    let text = text.trim();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    ColumnName::parse(quoted.unwrap_or(text)).map_err(|error| LayoutError(error.to_string()))
}

impl Partition {
    /// Reads `column`, `year(column)`, `month(…)`, `day(…)`, `hour(…)` or `bucket(16, column)`. A column's name may stand
    /// in double quotes.
    pub fn parse(text: &str) -> Result<Self, LayoutError> {
        let text = text.trim();
        if text.starts_with('"') {
            return Ok(Self { column: column(text)?, transform: Transform::Identity });
        }
        let call = text.strip_suffix(')').and_then(|text| text.split_once('('));
        let Some((function, inner)) = call else {
            return Ok(Self { column: column(text)?, transform: Transform::Identity });
        };
        let transform = match function.trim().to_ascii_lowercase().as_str() {
            "year" => Transform::Year,
            "month" => Transform::Month,
            "day" => Transform::Day,
            "hour" => Transform::Hour,
            "bucket" => {
                let (count, of) = inner
                    .split_once(',')
                    .ok_or_else(|| LayoutError(format!("{text:?} lacks a number; write bucket(16, column)")))?;
                let count = count.trim().parse().ok().filter(|count| (1..=MAX_BUCKETS).contains(count));
                let count = count.ok_or_else(|| LayoutError(format!("bucket takes 1 to {MAX_BUCKETS} buckets")))?;
                return Ok(Self { column: column(of)?, transform: Transform::Bucket(count) });
            }
            // Column names may have parentheses, too.
            _ => return Ok(Self { column: column(text)?, transform: Transform::Identity }),
        };
        Ok(Self { column: column(inner)?, transform })
    }
}

impl SortKey {
    /// Reads `column`, with `asc` or `desc` and `nulls first` or `nulls last` after it as wanted. A column's name may
    /// stand in double quotes.
    pub fn parse(text: &str) -> Result<Self, LayoutError> {
        let mut rest = text.trim();
        let mut nulls_first = false;
        let strip = |text: &str, suffix: &str| -> Option<usize> {
            let at = text.len().checked_sub(suffix.len())?;
            let found = text.is_char_boundary(at) && text[at..].eq_ignore_ascii_case(suffix);
            (found && at > 0).then_some(at)
        };
        if let Some(at) = strip(rest, " nulls first") {
            nulls_first = true;
            rest = rest[..at].trim_end();
        } else if let Some(at) = strip(rest, " nulls last") {
            rest = rest[..at].trim_end();
        }
        let mut descending = false;
        if let Some(at) = strip(rest, " desc") {
            descending = true;
            rest = rest[..at].trim_end();
        } else if let Some(at) = strip(rest, " asc") {
            rest = rest[..at].trim_end();
        }
        Ok(Self { column: column(rest)?, descending, nulls_first })
    }
}

impl Layout {
    /// Fails unless every column is there and can be used so.
    pub fn check(&self, schema: &TableSchema) -> Result<(), LayoutError> {
        if self.partition_by.len() > MAX_PARTS || self.sort_by.len() > MAX_PARTS {
            return Err(LayoutError(format!("a partitioning and an order have at most {MAX_PARTS} parts")));
        }
        for (index, partition) in self.partition_by.iter().enumerate() {
            if self.partition_by[..index].contains(partition) {
                return Err(LayoutError(format!("{partition} partitions the table twice")));
            }
            let of = type_of(schema, &partition.column)?;
            let fits = match partition.transform {
                Transform::Identity | Transform::Bucket(_) => is_plain(of),
                Transform::Year | Transform::Month | Transform::Day => of == &DataType::Date || is_time(of),
                Transform::Hour => is_time(of),
            };
            if !fits {
                return Err(LayoutError(format!("{partition} doesn't fit a column of type {}", of.spelling())));
            }
        }
        for (index, key) in self.sort_by.iter().enumerate() {
            if self.sort_by[..index].iter().any(|before| before.column == key.column) {
                return Err(LayoutError(format!("column {} orders the rows twice", key.column)));
            }
            let of = type_of(schema, &key.column)?;
            if !is_plain(of) {
                return Err(LayoutError(format!(
                    "rows can't be ordered by {}, which is {}",
                    key.column,
                    of.spelling()
                )));
            }
        }
        Ok(())
    }
}

fn type_of<'a>(schema: &'a TableSchema, name: &ColumnName) -> Result<&'a DataType, LayoutError> {
    let found = schema.column(name).map(|column| &column.data_type);
    found.ok_or_else(|| LayoutError(format!("the table has no column {name}")))
}

fn is_plain(of: &DataType) -> bool {
    !of.is_nested()
        && !matches!(of, DataType::Json | DataType::Variant | DataType::Geometry | DataType::Interval | DataType::Blob)
}

fn is_time(of: &DataType) -> bool {
    use DataType::{Timestamp, TimestampMs, TimestampNs, TimestampS, TimestampTz};
    matches!(of, Timestamp | TimestampS | TimestampMs | TimestampNs | TimestampTz)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_written_as_they_are_read() {
        for text in ["country", "year(ts)", "bucket(16, US Gross)", "Größe (m²)", "hour(a)"] {
            assert_eq!(Partition::parse(text).unwrap().to_string(), text);
        }
        for text in ["a", "b desc", "US Gross desc nulls first", "c nulls first"] {
            assert_eq!(SortKey::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(SortKey::parse(" a ASC NULLS LAST ").unwrap().to_string(), "a");
        assert_eq!(SortKey::parse("\"US Gross\" desc").unwrap().to_string(), "US Gross desc");
        assert_eq!(Partition::parse("year( \"a b\" )").unwrap().to_string(), "year(a b)");
        for bad in
            ["", "bucket(0, a)", "bucket(5000, a)", "bucket(a)", "year()", "a,b", "a;b", "\"", "\"a", "\"a\"b\"", "a\0"]
        {
            assert!(Partition::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "\"a desc", "a;b desc", "desc\0"] {
            assert!(SortKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_looks_like_more_stands_in_quotes() {
        let key = SortKey::parse("\"a desc\"").unwrap();
        assert_eq!((key.column.as_str(), key.descending), ("a desc", false));
        assert_eq!(key.to_string(), "\"a desc\"");
        let part = Partition::parse("\"year(ts)\"").unwrap();
        assert_eq!((part.column.as_str(), part.transform), ("year(ts)", Transform::Identity));
        assert_eq!(part.to_string(), "\"year(ts)\"");
        let hashed = Partition { transform: Transform::Bucket(4), ..part };
        assert_eq!(hashed.to_string(), "bucket(4, \"year(ts)\")");
        assert_eq!(Partition::parse(&hashed.to_string()), Ok(hashed));
    }

    #[test]
    fn a_layout_fits_its_columns() {
        let column = |name: &str, data_type: &str| {
            crate::schema::Column::new(ColumnName::parse(name).unwrap(), DataType::parse(data_type).unwrap())
        };
        let columns = vec![column("d", "DATE"), column("t", "TIMESTAMP"), column("j", "JSON"), column("i", "INTEGER")];
        let schema = TableSchema::new(columns, Vec::new()).unwrap();
        let check = |partition: &str, sort: &str| {
            let layout = Layout {
                partition_by: vec![Partition::parse(partition).unwrap()],
                sort_by: vec![SortKey::parse(sort).unwrap()],
            };
            layout.check(&schema).is_ok()
        };
        assert!(check("year(d)", "i desc") && check("hour(t)", "d") && check("bucket(4, i)", "t"));
        assert!(!check("hour(d)", "i") && !check("year(i)", "i") && !check("j", "i") && !check("i", "j"));
        assert!(!check("none", "i") && !check("i", "none"));
        let twice = vec![Partition::parse("i").unwrap(), Partition::parse("I").unwrap()];
        assert!(Layout { partition_by: twice, sort_by: Vec::new() }.check(&schema).is_err());
        let twice = vec![SortKey::parse("i").unwrap(), SortKey::parse("I desc").unwrap()];
        assert!(Layout { partition_by: Vec::new(), sort_by: twice }.check(&schema).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            if let Ok(partition) = Partition::parse(&text) {
                prop_assert_eq!(Partition::parse(&partition.to_string()), Ok(partition));
            }
            if let Ok(key) = SortKey::parse(&text) {
                prop_assert_eq!(SortKey::parse(&key.to_string()), Ok(key));
            }
        }

        #[test]
        fn any_column_can_be_named(
            name in "(year|bucket|a|é| |desc|asc|nulls first|nulls last|[(]|[)]|4|[.']){1,6}",
            descending in any::<bool>(), nulls_first in any::<bool>()
        ) {
            if let Ok(column) = ColumnName::parse(&name) {
                let key = SortKey { column: column.clone(), descending, nulls_first };
                prop_assert_eq!(SortKey::parse(&key.to_string()), Ok(key));
                for transform in [Transform::Identity, Transform::Day, Transform::Bucket(9)] {
                    let part = Partition { column: column.clone(), transform };
                    prop_assert_eq!(Partition::parse(&part.to_string()), Ok(part));
                }
            }
        }
    }
}
