//! What the rules of a contract find: in rows that come, and in the table.
//!
//! Rules that tell rows apart are counted together, in one pass over the rows. A broken one is looked at again for a few
//! of the rows that break it.

mod query;
pub(crate) mod table;

use std::sync::Arc;
use std::time::Duration;

use duckdb::Connection;
use gadwall_domain::contract::{Breach, Expectation, MAX_SAMPLES, Measure, Metric, QualityRule, Unit};
use gadwall_domain::filter::Literal;
use gadwall_domain::names::ColumnName;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::types::DataType;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::interrupt::Stopper;
use crate::root::Lent;
use crate::sql;
use crate::stage::Staged;

pub(crate) use query::measure_query;

/// Columns of a row that is shown, beside those of the rule.
const SHOWN: usize = 8;
/// Broken rules whose rows are shown.
const SHOWN_RULES: usize = 20;

/// Rows that are looked at.
pub(crate) struct Looked<'a> {
    pub(crate) connection: &'a Connection,
    /// Something to select from.
    pub(crate) relation: String,
    /// How a column is read as the table's type.
    pub(crate) value: &'a dyn Fn(&ColumnName) -> String,
    /// The table's columns and key.
    pub(crate) schema: &'a TableSchema,
    /// What numbers the rows, if they are numbered.
    pub(crate) row: Option<&'static str>,
}

