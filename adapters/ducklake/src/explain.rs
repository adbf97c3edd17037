//! Runs EXPLAIN: asks the engine for the plan, and answers it as rows in which nothing of the server shows.

use gadwall_domain::query::{Query, QueryError, ReadScope};

use crate::error::Scrub;
use crate::gate::{self, Explain};
use crate::query::{Statement, checked, values};
use crate::root::Lent;
use crate::settled::Version;
use crate::sql;

/// A statement that answers the plan of the query behind EXPLAIN. With ANALYZE the query has run by then.
pub(crate) fn explained(
    connection: &Lent,
    scope: &ReadScope,
    query: &Query,
    explain: Explain<'_>,
    version: Version<'_>,
    scrub: &Scrub,
    failed: &dyn Fn(&duckdb::Error) -> QueryError,
) -> Result<Statement, QueryError> {
    let inner = Query { sql: explain.query.to_owned(), ..query.clone() };
    let Statement { text: statement, tables, views, values: given, .. } =
        checked(connection, scope, &inner, version, failed)?;
    let others = tables.iter().any(|table| table.linked.is_some());
    if views > 0 && (others || scope.only_bucket.is_some()) {
        // The plan would tell of tables that only the view's author may read.
        let what =
            "EXPLAIN of a query that reads a view, with a key that is limited to a bucket or another project's tables"
                .to_owned();
        let hint = "explain the query without the view, or use a key of the whole project".to_owned();
        return Err(QueryError::Unsupported { what, hint });
    }
    let mut prepared = connection.prepare(&explain.statement(&statement)).map_err(|error| failed(&error))?;
    let values = values(&prepared, &given)?;
    let read = |row: &duckdb::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let (key, json) = prepared.query_row(duckdb::params_from_iter(values), read).map_err(|error| failed(&error))?;
    let own = sql::catalog(scope.lake);
    let clean = |text: &str| {
        let catalogs = tables.iter().map(|table| table.catalog.as_str());
        catalogs.fold(scrub.apply(text, &own), |text, catalog| scrub.apply(&text, catalog))
    };
    let plan = gate::plan(&json, &clean)?;
    let statement = format!("SELECT {} AS explain_key, {} AS explain_value", sql::text(&key), sql::text(&plan));
    // A plan follows the files, and those are merged while the snapshot stays the same.
    Ok(Statement::bare(statement, false, tables))
}
