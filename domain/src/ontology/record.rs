//! Records as clients write them, completed by what the schema has Gadwall fill in.
//!
//! Values keep the text they came as, so that no digit is lost. Whether they fit is for the table to say: it holds records
//! to the same rules as all other rows.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::Uuid;

use super::{Field, Fill, OntologySchema};
use crate::check::Check;
use crate::error::{Classify, ErrorKind};
use crate::filter::{Json, Members};
use crate::names::ColumnName;
use crate::schema::Column;
use crate::types::DataType;

/// What becomes of members of a record that the schema doesn't have, and of those that Gadwall fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// What the schema doesn't have is refused; what Gadwall fills in may be given.
    Exact,
    /// Both are left out, as older clients expect.
    Lenient,
}

/// What Gadwall fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Identifies a record.
    pub uuid: Uuid,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A record that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its JSON text.
    pub json: String,
    /// Required fields that nothing fills.
    pub missing: Vec<ColumnName>,
    /// The key's columns, by name.
    pub key: Map<String, Value>,
    /// Fields whose values break a rule that can be told from the text alone, and how.
    pub findings: Vec<(ColumnName, String)>,
}

/// New values of a record's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// An object of columns and values, as JSON text.
    pub json: String,
    /// As [`Record::findings`].
    pub findings: Vec<(ColumnName, String)>,
}

/// Why a text is no record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It isn't an object.
    #[error("a record is a JSON object: {0}")]
    NotAnObject(String),
    /// It has a member that the schema doesn't have.
    #[error("the schema has no field {0:?}")]
    UnknownField(String),
    /// A member is there twice, in different case.
    #[error("field {0:?} is there twice")]
    Twice(String),
    /// A member that Gadwall alone writes, in a change.
    #[error("field {0:?} is written by the server alone")]
    NotForClients(String),
    /// A change that changes nothing.
    #[error("the change is empty; name at least one field and its new value")]
    Empty,
}

impl Classify for RecordError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unprocessable
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownField(_) => "unknown_field",
            Self::NotForClients(_) => "read_only_field",
            _ => "validation_failed",
        }
    }

    fn findings(&self) -> Vec<Value> {
        let field = match self {
            Self::UnknownField(field) | Self::Twice(field) | Self::NotForClients(field) => field,
            Self::NotAnObject(_) | Self::Empty => return Vec::new(),
        };
        vec![serde_json::json!({ "row": 1, "column": field, "reason": self.to_string() })]
    }
}

/// Texts of a request that are no records: the first ones, by their numbers from 1; none if there is nothing at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRecords(pub Vec<(u64, RecordError)>);

impl fmt::Display for RefusedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            None => f.write_str("a request brings at least one record"),
            Some((1, error)) => error.fmt(f),
            Some((row, error)) => write!(f, "record {row}: {error}"),
        }
    }
}

impl std::error::Error for RefusedRecords {}

impl Classify for RefusedRecords {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unprocessable
    }

    fn code(&self) -> &'static str {
        self.0.first().map_or("validation_failed", |(_, error)| error.code())
    }

    fn findings(&self) -> Vec<Value> {
        let told = |(row, error): &(u64, RecordError)| {
            let mut found = error.findings();
            if found.is_empty() {
                found.push(serde_json::json!({ "reason": error.to_string() }));
            }
            for finding in &mut found {
                finding["row"] = (*row).into();
            }
            found
        };
        self.0.iter().flat_map(told).collect()
    }
}

impl Fill {
    /// The value, as JSON has it.
    fn value(self, filled: &Filled) -> Value {
        match self {
            Self::Uuid => filled.uuid.to_string().into(),
            Self::Today => filled.now.date_naive().to_string().into(),
            Self::Created | Self::Written => filled.now.naive_utc().format("%Y-%m-%dT%H:%M:%S%.6f").to_string().into(),
        }
    }
}

