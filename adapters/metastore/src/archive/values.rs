//! Values of any table, as JSON and back.

use std::fmt::Write as _;

use gadwall_domain::ports::metadata::StoreError;
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Column as _, Row as _, TypeInfo as _, ValueRef as _};

use crate::row::Row;
use crate::statement::{Statement, sql};

/// Values of one statement at most.
const VALUES: usize = 10_000;

pub(super) fn fault(why: &'static str) -> StoreError {
    StoreError::Fault(why.into())
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Fault(Box::new(error))
}

/// Rows of so many columns that go into one statement.
pub(super) fn rows_at_once(columns: usize) -> usize {
    (VALUES / columns.max(1)).max(1)
}

/// The columns of a row, in their order.
pub(super) fn columns_of(row: &Row) -> Vec<String> {
    match row {
        Row::Sqlite(row) => row.columns().iter().map(|column| column.name().to_owned()).collect(),
        Row::Postgres(row) => row.columns().iter().map(|column| column.name().to_owned()).collect(),
    }
}

/// The values of a row, in the order of its columns.
pub(super) fn row_of(row: &Row) -> Result<Vec<Json>, StoreError> {
    macro_rules! values {
        ($row:expr) => {
            (0..$row.columns().len())
                .map(|at| {
                    let kind = {
                        let value = $row.try_get_raw(at).map_err(failed)?;
                        if value.is_null() { String::new() } else { value.type_info().name().to_owned() }
                    };
                    Ok(match kind.as_str() {
                        "" => Json::Null,
                        "INTEGER" | "INT8" => $row.try_get::<i64, _>(at).map_err(failed)?.into(),
                        "REAL" | "FLOAT8" => $row.try_get::<f64, _>(at).map_err(failed)?.into(),
                        "BLOB" | "BYTEA" => json!({ "hex": hex::encode($row.try_get::<Vec<u8>, _>(at).map_err(failed)?) }),
                        "TEXT" => $row.try_get::<String, _>(at).map_err(failed)?.into(),
                        _ => return Err(fault("a column of a type that backups don't know")),
                    })
                })
                .collect()
        };
    }
    match row {
        Row::Sqlite(row) => values!(row),
        Row::Postgres(row) => values!(row),
    }
}

/// A row's value in a column.
pub(super) fn value_of<'r>(columns: &[String], row: &'r [Json], column: &str) -> Result<&'r Json, StoreError> {
    let at = columns.iter().position(|name| name == column);
    at.and_then(|at| row.get(at)).ok_or_else(|| fault("a row of a backup lacks a column"))
}

/// Binds a value, or writes it where it has no type of its own.
fn place(mut statement: Vec<Json>, value: &Json, text: &mut String) -> Vec<Json> {
    if value.is_null() {
        text.push_str("NULL");
    } else {
        statement.push(value.clone());
        let _ = write!(text, "${}", statement.len());
    }
    statement
}

fn bound(text: String, values: Vec<Json>) -> Result<Statement<'static>, StoreError> {
    let mut statement = sql(AssertSqlSafe(text));
    for value in values {
        statement = match value {
            Json::String(text) => statement.bind(text),
            Json::Number(number) => match number.as_i64() {
                Some(number) => statement.bind(number),
                None => statement.bind(number.as_f64()),
            },
            Json::Object(object) => {
                let bytes = object.get("hex").and_then(Json::as_str).and_then(|text| hex::decode(text).ok());
                statement.bind(bytes.ok_or_else(|| fault("bytes of a backup can't be read"))?)
            }
            _ => return Err(fault("a value of a backup can't be read")),
        };
    }
    Ok(statement)
}

/// Columns of a table, as they stand in a statement.
fn quoted(columns: &[&str]) -> Result<String, StoreError> {
    let plain = |name: &&&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if columns.iter().filter(plain).count() == columns.len() {
        Ok(columns.join(", "))
    } else {
        Err(fault("a column of a backup has a name that none has"))
    }
}

/// Inserts rows.
pub(super) fn insert(
    table: &str,
    columns: &[&str],
    rows: &[Vec<Json>],
    after: &str,
) -> Result<Statement<'static>, StoreError> {
    let mut text = format!("INSERT INTO {table} ({}) VALUES ", quoted(columns)?);
    let mut values = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        text.push_str(if number == 0 { "(" } else { ", (" });
        for (number, value) in row.iter().enumerate() {
            if number > 0 {
                text.push_str(", ");
            }
            values = place(values, value, &mut text);
        }
        text.push(')');
    }
    text.push_str(after);
    bound(text, values)
}

/// Changes the row with that key.
pub(super) fn update(
    table: &str,
    sets: &[(&str, Json)],
    key: &str,
    is: &str,
) -> Result<Statement<'static>, StoreError> {
    quoted(&sets.iter().map(|(column, _)| *column).collect::<Vec<_>>())?;
    let mut text = format!("UPDATE {table} SET ");
    let mut values = Vec::new();
    for (number, (column, value)) in sets.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{column} = ");
        values = place(values, value, &mut text);
    }
    let _ = write!(text, " WHERE {key} = ");
    values = place(values, &is.into(), &mut text);
    bound(text, values)
}
