//! Values that users give as text: whether each is one of its column's type, told before it becomes part of a
//! statement that would fail for it, or worse, round it.

use std::fmt::Write as _;

use duckdb::Connection;
use gadwall_domain::alteration::AlterationError;
use gadwall_domain::filter::{Assignment, Filter, Literal};
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::schema::{Column, SchemaError};
use gadwall_domain::types::DataType;

use crate::error::{Failure, classify, lake_error};
use crate::filter::{self, typed};
use crate::sql;
use crate::stage::exact_form;

/// Values looked at in one statement.
const TOGETHER: usize = 500;

/// A filter as a condition, after all its values were looked at; true for all rows without one.
pub(crate) fn condition(
    connection: &Connection,
    filter: Option<&Filter>,
    columns: &[Column],
) -> Result<String, WriteError> {
    let Some(filter) = filter else { return Ok("true".to_owned()) };
    let condition = filter::condition(filter, columns).map_err(WriteError::BadFilter)?;
    let mut values = Vec::new();
    collect(filter, columns, &mut values)?;
    check(connection, &values)?;
    Ok(condition)
}

/// Finds columns that new values are for, and holds the values to them.
pub(crate) fn assignments(connection: &Connection, set: &[Assignment], columns: &[Column]) -> Result<(), WriteError> {
    let refuse = |reason: String| Err(WriteError::BadFilter(reason));
    let mut values = Vec::new();
    for (position, assignment) in set.iter().enumerate() {
        let Some(column) = find(&assignment.column, columns) else {
            // The filter's words for it.
            filter::value(assignment, columns).map_err(WriteError::BadFilter)?;
            continue;
        };
        if set[..position].iter().any(|other| other.column == assignment.column) {
            return refuse(format!("column {} is set twice", column.name));
        }
        match &assignment.value {
            None if !column.nullable => return refuse(format!("column {} may not be NULL", column.name)),
            None => {}
            Some(value) => {
                let length = value.as_str().chars().count();
                if column.data_type.max_chars().is_some_and(|limit| length > limit as usize) {
                    let allowed = column.data_type.spelling();
                    return refuse(format!("column {}: {} is longer than {allowed} allows", column.name, shown(value)));
                }
                values.push((column, value));
            }
        }
    }
    check(connection, &values)?;
    hold(connection, &values)
}

/// Fails with the first value that breaks a check of its column. All are of their columns' types.
fn hold(connection: &Connection, values: &[(&Column, &Literal)]) -> Result<(), WriteError> {
    for (column, value) in values {
        for rule in column.checks.each() {
            let broken = sql::breaks(rule, &typed(value, &column.data_type), &column.data_type);
            let broken: Option<bool> = connection
                .query_row(&format!("SELECT {broken}"), [], |row| row.get(0))
                .map_err(|error| lake_error(&error))?;
            if broken == Some(true) {
                let reason = format!("column {}: {} {}", column.name, shown(value), rule.reason());
                return Err(WriteError::BadFilter(reason));
            }
        }
    }
    Ok(())
}

/// Fails unless a column's checks can be made of its values, and its default passes them.
pub(crate) fn checks_fit(connection: &Connection, column: &Column) -> Result<(), WriteError> {
    let refuse =
        |reason| WriteError::from(AlterationError::from(SchemaError::Checks { column: column.name.clone(), reason }));
    let told = |error| match error {
        WriteError::BadFilter(reason) => refuse(reason),
        error => error,
    };
    let values: Vec<_> = column.checks.values().map(|value| (column, value)).collect();
    check(connection, &values).map_err(told)?;
    if let Some(pattern) = &column.checks.pattern {
        let tried = connection.query_row(&format!("SELECT regexp_matches('', {})", sql::text(pattern)), [], |_| Ok(()));
        if let Err(error) = tried {
            return match classify(&error) {
                Failure::Statement => Err(refuse("the pattern is not a regular expression (RE2)".to_owned())),
                _ => Err(lake_error(&error).into()),
            };
        }
    }
    let default = column.default.as_ref().map(|default| Literal::new(default.as_str()));
    default.map_or(Ok(()), |default| hold(connection, &[(column, &default)])).map_err(told)
}