impl Looked<'_> {
    /// Counts the rows that each rule means, in one pass; how many rows there are comes first.
    pub(crate) fn counts(&self, rules: &[&QualityRule], by: Option<&str>) -> duckdb::Result<Vec<Vec<i64>>> {
        let (first, group) = match by {
            Some(by) => (by, format!(" GROUP BY {by}")),
            None => ("0", String::new()),
        };
        let count = |rule: &&QualityRule| match &rule.metric {
            // Cheaper than a condition.
            Metric::NullValues(column) => format!("count(*) - count({})", (self.value)(column)),
            metric => format!("count(*) FILTER (WHERE {})", self.meant(metric)),
        };
        let counted: Vec<String> = rules.iter().map(count).collect();
        let list = [format!("CAST({first} AS BIGINT)"), "count(*)".to_owned()].into_iter().chain(counted);
        let list = list.collect::<Vec<_>>().join(", ");
        let statement = format!("SELECT {list} FROM {}{group}", self.relation);
        let mut prepared = self.connection.prepare(&statement)?;
        let read = |row: &duckdb::Row<'_>| (0..rules.len() + 2).map(|index| row.get(index)).collect();
        prepared.query_map([], read)?.collect()
    }

    /// True for rows that a rule of rows means.
    fn meant(&self, metric: &Metric) -> String {
        let typed = |column: &ColumnName| {
            let known = self.schema.column(column);
            known.map_or(DataType::Varchar(None), |known| known.data_type.without_lengths())
        };
        match metric {
            Metric::NullValues(column) => format!("({}) IS NULL", (self.value)(column)),
            Metric::MissingValues { column, values, null } => {
                let value = (self.value)(column);
                let listed = among(&value, values, &typed(column));
                if *null { format!("(({value}) IS NULL OR {listed})") } else { listed }
            }
            Metric::InvalidValues { column, values, pattern } => {
                let value = (self.value)(column);
                let unlisted = values.as_ref().map(|values| format!("NOT {}", among(&value, values, &typed(column))));
                let unmatched = pattern
                    .as_ref()
                    .map(|pattern| format!("NOT regexp_matches(CAST({value} AS VARCHAR), {})", sql::text(pattern)));
                let broken: Vec<String> = unlisted.into_iter().chain(unmatched).collect();
                format!("(({value}) IS NOT NULL AND ({}))", broken.join(" OR "))
            }
            Metric::Options(promised) => {
                let value =
                    format!("CAST({} AS {})", (self.value)(&promised.name), promised.data_type.without_lengths());
                let broken: Vec<String> =
                    sql::rules(promised, &value).map(|(broken, _)| format!("({broken})")).collect();
                format!("({})", broken.join(" OR "))
            }
            Metric::DuplicateValues(_) | Metric::RowCount | Metric::Sql { .. } => "false".to_owned(),
        }
    }

    /// Some of the rows that a rule of rows means.
    fn samples(&self, rule: &QualityRule) -> Vec<Value> {
        let shown = self.shown(rule);
        let fields: Vec<String> = shown
            .iter()
            .map(|name| format!("{} := left(CAST({} AS VARCHAR), 100)", sql::ident(name.as_str()), (self.value)(name)))
            .collect();
        let row = self.row.unwrap_or("NULL");
        let statement = format!(
            "SELECT CAST({row} AS BIGINT), CAST(to_json(struct_pack({})) AS VARCHAR) FROM {} WHERE {} LIMIT {MAX_SAMPLES}",
            fields.join(", "),
            self.relation,
            self.meant(&rule.metric)
        );
        let told = |row: Option<i64>, values: Value| match row {
            Some(row) => json!({ "row": row, "values": values }),
            None => json!({ "values": values }),
        };
        self.told(&statement, told)
    }

    /// The rule's columns, the key's, and the first ones.
    fn shown(&self, rule: &QualityRule) -> Vec<ColumnName> {
        let mut shown: Vec<ColumnName> = rule.metric.columns().into_iter().cloned().collect();
        let others = self.schema.key_columns().iter().chain(self.schema.columns().iter().map(|column| &column.name));
        for name in others {
            if shown.len() < SHOWN && !shown.contains(name) {
                shown.push(name.clone());
            }
        }
        shown
    }

    /// Rows in JSON. They only explain: without them the rule is told all the same.
    fn told(&self, statement: &str, tell: impl Fn(Option<i64>, Value) -> Value) -> Vec<Value> {
        let read = || -> duckdb::Result<Vec<(Option<i64>, String)>> {
            let mut prepared = self.connection.prepare(statement)?;
            prepared.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let found = read().unwrap_or_else(|error| {
            tracing::debug!(error = %error, "rows that break a rule are not shown");
            Vec::new()
        });
        found.into_iter().filter_map(|(row, text)| Some(tell(row, serde_json::from_str(&text).ok()?))).collect()
    }

    /// What the rules of rows found, of one line of counts.
    pub(crate) fn measures(rules: &[&QualityRule], counts: &[i64]) -> Vec<Measure> {
        let total = counts.get(1).copied().unwrap_or_default();
        let of = |(rule, count): (&&QualityRule, &i64)| Measure::of(rule, Some(in_unit(rule.unit, *count, total)));
        rules.iter().zip(counts.iter().skip(2)).map(of).collect()
    }

    /// The same with some of the rows of each that is broken.
    pub(crate) fn breaches(&self, rules: &[&QualityRule], counts: &[i64]) -> Vec<Breach> {
        let mut left = SHOWN_RULES;
        let told = |(measure, rule): (Measure, &&QualityRule)| {
            let show = !measure.met && left > 0;
            left -= usize::from(show);
            let samples = if show { self.samples(rule) } else { Vec::new() };
            Breach { measure, samples }
        };
        Self::measures(rules, counts).into_iter().zip(rules).map(told).collect()
    }

    /// How many rows share their values in some columns with another; with `beside`, of those whose values it has.
    fn duplicates(&self, columns: &[ColumnName], beside: Option<&str>) -> String {
        let names = sql::columns(columns);
        let there: Vec<String> =
            columns.iter().map(|name| format!("{} IS NOT NULL", sql::ident(name.as_str()))).collect();
        let near =
            beside.map_or_else(String::new, |beside| format!(" SEMI JOIN ({beside}) AS __gadwall_new USING ({names})"));
        format!(
            "SELECT {names}, count(*) AS __gadwall_count FROM {}{near} WHERE {} GROUP BY {names} HAVING count(*) > 1",
            self.relation,
            there.join(" AND ")
        )
    }

    /// Measures the rules of a whole table, but for queries: in one statement.
    pub(crate) fn whole(
        &self,
        rules: &[&QualityRule],
        beside: impl Fn(&[ColumnName]) -> Option<String>,
    ) -> duckdb::Result<Vec<Breach>> {
        let grouped = |rule: &QualityRule| match &rule.metric {
            // Of a table that kept the rule so far, only values that came can break it.
            Metric::DuplicateValues(columns) => {
                let near = if rule.expected == Expectation::Equal(0.0) { beside(columns) } else { None };
                Some(self.duplicates(columns, near.as_deref()))
            }
            _ => None,
        };
        let parts: String = rules
            .iter()
            .map(|rule| match grouped(rule) {
                Some(groups) => format!(", (SELECT CAST(coalesce(sum(__gadwall_count), 0) AS BIGINT) FROM ({groups}))"),
                None => ", 0".to_owned(),
            })
            .collect();
        let statement = format!("SELECT (SELECT count(*) FROM {}){parts}", self.relation);
        let counts: Vec<i64> =
            self.connection.query_row(&statement, [], |row| (0..=rules.len()).map(|index| row.get(index)).collect())?;
        let total = counts.first().copied().unwrap_or_default();
        let told = |(rule, count): (&&QualityRule, &i64)| {
            let count = if rule.metric == Metric::RowCount { total } else { *count };
            let measure = Measure::of(rule, Some(in_unit(rule.unit, count, total)));
            let samples = match (&rule.metric, measure.met, grouped(rule)) {
                (Metric::DuplicateValues(columns), false, Some(groups)) => self.shared(columns, &groups),
                _ => Vec::new(),
            };
            Breach { measure, samples }
        };
        Ok(rules.iter().zip(counts.iter().skip(1)).map(told).collect())
    }

    /// Some of the values that rows share.
    fn shared(&self, columns: &[ColumnName], groups: &str) -> Vec<Value> {
        let fields: Vec<String> = columns
            .iter()
            .map(|name| format!("{0} := left(CAST({0} AS VARCHAR), 100)", sql::ident(name.as_str())))
            .collect();
        let statement = format!(
            "SELECT CAST(__gadwall_count AS BIGINT), CAST(to_json(struct_pack({})) AS VARCHAR) FROM ({groups}) LIMIT {MAX_SAMPLES}",
            fields.join(", ")
        );
        self.told(&statement, |count, values| json!({ "values": values, "count": count }))
    }
}

