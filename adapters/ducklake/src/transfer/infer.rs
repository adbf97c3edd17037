//! The columns that would hold what is in files.

use duckdb::Connection;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::EngineFile;
use gadwall_domain::ports::transfer::TransferError;
use gadwall_domain::schema::{Column, MAX_COLUMNS};
use gadwall_domain::transfer::{CsvOptions, FileFormat};
use gadwall_domain::types::DataType;

use super::error::FileErrors;
use super::scan;
use crate::sql;

/// What every text of a column must look like for the column to be of that type, best first. All rows are looked at,
/// so that what is inferred also holds; numbers with leading zeros are words.
const CANDIDATES: [(&str, &str); 7] = [
    ("BOOLEAN", "(?i)true|false"),
    ("BIGINT", "[+-]?(0|[1-9][0-9]*)"),
    ("DOUBLE", "[+-]?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]{1,3})?"),
    ("DATE", "[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    ("TIMESTAMP", "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]+"),
    ("TIMESTAMPTZ", "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]+(Z|[+-][0-9:]+)"),
    ("TIME", "[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?"),
];

pub(super) fn infer(
    connection: &Connection,
    files: &[EngineFile],
    format: &FileFormat,
    errors: &FileErrors,
) -> Result<Vec<Column>, TransferError> {
    let relation = format!("SELECT * FROM {}", scan::typed(files, format));
    let mut described = scan::describe(connection, &relation).map_err(|error| errors.tell(&error))?;
    if described.len() > MAX_COLUMNS {
        let reason = format!("the files have {} columns, a table has at most {MAX_COLUMNS}", described.len());
        return Err(errors.malformed(reason));
    }
    if let FileFormat::Csv(options) = format {
        of_text(connection, files, options, &mut described).map_err(|error| errors.tell(&error))?;
    }
    described.iter().map(|(name, type_text)| column(name, type_text, errors)).collect()
}

fn column(name: &str, type_text: &str, errors: &FileErrors) -> Result<Column, TransferError> {
    let named = ColumnName::parse(name).map_err(|error| errors.malformed(error.to_string()))?;
    let data_type = DataType::parse(type_text).map_err(|_| {
        let shown: String = type_text.chars().take(60).collect();
        errors.malformed(format!("column {named} is of type {shown}, which no table can hold; make the table first"))
    })?;
    Ok(Column::new(named, data_type))
}

/// Replaces the types of columns of text by what their texts say.
fn of_text(
    connection: &Connection,
    files: &[EngineFile],
    options: &CsvOptions,
    columns: &mut [(String, String)],
) -> Result<(), duckdb::Error> {
    let test = |name: &str, (type_name, form): (&str, &str)| {
        let value = sql::ident(name);
        let fits =
            format!("regexp_full_match({value}, {}) AND TRY_CAST({value} AS {type_name}) IS NOT NULL", sql::text(form));
        format!("coalesce(bool_and({fits}), false)")
    };
    let tests = |name: &str| CANDIDATES.map(|candidate| test(name, candidate)).join(", ");
    let tests: Vec<String> = columns.iter().map(|(name, _)| format!("[{}]", tests(name))).collect();
    // One number for each column: the first type that holds all its values.
    let best: Vec<String> =
        tests.iter().map(|tests| format!("coalesce(list_position({tests}, true), 0)::INTEGER")).collect();
    let statement = format!("SELECT {} FROM {}", best.join(", "), scan::csv(files, options));
    let found: Vec<i32> = connection.query_row(&statement, [], |row| (0..best.len()).map(|i| row.get(i)).collect())?;
    for ((_, type_text), position) in columns.iter_mut().zip(found) {
        let candidate = usize::try_from(position).ok().and_then(|position| CANDIDATES.get(position.checked_sub(1)?));
        candidate.map_or("VARCHAR", |(name, _)| name).clone_into(type_text);
    }
    Ok(())
}