impl Record {
    /// Completes a new record.
    pub fn complete(
        text: &str,
        schema: &OntologySchema,
        reading: Reading,
        filled: &Filled,
    ) -> Result<Self, RecordError> {
        let given = members(text, schema, reading)?;
        let (mut missing, mut key, mut findings) = (Vec::new(), Map::new(), Vec::new());
        let mut json = String::with_capacity(text.len() + 128);
        json.push('{');
        for field in schema.fields() {
            let column = &field.column;
            let given = given.iter().find(|(known, _)| known.column.name == column.name).map(|(_, text)| *text);
            let given = given.filter(|_| !is_servers(field, reading));
            findings.extend(given.and_then(|text| broken(text, column)));
            let text = match (given, field.fill) {
                (Some(text), _) => Some(fitted(text, &column.data_type)),
                (None, Some(fill)) => Some(Cow::Owned(fill.value(filled).to_string())),
                (None, None) => None,
            };
            if text.is_none() && !column.nullable && column.default.is_none() {
                missing.push(column.name.clone());
            }
            let Some(text) = text else { continue };
            if schema.table().key_columns().contains(&column.name) {
                key.insert(column.name.to_string(), serde_json::from_str(&text).unwrap_or_default());
            }
            if json.len() > 1 {
                json.push(',');
            }
            push_name(column.name.as_str(), &mut json);
            json.push_str(&text);
        }
        json.push('}');
        Ok(Self { json, missing, key, findings })
    }

    /// Completes a change of a record: an object of fields and new values.
    pub fn change(text: &str, schema: &OntologySchema, filled: &Filled) -> Result<RecordChange, RecordError> {
        let given = members(text, schema, Reading::Exact)?;
        if given.is_empty() {
            return Err(RecordError::Empty);
        }
        let (mut json, mut findings) = (Vec::new(), Vec::new());
        for (field, text) in given {
            let column = &field.column;
            if field.fill.is_some() || schema.table().key_columns().contains(&column.name) {
                return Err(RecordError::NotForClients(column.name.to_string()));
            }
            findings.extend(broken(text, column));
            json.push(format!("{}:{}", Value::from(column.name.as_str()), fitted(text, &column.data_type)));
        }
        for field in schema.fields().iter().filter(|field| field.fill == Some(Fill::Written)) {
            let value = Fill::Written.value(filled);
            json.push(format!("{}:{value}", Value::from(field.column.name.as_str())));
        }
        Ok(RecordChange { json: format!("{{{}}}", json.join(",")), findings })
    }
}

/// The first rule of its column that a text breaks. The table holds values to all of them; it is told here so that it is
/// told beside what doesn't even have the column's type. What can't be told for sure from the text is left to the table.
fn broken(text: &str, column: &Column) -> Option<(ColumnName, String)> {
    column.checks.each().next()?;
    let words = matches!(column.data_type, DataType::Varchar(_) | DataType::Char(_));
    let given: String = if words { serde_json::from_str(text).ok()? } else { text.to_owned() };
    let number = |text: &str| text.parse::<f64>().ok().filter(|_| !words);
    let apart = |less: &str, more: &str| {
        // Doubles that are so far apart are of numbers that are.
        number(less).zip(number(more)).is_some_and(|(less, more)| more - less > 1e-9 * (less.abs() + more.abs() + 1.0))
    };
    let breaks = |check: &Check<'_>| match check {
        Check::OneOf(values) => words && values.iter().all(|value| value.as_str() != given),
        Check::MinLength(least) => words && given.chars().count() < *least as usize,
        Check::Minimum(bound) => apart(&given, bound.value.as_str()),
        Check::Maximum(bound) => apart(bound.value.as_str(), &given),
        Check::Pattern(_) => false,
    };
    let check = column.checks.each().find(breaks)?;
    let shown: String = given.chars().take(60).collect();
    Some((column.name.clone(), format!("{shown:?} {}", check.reason())))
}

/// Whether only Gadwall says what a field is.
fn is_servers(field: &Field, reading: Reading) -> bool {
    match field.fill {
        None => false,
        Some(Fill::Written) => true,
        Some(_) => reading == Reading::Lenient,
    }
}