/// The rules of a table's contract that tell rows apart.
pub(crate) fn rules_of_rows(schema: &TableSchema) -> Vec<&QualityRule> {
    let rules = schema.contract().map(|held| held.contract.terms.rules.as_slice()).unwrap_or_default();
    rules.iter().filter(|rule| rule.metric.is_of_rows()).collect()
}

/// What they count in rows that came.
pub(crate) fn count_rows(connection: &Connection, schema: &TableSchema, staged: &Staged) -> duckdb::Result<Vec<i64>> {
    let rules = rules_of_rows(schema);
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let value = |name: &ColumnName| staged_value(schema, staged, name);
    let looked = Looked { connection, relation: staged.relation(), value: &value, schema, row: None };
    Ok(looked.counts(&rules, None)?.pop().unwrap_or_default())
}

/// How a column of rows that came is read; its default where they don't have it.
pub(crate) fn staged_value(schema: &TableSchema, staged: &Staged, name: &ColumnName) -> String {
    schema.column(name).map_or_else(|| "NULL".to_owned(), |column| staged.value(column))
}

/// True for a value that is one of some. A literal that is none of the column's type is no value of it.
fn among(value: &str, values: &[Literal], data_type: &DataType) -> String {
    if values.is_empty() {
        return "false".to_owned();
    }
    let literals: Vec<String> =
        values.iter().map(|literal| format!("TRY_CAST({} AS {data_type})", sql::text(literal.as_str()))).collect();
    format!("coalesce({value} IN ({}), false)", literals.join(", "))
}

#[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
fn in_unit(unit: Unit, count: i64, total: i64) -> f64 {
    match unit {
        Unit::Rows => count as f64,
        Unit::Percent if total == 0 => 0.0,
        Unit::Percent => count as f64 * 100.0 / total as f64,
    }
}

/// Does work on a connection that is interrupted when it takes too long. Call it on a blocking thread of the runtime.
pub(crate) fn within<T>(connection: &Lent, limit: Duration, work: impl FnOnce() -> T) -> T {
    let Ok(runtime) = Handle::try_current() else { return work() };
    let stopper = Arc::new(Stopper::default());
    let (alive, gone) = oneshot::channel::<()>();
    stopper.begin(connection.interrupter());
    runtime.spawn(Arc::clone(&stopper).watch(Instant::now() + limit, gone, Box::pin(std::future::pending())));
    let done = work();
    // Under its lock: no interrupt comes after this.
    stopper.end();
    drop(alive);
    done
}
