//! All rules of a contract, measured on a table as it is.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use gadwall_domain::contract::{Breach, Measure, Metric, QualityRule};
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::{Measured, Measuring};
use gadwall_domain::query::QueryError;
use gadwall_domain::types::DataType;

use super::{Looked, measure_query, within};
use crate::error::{Failure, Scrub, classify, message, query_error};
use crate::known::Known;
use crate::query::lake_failed;
use crate::root::Lent;
use crate::{sql, structure};

/// Measures a table within a time. Each rule that can't be measured says so by itself.
pub(crate) fn measure(
    connection: &Lent,
    scrub: &Scrub,
    lake: LakeId,
    known: &Known,
    measuring: &Measuring,
    timeout: Duration,
) -> Result<Measured, QueryError> {
    let began = Instant::now();
    within(connection, timeout, || {
        let failed = |error: &duckdb::Error| {
            let limit = (began.elapsed() >= timeout).then_some(timeout);
            query_error(error, scrub, &sql::catalog(lake), limit)
        };
        // What is measured is of one snapshot, which the version names: a statement that fails ends no transaction then.
        let snapshot = structure::head(connection, lake).map_err(lake_failed)?;
        known.saw(snapshot);
        let version = snapshot.get();
        let value = |name: &ColumnName| sql::ident(name.as_str());
        let looked = Looked {
            connection,
            relation: format!("{} AT (VERSION => {version})", sql::table(lake, &measuring.table)),
            value: &value,
            schema: &measuring.schema,
            row: None,
        };
        let rules = measuring.schema.contract().map(|held| held.contract.terms.rules.as_slice()).unwrap_or_default();
        let of = |rule: &QualityRule| -> Result<Breach, QueryError> {
            let one = [rule];
            let measured = match &rule.metric {
                Metric::Sql { .. } => Ok(measure_query(connection, scrub, lake, &measuring.table, Some(version), rule)),
                metric if metric.is_of_rows() => looked
                    .counts(&one, None)
                    .map(|mut counts| looked.breaches(&one, &counts.pop().unwrap_or_default()).remove(0)),
                _ => looked.whole(&one, |_| None).map(|mut found| found.remove(0)),
            };
            if began.elapsed() >= timeout {
                return Err(QueryError::Timeout(timeout));
            }
            match measured {
                Err(error) if classify(&error) == Failure::Statement => {
                    let problem = scrub.apply(&message(&error), &sql::catalog(lake));
                    Ok(Breach { measure: Measure::failed(rule, problem), samples: Vec::new() })
                }
                measured => measured.map_err(|error| failed(&error)),
            }
        };
        // Together if that works, as it mostly does.
        let of_rows: Vec<&QualityRule> = rules.iter().filter(|rule| rule.metric.is_of_rows()).collect();
        let together = if of_rows.is_empty() { None } else { looked.counts(&of_rows, None).ok() };
        let mut counted = together
            .map(|mut counts| looked.breaches(&of_rows, &counts.pop().unwrap_or_default()))
            .unwrap_or_default()
            .into_iter();
        let mut found = Vec::with_capacity(rules.len());
        for rule in rules {
            let known = if rule.metric.is_of_rows() { counted.next() } else { None };
            found.push(match known {
                Some(known) => known,
                None => of(rule)?,
            });
        }
        let times = times(&looked, measuring).map_err(|error| failed(&error))?;
        Ok(Measured { snapshot, rules: found, times })
    })
}

type Span = Option<(DateTime<Utc>, DateTime<Utc>)>;

/// The earliest and the latest time of columns that hold times.
fn times(looked: &Looked<'_>, measuring: &Measuring) -> duckdb::Result<Vec<Span>> {
    let spans = measuring.times.iter().map(|name| {
        use DataType::{Date, Timestamp, TimestampMs, TimestampNs, TimestampS, TimestampTz};
        let data_type = measuring.schema.column(name).map(|column| &column.data_type);
        if !matches!(data_type, Some(Date | Timestamp | TimestampMs | TimestampNs | TimestampS | TimestampTz)) {
            return Ok(None);
        }
        let value = sql::ident(name.as_str());
        let statement = format!(
            "SELECT epoch_us(CAST(min({value}) AS TIMESTAMP)), epoch_us(CAST(max({value}) AS TIMESTAMP)) FROM {}",
            looked.relation
        );
        let read: (Option<i64>, Option<i64>) =
            looked.connection.query_row(&statement, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let time = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
        Ok(time(read.0).zip(time(read.1)))
    });
    spans.collect()
}
