//! The only place where names and values become SQL text.

use std::fmt::Write as _;

use gadwall_domain::check::{Bound, Check};
use gadwall_domain::filter::Literal;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::ColumnName;
use gadwall_domain::schema::Column;
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;

/// Quotes an identifier.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text value. A NUL byte, which no statement can carry, is left out.
pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\0', "").replace('\'', "''"))
}

/// The name under which a lake is attached.
pub(crate) fn catalog(lake: LakeId) -> String {
    format!("p_{}", lake.uuid().simple())
}

/// The database in which DuckLake keeps a lake's own tables.
pub(crate) fn metadata_of(lake: LakeId) -> String {
    ident(&format!("__ducklake_metadata_{}", catalog(lake)))
}

/// A table by its full name.
pub(crate) fn table(lake: LakeId, table: &TableRef) -> String {
    format!("{}.{}.{}", catalog(lake), ident(table.bucket.as_str()), ident(table.table.as_str()))
}

/// Column names as a comma-separated list.
pub(crate) fn columns<'a>(names: impl IntoIterator<Item = &'a ColumnName>) -> String {
    let mut list = String::new();
    for name in names {
        let comma = if list.is_empty() { "" } else { ", " };
        let _ = write!(list, "{comma}{}", ident(name.as_str()));
    }
    list
}

/// A column's default as a value of its type; `NULL` without one.
pub(crate) fn default_of(column: &Column) -> String {
    let value = column.default.as_ref().map_or_else(|| "NULL".to_owned(), |default| text(default.as_str()));
    format!("CAST({value} AS {})", column.data_type.without_lengths())
}

/// What a column's values are held to that DuckLake doesn't know, lengths and checks: each rule as what is true for a
/// value (an expression of the column's type) that breaks it, and what is wrong with such a value.
pub(crate) fn rules(column: &Column, value: &str) -> impl Iterator<Item = (String, String)> {
    let data_type = &column.data_type;
    let length = data_type
        .max_chars()
        .map(|limit| (format!("length({value}) > {limit}"), format!("is longer than {} allows", data_type.spelling())));
    length.into_iter().chain(column.checks.each().map(move |check| (breaks(check, value, data_type), check.reason())))
}

/// True for a value (an expression of the column's type) that breaks a rule of the column.
pub(crate) fn breaks(check: Check<'_>, value: &str, data_type: &DataType) -> String {
    let typed = |literal: &Literal| crate::filter::typed(literal, data_type);
    match check {
        Check::OneOf(values) => {
            format!("{value} NOT IN ({})", values.iter().map(typed).collect::<Vec<_>>().join(", "))
        }
        Check::Pattern(pattern) => format!("NOT regexp_matches({value}, {})", text(pattern)),
        Check::MinLength(least) => format!("length({value}) < {least}"),
        Check::Minimum(bound) => format!("{value} <{} {}", equal(bound), typed(&bound.value)),
        Check::Maximum(bound) => format!("{value} >{} {}", equal(bound), typed(&bound.value)),
    }
}

fn equal(bound: &Bound) -> &'static str {
    if bound.exclusive { "=" } else { "" }
}

/// A file's location as a pattern that means it alone: names are matched before the engine sees them.
pub(crate) fn file(location: &str) -> String {
    let mut pattern = String::with_capacity(location.len());
    for letter in location.chars() {
        if matches!(letter, '*' | '?' | '[') {
            pattern.extend(['[', letter, ']']);
        } else {
            pattern.push(letter);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quoted_names_and_values_come_back_unchanged(given in "[^\\x00]{1,40}") {
            let connection = duckdb::Connection::open_in_memory().unwrap();
            let sql = format!("SELECT x.{name} FROM (SELECT {value} AS {name}) x", name = ident(&given), value = text(&given));
            let read: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            prop_assert_eq!(read, given);
        }
    }
}
