//! Holds staged rows to their table's rules.

use std::fmt::Write as _;

use duckdb::Connection;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{MAX_VIOLATIONS, Violation, Violations};
use gadwall_domain::schema::TableSchema;

use super::source::Source;
use super::{ROW, Staged, engine_refused};
use crate::error::lake_error;
use crate::sql;

/// A rule that a column's values are held to.
pub(super) struct Rule<'a> {
    source: &'a Source,
    /// True for a value that breaks it.
    pub(super) broken: String,
    /// What to say of such a value.
    reason: String,
}

/// What to make of a key that comes twice in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It refuses the rows.
    Once,
    /// The last row of it counts.
    LastWins,
}

/// Holds the rows of one request to the table's rules. All findings are reported together.
pub(super) fn check(
    connection: &Connection,
    schema: &TableSchema,
    mut staged: Staged,
    sources: &[Source],
    mut found: Violations,
    keys: Keys,
) -> Result<Staged, WriteError> {
    if staged.rows > 0 {
        // First: it goes by whether the decoder found something, not by what is missing.
        check_values(connection, &staged, sources, &mut found)?;
        check_missing(schema, sources, staged.rows, &mut found);
    }
    if !found.is_empty() {
        return Err(WriteError::Violations(found));
    }
    staged.read_as(sources);
    if keys == Keys::Once {
        check_unique(connection, schema, &staged)?;
    }
    Ok(staged)
}

/// Holds the values to their columns' rules.
pub(super) fn check_values(
    connection: &Connection,
    staged: &Staged,
    sources: &[Source],
    found: &mut Violations,
) -> Result<(), WriteError> {
    // Where the decoder refused a value it may have left NULL, and has said so already.
    let decoder_was_content = found.is_empty();
    let rules: Vec<Rule<'_>> = sources.iter().flat_map(|source| rules_of(source, decoder_was_content)).collect();
    check_rules(connection, &staged.relation(), &rules, found)
}

/// A column that may not be NULL, has no default, and isn't among the rows' columns.
pub(super) fn check_missing(schema: &TableSchema, sources: &[Source], rows: u64, found: &mut Violations) {
    for column in schema.columns() {
        let given = sources.iter().any(|source| source.column.name == column.name);
        if !given && !column.nullable && column.default.is_none() {
            let reason = "is missing, but the column is NOT NULL and has no default".to_owned();
            found.push(Violation { row: 1, column: Some(column.name.to_string()), reason });
            found.add_count(rows - 1);
        }
    }
}

pub(super) fn rules_of(source: &Source, all: bool) -> Vec<Rule<'_>> {
    let target = source.column.data_type.spelling();
    let mut rules = Vec::new();
    if let Some(broken) = source.lost() {
        rules.push(Rule { source, broken, reason: format!("can't be read as {target} without loss") });
    }
    if !all {
        return rules;
    }
    rules.extend(source.rules().into_iter().map(|(broken, reason)| Rule { source, broken, reason }));
    if !source.column.nullable {
        let broken = format!("{} IS NULL", source.quoted());
        rules.push(Rule { source, broken, reason: "is NULL, but the column is NOT NULL".to_owned() });
    }
    rules
}

fn check_rules(
    connection: &Connection,
    relation: &str,
    rules: &[Rule<'_>],
    found: &mut Violations,
) -> Result<(), WriteError> {
    if rules.is_empty() {
        return Ok(());
    }
    // One pass counts for all rules; only broken ones are looked at row by row.
    let mut counts = String::new();
    for rule in rules {
        let comma = if counts.is_empty() { "" } else { ", " };
        let _ = write!(counts, "{comma}count(*) FILTER (WHERE {})", rule.broken);
    }
    let read =
        |row: &duckdb::Row<'_>| (0..rules.len()).map(|index| row.get::<_, i64>(index)).collect::<Result<Vec<_>, _>>();
    let counted = connection
        .query_row(&format!("SELECT {counts} FROM {relation}"), [], read)
        .map_err(|error| engine_refused("the rows", &error))?;
    for (rule, count) in rules.iter().zip(counted) {
        let Ok(count @ 1..) = u64::try_from(count) else { continue };
        let mut described = Violations::default();
        for violation in describe(connection, relation, rule).map_err(|error| engine_refused("the rows", &error))? {
            described.push(violation);
        }
        described.add_count(count - described.count());
        found.merge(described);
    }
    Ok(())
}

fn describe(connection: &Connection, relation: &str, rule: &Rule<'_>) -> Result<Vec<Violation>, duckdb::Error> {
    let statement = format!(
        "SELECT {ROW}, left(CAST({} AS VARCHAR), 60) FROM {relation} WHERE {} ORDER BY {ROW} LIMIT {MAX_VIOLATIONS}",
        rule.source.quoted(),
        rule.broken
    );
    let mut prepared = connection.prepare(&statement)?;
    let found = prepared.query_map([], |row| {
        let row_number: i64 = row.get(0)?;
        let value: Option<String> = row.get(1)?;
        let shown = value.map_or_else(String::new, |value| format!("{value:?} "));
        Ok(Violation {
            row: u64::try_from(row_number).unwrap_or_default(),
            column: Some(rule.source.column.name.to_string()),
            reason: format!("{shown}{}", rule.reason),
        })
    })?;
    found.collect()
}

/// No two rows of a request may have the same key.
pub(super) fn check_unique(connection: &Connection, schema: &TableSchema, staged: &Staged) -> Result<(), WriteError> {
    let key = schema.key_columns();
    if key.is_empty() || staged.rows == 0 {
        return Ok(());
    }
    let twice =
        format!("SELECT {} FROM ({}) GROUP BY ALL HAVING count(*) > 1", sql::columns(key), staged.key_values(schema));
    duplicates(connection, &twice, key)
}

/// Fails with the keys that a statement finds, if it finds any.
pub(crate) fn duplicates(connection: &Connection, statement: &str, key: &[ColumnName]) -> Result<(), WriteError> {
    let count: i64 = connection
        .query_row(&format!("SELECT count(*) FROM ({statement})"), [], |row| row.get(0))
        .map_err(|error| lake_error(&error))?;
    let Ok(count @ 1..) = u64::try_from(count) else { return Ok(()) };
    let mut fields = String::new();
    for name in key {
        let comma = if fields.is_empty() { "" } else { ", " };
        let _ = write!(fields, "{comma}{name} := {name}", name = sql::ident(name.as_str()));
    }
    let listing = format!(
        "SELECT CAST(to_json(struct_pack({fields})) AS VARCHAR) FROM ({statement}) ORDER BY ALL LIMIT {MAX_VIOLATIONS}"
    );
    let read = || {
        let mut prepared = connection.prepare(&listing)?;
        let keys = prepared.query_map([], |row| row.get::<_, String>(0))?;
        keys.collect::<Result<Vec<_>, duckdb::Error>>()
    };
    let texts = read().map_err(|error| lake_error(&error))?;
    let first = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    Err(WriteError::DuplicateKeys { first, count })
}
