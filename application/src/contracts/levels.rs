//! Promises about the service, and whether they are kept, as far as the table tells.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use gadwall_domain::contract::{DataContract, LevelReport, ServiceLevel};
use gadwall_domain::names::ColumnName;
use gadwall_domain::schema::TableSchema;
use serde_json::{Value, json};

/// What is known of a table.
pub(super) struct Facts<'a> {
    pub(super) now: DateTime<Utc>,
    /// When its rows last changed, if that is still known.
    pub(super) changed_at: Option<DateTime<Utc>>,
    /// Columns, and the earliest and latest time in each.
    pub(super) elements: &'a [ColumnName],
    pub(super) times: &'a [Option<(DateTime<Utc>, DateTime<Utc>)>],
}

/// The columns that the promises are measured by: `column`, or `table.column`.
pub(super) fn elements(contract: &DataContract, schema: &TableSchema) -> Vec<ColumnName> {
    let mut found: Vec<ColumnName> = Vec::new();
    for level in &contract.service_levels {
        let column = element(level).and_then(|name| schema.column(&name).map(|column| column.name.clone()));
        found.extend(column.filter(|column| !found.contains(column)));
    }
    found
}

fn element(level: &ServiceLevel) -> Option<ColumnName> {
    let named = level.element.as_deref()?.split(',').next()?.trim();
    ColumnName::parse(named.rsplit('.').next().unwrap_or(named)).ok()
}

/// What comes of one promise.
pub(super) fn report(level: &ServiceLevel, facts: &Facts<'_>) -> LevelReport {
    let found = match level.property.to_ascii_lowercase().as_str() {
        "freshness" | "latency" | "ly" => age(level, facts, newest(level, facts), "the newest row is"),
        "frequency" | "fy" => age(level, facts, facts.changed_at, "the rows last changed"),
        "retention" | "re" => oldest(level, facts),
        "generalavailability" | "ga" => date(level, facts, |now, date| now >= date),
        "endofsupport" | "es" | "endoflife" | "el" => date(level, facts, |now, date| now < date),
        _ => unknown("nothing in the table tells"),
    };
    LevelReport {
        property: level.property.clone(),
        value: level.value.clone(),
        unit: level.unit.clone(),
        element: level.element.clone(),
        measured: found.measured,
        met: found.met,
        detail: found.detail,
    }
}

struct Found {
    measured: Option<Value>,
    met: Option<bool>,
    detail: String,
}

fn unknown(detail: impl Into<String>) -> Found {
    Found { measured: None, met: None, detail: detail.into() }
}

fn times(level: &ServiceLevel, facts: &Facts<'_>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let name = element(level)?;
    let index = facts.elements.iter().position(|known| *known == name)?;
    *facts.times.get(index)?
}

/// The latest time of the column that is named; without one, that of the last change.
fn newest(level: &ServiceLevel, facts: &Facts<'_>) -> Option<DateTime<Utc>> {
    if level.element.is_some() { times(level, facts).map(|(_, last)| last) } else { facts.changed_at }
}

fn age(level: &ServiceLevel, facts: &Facts<'_>, since: Option<DateTime<Utc>>, what: &str) -> Found {
    let Some(since) = since else { return unknown("there is no time to measure it by") };
    let Some(most) = duration(level) else { return unknown("its value and unit are no span of time") };
    let age = (facts.now - since).max(TimeDelta::zero());
    Found {
        measured: Some(json!(age.num_seconds())),
        met: Some(age <= most),
        detail: format!("{what} {} s ago; {} s are promised", age.num_seconds(), most.num_seconds()),
    }
}

/// How far back rows go. That older ones are gone isn't told by those that are there.
fn oldest(level: &ServiceLevel, facts: &Facts<'_>) -> Found {
    match times(level, facts) {
        Some((first, _)) => {
            let age = (facts.now - first).max(TimeDelta::zero()).num_seconds();
            Found { measured: Some(json!(age)), met: None, detail: format!("the oldest row is {age} s old") }
        }
        None => unknown("name a column of times as its element"),
    }
}

fn date(level: &ServiceLevel, facts: &Facts<'_>, holds: impl Fn(DateTime<Utc>, DateTime<Utc>) -> bool) -> Found {
    let text = level.value.as_str().unwrap_or_default().trim();
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc)).ok();
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    match time.or_else(day) {
        Some(time) => Found {
            measured: Some(json!(facts.now.to_rfc3339())),
            met: Some(holds(facts.now, time)),
            detail: format!("it is {} now", facts.now.format("%Y-%m-%d")),
        },
        None => unknown("its value is no date"),
    }
}

fn duration(level: &ServiceLevel) -> Option<TimeDelta> {
    let value = level.value.as_f64().or_else(|| level.value.as_str()?.trim().parse().ok())?;
    let seconds = match level.unit.as_deref().unwrap_or("d").to_ascii_lowercase().as_str() {
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        "mo" | "month" | "months" => 2_629_746.0,
        "y" | "yr" | "year" | "years" => 31_556_952.0,
        _ => return None,
    };
    let total = value * seconds;
    #[expect(clippy::cast_possible_truncation, reason = "it is within bounds")]
    (total.is_finite() && total.abs() < 1e12).then(|| TimeDelta::milliseconds((total * 1_000.0) as i64))
}