/// The members of an object by the fields that they are.
fn members<'s, 't>(
    text: &'t str,
    schema: &'s OntologySchema,
    reading: Reading,
) -> Result<Vec<(&'s Field, &'t str)>, RecordError> {
    let Json::Object(Members(object)) = Json::read(text).map_err(RecordError::NotAnObject)? else {
        return Err(RecordError::NotAnObject("it is something else".to_owned()));
    };
    let mut found: Vec<(&Field, &str)> = Vec::with_capacity(object.len().min(schema.fields().len()));
    for (name, value) in object {
        let field = ColumnName::parse(&name).ok().and_then(|name| schema.field(&name));
        match (field, reading) {
            (Some(field), _) if found.iter().any(|(known, _)| known.column.name == field.column.name) => {
                return Err(RecordError::Twice(name));
            }
            (Some(field), _) => found.push((field, value.get())),
            (None, Reading::Lenient) => {}
            (None, Reading::Exact) => return Err(RecordError::UnknownField(name.chars().take(60).collect())),
        }
    }
    Ok(found)
}

/// A value as its column takes it: decimals are rounded to their scale, half away from zero.
fn fitted<'t>(text: &'t str, data_type: &DataType) -> Cow<'t, str> {
    match data_type {
        DataType::Decimal { scale, .. } => rounded(text, usize::from(*scale)).map_or(Cow::Borrowed(text), Cow::Owned),
        _ => Cow::Borrowed(text),
    }
}

/// Adds a member's name, with its colon.
fn push_name(name: &str, json: &mut String) {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        json.push('"');
        json.push_str(name);
        json.push('"');
    } else {
        json.push_str(&Value::from(name).to_string());
    }
    json.push(':');
}

