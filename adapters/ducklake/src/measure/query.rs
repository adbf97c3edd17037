//! Rules that are queries: read-only, through the gate, over their own table and nothing else.

use duckdb::Connection;
use gadwall_domain::contract::{Breach, Measure, Metric, QualityRule};
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::query::QueryError;
use gadwall_domain::table::TableRef;

use crate::error::{Scrub, message};
use crate::gate::{NameError, Names, ResolvedTable};
use crate::query::checked_with;
use crate::sql;

/// The one table that a rule may name.
struct OneTable<'a> {
    lake: LakeId,
    table: &'a TableRef,
    /// The version that is read; the newest without.
    version: Option<u64>,
}

impl Names for OneTable<'_> {
    fn table(&self, catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<ResolvedTable, NameError> {
        let named = TableName::parse(table).is_ok_and(|name| name == self.table.table);
        let within = schema.is_none_or(|schema| BucketName::parse(schema).is_ok_and(|name| name == self.table.bucket));
        if catalog.is_some() || !named || !within {
            return Err(NameError::Unknown { candidates: Vec::new() });
        }
        let TableRef { bucket, table } = self.table;
        let (schema, table) = (bucket.to_string(), table.to_string());
        Ok(ResolvedTable { catalog: sql::catalog(self.lake), schema, table, linked: None })
    }

    fn version(&self) -> Option<u64> {
        self.version
    }
}

/// Measures a rule that is a query: the first value of its first row.
pub(crate) fn measure_query(
    connection: &Connection,
    scrub: &Scrub,
    lake: LakeId,
    table: &TableRef,
    version: Option<u64>,
    rule: &QualityRule,
) -> Breach {
    let Metric::Sql { query, column } = &rule.metric else {
        return Breach { measure: Measure::failed(rule, "it is no query".to_owned()), samples: Vec::new() };
    };
    let object = format!("{}.{}", sql::ident(table.bucket.as_str()), sql::ident(table.table.as_str()));
    let mut text = replaced(query, "object", &object);
    if let Some(column) = column {
        text = replaced(&text, "property", &sql::ident(column.as_str()));
    }
    let catalog = sql::catalog(lake);
    let failed = |error: &duckdb::Error| QueryError::Sql(scrub.apply(&message(error), &catalog));
    let names = OneTable { lake, table, version };
    let measured =
        checked_with(connection, &names, text.trim().trim_end_matches(';'), None, &failed).and_then(|checked| {
            let value = format!("SELECT CAST(v AS DOUBLE) FROM ({}) AS __gadwall_rule(v) LIMIT 1", checked.text);
            let mut prepared = connection.prepare(&value).map_err(|error| failed(&error))?;
            let mut found = prepared.query([]).map_err(|error| failed(&error))?;
            let row = found.next().map_err(|error| failed(&error))?;
            row.map_or(Ok(None), |row| row.get::<_, Option<f64>>(0)).map_err(|error| failed(&error))
        });
    let measure = match measured {
        Ok(value) => Measure::of(rule, value),
        Err(error) => Measure::failed(rule, error.to_string()),
    };
    Breach { measure, samples: Vec::new() }
}

/// Puts a name in the place of `{word}`, which tools also write as `${word}`.
fn replaced(query: &str, word: &str, name: &str) -> String {
    query.replace(&format!("${{{word}}}"), name).replace(&format!("{{{word}}}"), name)
}