/// Whether a default is a value of its column.
pub(crate) fn default_fits(connection: &Connection, column: &Column) -> Result<bool, WriteError> {
    let Some(default) = &column.default else { return Ok(true) };
    let value = Literal::new(default.as_str());
    let short = column.data_type.max_chars().is_none_or(|limit| default.as_str().chars().count() <= limit as usize);
    match check(connection, &[(column, &value)]) {
        Ok(()) => Ok(short),
        Err(WriteError::BadFilter(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn find<'a>(name: &ColumnName, columns: &'a [Column]) -> Option<&'a Column> {
    columns.iter().find(|column| column.name == *name)
}

fn collect<'a>(
    filter: &'a Filter,
    columns: &'a [Column],
    found: &mut Vec<(&'a Column, &'a Literal)>,
) -> Result<(), WriteError> {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => {
            parts.iter().try_for_each(|part| collect(part, columns, found))?;
        }
        Filter::Not(part) => collect(part, columns, found)?,
        Filter::Compare { column, value, .. } => found.extend(find(column, columns).map(|column| (column, value))),
        Filter::In { column, values } => {
            let column = find(column, columns);
            found.extend(values.iter().filter_map(|value| Some((column?, value))));
        }
        Filter::Like { column, pattern } => {
            let escapes = pattern.chars().rev().take_while(|char| *char == '\\').count();
            if escapes % 2 == 1 || pattern.contains('\0') {
                let reason = format!("column {column}: the pattern ends within an escape, or holds a NUL");
                return Err(WriteError::BadFilter(reason));
            }
        }
        Filter::IsNull { .. } => {}
    }
    Ok(())
}

/// Fails with the first value that isn't one of its column's type.
fn check(connection: &Connection, values: &[(&Column, &Literal)]) -> Result<(), WriteError> {
    for part in values.chunks(TOGETHER) {
        if let Some((column, value)) = part.iter().find(|(_, value)| value.as_str().contains('\0')) {
            return Err(misfit(column, value));
        }
        let mut looks = String::new();
        for (position, (column, value)) in part.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let _ = write!(looks, "{comma}({position}, {})", fits(column, value));
        }
        let statement = format!("SELECT min(n)::BIGINT FROM (VALUES {looks}) v(n, ok) WHERE ok IS NOT true");
        let bad: Option<i64> =
            connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| lake_error(&error))?;
        if let Some((column, value)) = bad.and_then(|bad| part.get(usize::try_from(bad).ok()?)) {
            return Err(misfit(column, value));
        }
    }
    Ok(())
}

/// An expression that is true for a text that is a value of the column's type, without loss.
fn fits(column: &Column, value: &Literal) -> String {
    let (text, read) = (sql::text(value.as_str()), typed(value, &column.data_type));
    let mut fits = format!("TRY({read}) IS NOT NULL");
    let like = |form: &str| format!(" AND regexp_full_match(trim({text}), {})", sql::text(form));
    match column.data_type.without_lengths() {
        DataType::Decimal { scale, .. } => {
            fits.push_str(&like(&format!(r"[+-]?([0-9]*\.?[0-9]{{0,{scale}}}0*|[0-9]+[eE]\+?[0-9]+)")));
        }
        DataType::Interval => {
            let _ = write!(
                fits,
                " AND date_part('microsecond', TRY({read})) % 1000 = 0 AND NOT contains(CAST(TRY({read}) AS VARCHAR), '-')"
            );
        }
        plain => {
            if let Some(form) = exact_form(&plain) {
                fits.push_str(&like(form));
            }
        }
    }
    fits
}

fn misfit(column: &Column, value: &Literal) -> WriteError {
    let of_type = column.data_type.spelling();
    WriteError::BadFilter(format!("column {}: {} is not a value of type {of_type}", column.name, shown(value)))
}

fn shown(value: &Literal) -> String {
    format!("{:?}", value.as_str().chars().take(60).collect::<String>())
}