/// A plain number with more digits after the point than it may have, rounded; none for anything else.
fn rounded(text: &str, scale: usize) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.')?;
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) || fraction.len() <= scale {
        return None;
    }
    let mut kept: Vec<u8> = whole.bytes().chain(fraction.bytes().take(scale)).collect();
    if fraction.as_bytes()[scale] >= b'5' {
        let mut place = kept.len();
        loop {
            match place.checked_sub(1) {
                None => {
                    kept.insert(0, b'1');
                    break;
                }
                Some(before) if kept[before] == b'9' => {
                    kept[before] = b'0';
                    place = before;
                }
                Some(before) => {
                    kept[before] += 1;
                    break;
                }
            }
        }
    }
    let kept = String::from_utf8(kept).ok()?;
    let (whole, fraction) = kept.split_at(kept.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use serde_json::json;

    use super::*;
    use crate::ontology::builtin;

    fn filled() -> Filled {
        Filled { uuid: Uuid::from_u128(7), now: Utc.with_ymd_and_hms(2026, 3, 4, 5, 6, 7).unwrap() }
    }

    fn complete(text: &str, reading: Reading) -> Result<Record, RecordError> {
        Record::complete(text, &builtin().1, reading, &filled())
    }

    const FULL: &str = r#"{"project_name":"x","total_amount":999999999999999999.994,"maturity_years":1,
        "expected_tri":8.567,"dscr":-0.005}"#;

    #[test]
    fn what_the_server_knows_is_filled_in_and_no_digit_lost() {
        let record = complete(FULL, Reading::Exact).unwrap();
        assert_eq!(
            record.json,
            concat!(
                r#"{"project_id":"00000000-0000-0000-0000-000000000007","project_name":"x","#,
                r#""total_amount":999999999999999999.99,"maturity_years":1,"expected_tri":8.57,"dscr":-0.01,"#,
                r#""creation_date":"2026-03-04","last_updated":"2026-03-04T05:06:07.000000"}"#
            )
        );
        assert!(record.missing.is_empty());
        assert_eq!(Value::from(record.key), json!({ "project_id": "00000000-0000-0000-0000-000000000007" }));
    }

    #[test]
    fn what_is_missing_is_named() {
        let record = complete(r#"{"dscr":1}"#, Reading::Exact).unwrap();
        let missing: Vec<&str> = record.missing.iter().map(ColumnName::as_str).collect();
        assert_eq!(missing, ["project_name", "total_amount", "maturity_years", "expected_tri"]);
    }

    #[test]
    fn strangers_are_refused_or_left_out() {
        let text = r#"{"project_id":"x","nope":1,"creation_date":"2020-01-01"}"#;
        assert_eq!(complete(text, Reading::Exact), Err(RecordError::UnknownField("nope".to_owned())));
        let record = complete(text, Reading::Lenient).unwrap();
        assert!(record.json.contains("000000000007") && record.json.contains("2026-03-04"), "{}", record.json);
        let given = complete(r#"{"Project_ID":"x","last_updated":"2020-01-01T00:00:00"}"#, Reading::Exact).unwrap();
        assert_eq!(given.key["project_id"], "x");
        assert!(!given.json.contains("2020"), "when it was written is known here");
        for (text, error) in [
            ("[]", RecordError::NotAnObject("it is something else".to_owned())),
            (r#"{"dscr":1,"DSCR":2}"#, RecordError::Twice("DSCR".to_owned())),
        ] {
            assert_eq!(complete(text, Reading::Lenient), Err(error));
        }
        assert!(matches!(complete("{", Reading::Exact), Err(RecordError::NotAnObject(_))));
        assert!(matches!(complete(r#"{"a":1,"a":2}"#, Reading::Lenient), Err(RecordError::NotAnObject(_))));
    }

    #[test]
    fn a_change_names_what_changes_and_when() {
        let schema = builtin().1;
        let change = Record::change(r#"{"dscr":1.005}"#, &schema, &filled()).unwrap();
        assert_eq!(change.json, r#"{"dscr":1.01,"last_updated":"2026-03-04T05:06:07.000000"}"#);
        assert_eq!(Record::change("{}", &schema, &filled()), Err(RecordError::Empty));
        for name in ["project_id", "creation_date"] {
            let refused = Record::change(&format!(r#"{{"{name}":"x"}}"#), &schema, &filled());
            assert_eq!(refused, Err(RecordError::NotForClients(name.to_owned())));
        }
    }

    #[test]
    fn broken_rules_are_told_where_the_text_tells_them() {
        let told = |text: &str| complete(text, Reading::Exact).unwrap().findings;
        let found = told(r#"{"status":"BAD","project_name":"","currency_code":"1"}"#);
        let found: Vec<String> = found.into_iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
        let expected = [
            "project_name: \"\" is shorter than 1 characters",
            "status: \"BAD\" is not one of PROPOSED, ACTIVE, COMPLETED",
        ];
        assert_eq!(found, expected);
        assert!(told(r#"{"status":null,"project_name":7}"#).is_empty());
        let bounded = json!({ "columns": [
            { "name": "n", "type": "DECIMAL(38,10)", "minimum": 0, "exclusiveMaximum": 100 },
            { "name": "d", "type": "DATE", "minimum": "2020-01-01" },
        ] });
        let schema = OntologySchema::parse(&crate::ontology::SchemaId::parse("t").unwrap(), &bounded).unwrap();
        let told = |n: &str| {
            let text = format!("{{\"n\":{n},\"d\":\"1999-01-01\"}}");
            Record::complete(&text, &schema, Reading::Exact, &filled()).unwrap().findings.len()
        };
        for (n, count) in [("-1", 1), ("-0.001", 1), ("0", 0), ("-1e-10", 0), ("100", 0), ("100.1", 1), ("\"x\"", 0)] {
            assert_eq!(told(n), count, "{n}");
        }
    }

    #[test]
    fn decimals_are_rounded_half_away_from_zero() {
        for (text, scale, expected) in [
            ("8.567", 2, "8.57"),
            ("8.564", 2, "8.56"),
            ("999.995", 2, "1000.00"),
            ("-999.995", 2, "-1000.00"),
            ("0.5", 0, "1"),
            ("9.99", 0, "10"),
            ("-0.004", 2, "-0.00"),
        ] {
            assert_eq!(rounded(text, scale).as_deref(), Some(expected), "{text}");
        }
        for text in ["8", "8.5", "8.50", "1e3", "1.2345e3", "\"8.567\"", "true", ".555", "8."] {
            assert_eq!(rounded(text, 2), None, "{text}");
        }
    }
}
