//! Which rows a filter means: true, false, or unknown.

use std::cmp::Ordering;

use gadwall_domain::filter::{Comparison, Filter, Literal};
use gadwall_domain::names::ColumnName;
use gadwall_domain::schema::Column;
use gadwall_domain::types::DataType;
use serde_json::Value;

use super::values::{Row, compare, is_plain, parse};

/// Why a filter or a value doesn't fit the table; fit for its author.
pub(super) type Misfit = String;

/// A filter whose names were found and whose values were read.
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(usize, Comparison, Value),
    Like(usize, Vec<Part>),
    IsNull(usize),
}

/// A piece of a pattern.
pub(super) enum Part {
    /// This character.
    One(char),
    /// `_`: any character.
    AnyOne,
    /// `%`: any characters, or none.
    AnyMany,
}

/// Reads a filter against a table's columns; without one all rows are meant.
pub(super) fn read(filter: Option<&Filter>, columns: &[Column]) -> Result<Test, Misfit> {
    filter.map_or_else(|| Ok(Test::All(Vec::new())), |filter| Test::of(filter, columns))
}

/// Where a column is.
pub(super) fn position(name: &ColumnName, columns: &[Column]) -> Result<usize, Misfit> {
    let found = columns.iter().position(|column| column.name == *name);
    found.ok_or_else(|| format!("the table has no column {name}"))
}

/// A literal as a value of the column's type.
pub(super) fn value_of(literal: &Literal, column: &Column) -> Result<Value, Misfit> {
    let misfit = || format!("{:?} is no {} (column {})", literal.as_str(), column.data_type.spelling(), column.name);
    parse(literal.as_str(), &column.data_type.without_lengths()).ok_or_else(misfit)
}

impl Test {
    fn of(filter: &Filter, columns: &[Column]) -> Result<Self, Misfit> {
        let each = |parts: &[Filter]| parts.iter().map(|part| Self::of(part, columns)).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            Filter::All(parts) => Self::All(each(parts)?),
            Filter::Any(parts) => Self::Any(each(parts)?),
            Filter::Not(part) => Self::Not(Box::new(Self::of(part, columns)?)),
            Filter::Compare { column, operator, value } => {
                let at = comparable(column, columns)?;
                Self::Compare(at, *operator, value_of(value, &columns[at])?)
            }
            Filter::In { column, values } => {
                let at = comparable(column, columns)?;
                let equals = |value| Ok(Self::Compare(at, Comparison::Eq, value_of(value, &columns[at])?));
                Self::Any(values.iter().map(equals).collect::<Result<_, Misfit>>()?)
            }
            Filter::Like { column, pattern } => {
                let at = position(column, columns)?;
                if columns[at].data_type.without_lengths() != DataType::Varchar(None) {
                    return Err(format!("column {column} is not text; like is for VARCHAR columns"));
                }
                Self::Like(at, parts(pattern)?)
            }
            Filter::IsNull { column } => Self::IsNull(position(column, columns)?),
        })
    }

    /// Whether a row is meant.
    pub(super) fn means(&self, row: &Row) -> bool {
        self.holds(row) == Some(true)
    }

    /// `None` is unknown.
    fn holds(&self, row: &Row) -> Option<bool> {
        let of_each = |parts: &[Self], decisive: bool| {
            let found: Vec<Option<bool>> = parts.iter().map(|part| part.holds(row)).collect();
            if found.contains(&Some(decisive)) {
                Some(decisive)
            } else if found.contains(&None) {
                None
            } else {
                Some(!decisive)
            }
        };
        match self {
            Self::All(parts) => of_each(parts, false),
            Self::Any(parts) => of_each(parts, true),
            Self::Not(part) => part.holds(row).map(|holds| !holds),
            Self::Compare(at, operator, value) => compare(&row[*at], value).map(|order| fits(*operator, order)),
            Self::Like(at, pattern) => {
                let text: Vec<char> = row[*at].as_str()?.chars().collect();
                Some(matches(&text, pattern))
            }
            Self::IsNull(at) => Some(row[*at].is_null()),
        }
    }
}

fn comparable(name: &ColumnName, columns: &[Column]) -> Result<usize, Misfit> {
    let at = position(name, columns)?;
    let data_type = &columns[at].data_type;
    if is_plain(data_type) {
        return Ok(at);
    }
    let opaque = matches!(data_type, DataType::Json | DataType::Variant | DataType::Geometry) || data_type.is_nested();
    let why = if opaque { "can only be tested for null" } else { "the lake in memory doesn't compare" };
    Err(format!("column {name} is of type {}, which {why}", data_type.spelling()))
}

fn fits(operator: Comparison, order: Ordering) -> bool {
    match operator {
        Comparison::Eq => order.is_eq(),
        Comparison::Ne => order.is_ne(),
        Comparison::Lt => order.is_lt(),
        Comparison::Le => order.is_le(),
        Comparison::Gt => order.is_gt(),
        Comparison::Ge => order.is_ge(),
    }
}

fn parts(pattern: &str) -> Result<Vec<Part>, Misfit> {
    let mut chars = pattern.chars();
    let mut parts = Vec::new();
    while let Some(next) = chars.next() {
        parts.push(match next {
            '\\' => Part::One(chars.next().ok_or("the pattern ends in a \\ that stands before nothing")?),
            '%' => Part::AnyMany,
            '_' => Part::AnyOne,
            other => Part::One(other),
        });
    }
    Ok(parts)
}

fn matches(text: &[char], pattern: &[Part]) -> bool {
    let Some((part, rest)) = pattern.split_first() else { return text.is_empty() };
    match part {
        Part::AnyMany => (0..=text.len()).any(|skipped| matches(&text[skipped..], rest)),
        Part::AnyOne => text.split_first().is_some_and(|(_, text)| matches(text, rest)),
        Part::One(wanted) => text.split_first().is_some_and(|(first, text)| first == wanted && matches(text, rest)),
    }
}
