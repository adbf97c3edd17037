//! Rows that came as a Parquet file.

use std::sync::Arc;

use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{RowsError, StagedFile, Violations};
use gadwall_domain::schema::TableSchema;

use super::check::{Keys, check};
use super::columns::table_column;
use super::source::Source;
use super::{Relation, Spool, Staged, engine_refused};
use crate::engine::Engine;
use crate::error::{Failure, classify, message};
use crate::measure::count_rows;
use crate::root::Lent;
use crate::sql;

/// Looks into the file and holds its rows to the table's rules.
pub(super) fn stage_parquet(
    spool: &Spool,
    connection: &Lent,
    schema: &TableSchema,
    file: Arc<StagedFile>,
    keys: Keys,
) -> Result<Staged, WriteError> {
    let engine = &spool.shared.engine;
    let path = sql::text(&file.path().to_string_lossy());
    let refused = |error: &duckdb::Error| match classify(error) {
        Failure::OutOfMemory | Failure::StorageFull | Failure::ReadOnly | Failure::Interrupted => {
            engine_refused("the file", error)
        }
        // The file is the client's; whatever DuckDB says of it, it can't be read.
        _ => malformed_parquet(engine, error).into(),
    };
    let describe = || {
        let mut statement = connection.prepare(&format!("DESCRIBE SELECT * FROM read_parquet({path})"))?;
        let columns = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        columns.collect::<Result<Vec<_>, _>>()
    };
    let mut sources = Vec::new();
    for (name, type_text) in describe().map_err(|error| refused(&error))? {
        let column = table_column(schema, &name)?.clone();
        if sources.iter().any(|source: &Source| source.column.name == column.name) {
            return Err(
                RowsError::Malformed { format: "Parquet", reason: format!("column {name:?} appears twice") }.into()
            );
        }
        sources.push(Source::of_file(column, name, &type_text));
    }
    let rows: i64 = connection
        .query_row(&format!("SELECT count(*) FROM read_parquet({path})"), [], |row| row.get(0))
        .map_err(|error| refused(&error))?;
    let rows = u64::try_from(rows).unwrap_or_default();
    let staged = Staged::of(engine, Relation::File(file), rows);
    let staged = check(connection, schema, staged, &sources, Violations::default(), keys)?;
    if !spool.takes(rows) {
        return Ok(staged);
    }
    let file = spool.write(connection, schema, &staged)?;
    let counted = count_rows(connection, schema, &staged).ok();
    Ok(spool.staged(schema, vec![file], rows, counted))
}

fn malformed_parquet(engine: &Engine, error: &duckdb::Error) -> RowsError {
    RowsError::Malformed { format: "Parquet", reason: engine.scrub.apply(&message(error), "\0") }
}
