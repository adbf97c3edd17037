//! Columns of rows as they came: how each is read as its table's type, and what would be lost on the way.

use std::fmt::Write as _;

use gadwall_domain::schema::Column;
use gadwall_domain::types::DataType;

use crate::sql;

/// A column of the rows as they came.
pub(super) struct Source {
    pub(super) column: Column,
    name: String,
    kind: SourceKind,
    /// Whether the engine holds the values as the table's type already.
    same: bool,
}

/// What a column of the rows holds, as far as reading it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceKind {
    /// Text that says the value, looked at by a decoder.
    Text,
    /// Text that says the value, as a client's file has it.
    RawText,
    /// Numbers that may have a fraction.
    Fraction,
    /// Points in time.
    Time,
    /// Anything else, to be cast.
    Other,
}

impl SourceKind {
    fn of_file(type_text: &str) -> Self {
        // JSON is text, too: read as anything else, its numbers would go through a double.
        if matches!(type_text, "VARCHAR" | "JSON") { Self::RawText } else { Self::of(type_text) }
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::RawText)
    }

    fn of(type_text: &str) -> Self {
        match type_text {
            "VARCHAR" => Self::Text,
            "FLOAT" | "DOUBLE" => Self::Fraction,
            text if text.starts_with("DECIMAL") => Self::Fraction,
            text if text.starts_with("TIMESTAMP") => Self::Time,
            _ => Self::Other,
        }
    }
}

impl Source {
    /// A column that a decoder made.
    pub(super) fn decoded(column: Column, name: String, type_text: &str) -> Self {
        let same = column.data_type.without_lengths().to_string() == type_text;
        Self { column, name, kind: SourceKind::of(type_text), same }
    }

    /// A column of a client's file.
    pub(super) fn of_file(column: Column, name: String, type_text: &str) -> Self {
        Self { kind: SourceKind::of_file(type_text), ..Self::decoded(column, name, type_text) }
    }

    pub(super) fn quoted(&self) -> String {
        sql::ident(&self.name)
    }

    /// Reads the value as the table's type; fails on a value that isn't one.
    pub(super) fn expression(&self) -> String {
        let target = self.column.data_type.without_lengths();
        let source = self.quoted();
        if self.same {
            return source;
        }
        match (&target, self.kind) {
            (DataType::Json, kind) if kind.is_text() => format!("CAST({source} AS JSON)"),
            (DataType::Json, _) => format!("CAST(to_json({source}) AS JSON)"),
            (nested, kind) if kind.is_text() && (nested.is_nested() || *nested == DataType::Variant) => {
                format!("CAST(CAST({source} AS JSON) AS {nested})")
            }
            _ => format!("CAST({source} AS {target})"),
        }
    }

    /// Whether a value is lost or changed on the way. `TRY` makes a failing cast NULL, row by row.
    pub(super) fn lost(&self) -> Option<String> {
        if self.same && self.column.data_type != DataType::Interval {
            return None;
        }
        let (source, read) = (self.quoted(), format!("TRY({})", self.expression()));
        let mut lost = format!("({source} IS NOT NULL AND {read} IS NULL)");
        match (&self.column.data_type, self.kind) {
            (target, SourceKind::Fraction) if is_integer(target) => {
                let _ = write!(lost, " OR ({read} IS NOT NULL AND {read} <> {source})");
            }
            (DataType::Date, SourceKind::Time) => {
                let _ = write!(
                    lost,
                    " OR ({read} IS NOT NULL AND CAST({read} AS TIMESTAMP) <> CAST({source} AS TIMESTAMP))"
                );
            }
            (target, SourceKind::RawText) => {
                if let Some(form) = exact_form(target) {
                    let _ = write!(lost, " OR NOT regexp_full_match(trim({source}), {})", sql::text(form));
                }
            }
            // Parquet keeps intervals in milliseconds, and none with a negative part.
            (DataType::Interval, _) => {
                let negative = format!("contains(CAST({read} AS VARCHAR), '-')");
                let _ = write!(lost, " OR date_part('microsecond', {read}) % 1000 <> 0 OR {negative}");
            }
            _ => {}
        }
        Some(lost)
    }

    /// The column's lengths and checks, as rules for the values read.
    pub(super) fn rules(&self) -> Vec<(String, String)> {
        let read = if self.same { self.expression() } else { format!("TRY({})", self.expression()) };
        sql::rules(&self.column, &read).collect()
    }
}

/// What text must look like where a cast from text would round it, cut it or drop an offset in silence.
pub(crate) fn exact_form(target: &DataType) -> Option<&'static str> {
    match target {
        target if is_integer(target) => Some(r"[+-]?[0-9]+(\.0*)?([eE]\+?[0-9]+)?"),
        DataType::Date => Some(r"[^ T:]+( \(BC\))?"),
        DataType::Timestamp | DataType::TimestampS | DataType::TimestampMs | DataType::TimestampNs => {
            Some(r"-?[^ T]+([ T][0-9:.]+)?( ?(Z|[+-]00(:?00)?|UTC))?")
        }
        DataType::Float | DataType::Double => Some(r"(?i)[+-]?(inf(inity)?|nan|[0-9.]{1,40}(e[+-]?[0-9]{1,2})?)"),
        _ => None,
    }
}

fn is_integer(target: &DataType) -> bool {
    use DataType::{BigInt, Integer, SmallInt, TinyInt, UBigInt, UInteger, USmallInt, UTinyInt};
    matches!(target, TinyInt | SmallInt | Integer | BigInt | UTinyInt | USmallInt | UInteger | UBigInt)
}
