//! The few rows of many requests, loaded and checked in one go.

use std::sync::Arc;

use arrow::compute::concat_batches;
use duckdb::Connection;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::Violations;
use gadwall_domain::schema::TableSchema;

use super::batches::Few;
use super::check::{check_missing, rules_of};
use super::columns::{append, create_stage, internal, numbered};
use super::{REQUEST, Staged, engine_refused};
use crate::engine::Engine;
use crate::error::lake_error;

/// Loads rows of requests that have the same columns. Those of a request that break a rule of the table are left out;
/// by itself it hears why. Whether keys are new isn't looked at here.
pub(crate) fn stage_group(
    engine: &Arc<Engine>,
    connection: &Connection,
    schema: &TableSchema,
    requests: &[(usize, &Few)],
) -> Result<(Staged, Vec<usize>), WriteError> {
    let (mut staged, name) = Staged::in_memory(engine);
    let batches =
        requests.iter().map(|(request, few)| numbered(*request, &few.rows, 0)).collect::<Result<Vec<_>, _>>()?;
    let [(_, one), ..] = requests else { return Ok((staged, Vec::new())) };
    let sources = create_stage(connection, &name, schema, one.rows.schema_ref())?;
    let mut missing = Violations::default();
    check_missing(schema, &sources, 1, &mut missing);
    if !missing.is_empty() {
        return Ok((staged, requests.iter().map(|(request, _)| *request).collect()));
    }
    let all =
        batches.first().map(|first| concat_batches(first.schema_ref(), &batches)).transpose().map_err(internal)?;
    if let Some(all) = all {
        append(connection, &name, vec![all])?;
    }
    let broken: Vec<String> =
        sources.iter().flat_map(|source| rules_of(source, true)).map(|rule| format!("({})", rule.broken)).collect();
    let refused = if broken.is_empty() {
        Vec::new()
    } else {
        let statement = format!("SELECT DISTINCT {REQUEST} FROM {} WHERE {}", staged.relation(), broken.join(" OR "));
        numbers(connection, &statement).map_err(|error| engine_refused("the rows", &error))?
    };
    staged.read_as(&sources);
    staged.leave_out(connection, &refused)?;
    Ok((staged, refused))
}

/// The numbers that a statement answers, one a row.
pub(crate) fn numbers(connection: &Connection, statement: &str) -> duckdb::Result<Vec<usize>> {
    let mut prepared = connection.prepare(statement)?;
    let found = prepared.query_map([], |row| row.get::<_, i64>(0))?;
    found.map(|number| Ok(usize::try_from(number?).unwrap_or(usize::MAX))).collect()
}

impl Staged {
    /// `SELECT` of all rows as the table's types, but for those of these requests.
    pub(crate) fn select_without(&self, requests: &[usize]) -> String {
        let condition =
            if requests.is_empty() { String::new() } else { format!(" WHERE {REQUEST} NOT IN ({})", list(requests)) };
        format!("SELECT {} FROM {}{condition}", self.values(), self.relation())
    }

    /// Takes the rows of these requests out again.
    pub(crate) fn leave_out(&self, connection: &Connection, requests: &[usize]) -> Result<(), WriteError> {
        if requests.is_empty() {
            return Ok(());
        }
        let statement = format!("DELETE FROM {} WHERE {REQUEST} IN ({})", self.relation(), list(requests));
        Ok(connection.execute_batch(&statement).map_err(|error| lake_error(&error))?)
    }
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
