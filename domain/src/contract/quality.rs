//! Rules of quality: what is measured, and what it must be.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::{Dimension, Quality, QualityKind};
use crate::check::MAX_PATTERN;
use crate::filter::Literal;
use crate::names::ColumnName;
use crate::ontology::DocumentError;
use crate::schema::Column;

/// Most values that an argument lists.
const MAX_VALUES: usize = 1_000;
/// Longest query, in bytes.
const MAX_QUERY: usize = 20_000;

/// A rule that a table's rows are held to.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityRule {
    /// By what it is called: its id, its name, or its place in the document.
    pub name: String,
    /// Its place in the document, as a JSON Pointer.
    pub place: String,
    /// What it is for.
    pub description: Option<String>,
    /// What is measured.
    pub metric: Metric,
    /// In rows, or in percent of them.
    pub unit: Unit,
    /// What it must be.
    pub expected: Expectation,
    /// What happens when it isn't.
    pub severity: Severity,
    /// Which quality it is about, in the standard's words.
    pub dimension: Option<&'static str>,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// Rows in which the column is NULL.
    NullValues(ColumnName),
    /// Rows in which the column holds one of the values that mean "missing".
    MissingValues {
        /// The column.
        column: ColumnName,
        /// The values.
        values: Vec<Literal>,
        /// Whether NULL is one of them.
        null: bool,
    },
    /// Rows in which the column holds neither NULL nor a value that is valid.
    InvalidValues {
        /// The column.
        column: ColumnName,
        /// The valid values; none allows all.
        values: Option<Vec<Literal>>,
        /// A regular expression (RE2) that valid text matches.
        pattern: Option<String>,
    },
    /// Rows whose value is longer than the property allows, or breaks what its `logicalTypeOptions` say.
    Options(Box<Column>),
    /// Rows whose values in these columns another row has, too. NULL is like nothing else.
    DuplicateValues(Vec<ColumnName>),
    /// Rows of the table.
    RowCount,
    /// What a query answers.
    Sql {
        /// The query; `{object}` is the table and `{property}` the column.
        query: String,
        /// The column, if the rule stands at one.
        column: Option<ColumnName>,
    },
}

impl Metric {
    /// Whether it tells rows apart one by one: then it is measured on those that are written. Any other is measured on
    /// the whole table.
    pub fn is_of_rows(&self) -> bool {
        matches!(self, Self::NullValues(_) | Self::MissingValues { .. } | Self::InvalidValues { .. } | Self::Options(_))
    }

    /// Its word in the standard.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NullValues(_) => "nullValues",
            Self::MissingValues { .. } => "missingValues",
            Self::InvalidValues { .. } => "invalidValues",
            Self::Options(_) => "logicalTypeOptions",
            Self::DuplicateValues(_) => "duplicateValues",
            Self::RowCount => "rowCount",
            Self::Sql { .. } => "sql",
        }
    }

    /// The columns it looks at, but for those within a query.
    pub fn columns(&self) -> Vec<&ColumnName> {
        match self {
            Self::NullValues(column) | Self::MissingValues { column, .. } | Self::InvalidValues { column, .. } => {
                vec![column]
            }
            Self::Options(column) => vec![&column.name],
            Self::DuplicateValues(columns) => columns.iter().collect(),
            Self::RowCount => Vec::new(),
            Self::Sql { column, .. } => column.iter().collect(),
        }
    }
}

/// How a measure is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// In rows, or as a query answers it.
    Rows,
    /// In percent of the table's rows; none of none are 0 %.
    Percent,
}

/// What happens when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The write goes through, and the breach is recorded.
    Warning,
    /// The write is refused.
    Error,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a measure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expectation {
    /// `mustBe`
    Equal(f64),
    /// `mustNotBe`
    NotEqual(f64),
    /// `mustBeGreaterThan`
    Greater(f64),
    /// `mustBeGreaterOrEqualTo`
    GreaterOrEqual(f64),
    /// `mustBeLessThan`
    Less(f64),
    /// `mustBeLessOrEqualTo`
    LessOrEqual(f64),
    /// `mustBeBetween`: greater than the first and less than the second, as the standard has it.
    Between(f64, f64),
    /// `mustNotBeBetween`
    NotBetween(f64, f64),
}

impl Expectation {
    /// Whether a measure is as it must be.
    #[expect(clippy::float_cmp, reason = "counts are whole numbers, and what is asked for is exactly that")]
    pub fn is_met(self, measured: f64) -> bool {
        match self {
            Self::Equal(value) => measured == value,
            Self::NotEqual(value) => measured != value,
            Self::Greater(value) => measured > value,
            Self::GreaterOrEqual(value) => measured >= value,
            Self::Less(value) => measured < value,
            Self::LessOrEqual(value) => measured <= value,
            Self::Between(low, high) => measured > low && measured < high,
            Self::NotBetween(low, high) => !(measured > low && measured < high),
        }
    }

    /// In words: `must be less than 5`.
    pub fn told(self) -> String {
        match self {
            Self::Equal(value) => format!("must be {value}"),
            Self::NotEqual(value) => format!("must not be {value}"),
            Self::Greater(value) => format!("must be greater than {value}"),
            Self::GreaterOrEqual(value) => format!("must be at least {value}"),
            Self::Less(value) => format!("must be less than {value}"),
            Self::LessOrEqual(value) => format!("must be at most {value}"),
            Self::Between(low, high) => format!("must be between {low} and {high}"),
            Self::NotBetween(low, high) => format!("must not be between {low} and {high}"),
        }
    }
}

/// Reads a rule; `None` for what only people or other tools carry out (`text`, `custom`).
pub(super) fn rule(
    quality: &Quality,
    column: Option<&ColumnName>,
    path: &str,
) -> Result<Option<QualityRule>, DocumentError> {
    let metric = match quality.kind {
        Some(QualityKind::Text | QualityKind::Custom) => return Ok(None),
        Some(QualityKind::Sql) => sql(quality, column, path)?,
        Some(QualityKind::Library) | None => library(quality, column, path)?,
    };
    let unit = match quality.unit.as_deref() {
        Some("percent" | "%") if !matches!(metric, Metric::RowCount | Metric::Sql { .. }) => Unit::Percent,
        Some("percent" | "%") => return Err(wrong(path, "unit", "a count of rows is in rows")),
        _ => Unit::Rows,
    };
    let severity = match quality.severity.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("error" | "critical" | "fatal" | "high") => Severity::Error,
        Some(_) => Severity::Warning,
    };
    let given = quality.id.as_ref().or(quality.name.as_ref());
    let name = given.map_or_else(|| path.to_owned(), |name| name.chars().take(200).collect());
    Ok(Some(QualityRule {
        name,
        place: path.to_owned(),
        description: quality.description.clone(),
        metric,
        unit,
        expected: expectation(quality, path)?,
        severity,
        dimension: quality.dimension.map(dimension),
    }))
}

fn wrong(path: &str, member: &str, problem: impl Into<String>) -> DocumentError {
    DocumentError::new(format!("{path}/{member}"), problem)
}

fn sql(quality: &Quality, column: Option<&ColumnName>, path: &str) -> Result<Metric, DocumentError> {
    let query = quality.query.clone().ok_or_else(|| wrong(path, "query", "is missing"))?;
    if query.len() > MAX_QUERY || query.trim().is_empty() {
        return Err(wrong(path, "query", format!("has 1 to {MAX_QUERY} bytes")));
    }
    Ok(Metric::Sql { query, column: column.cloned() })
}

fn library(quality: &Quality, column: Option<&ColumnName>, path: &str) -> Result<Metric, DocumentError> {
    let Some(word) = quality.metric.as_ref().or(quality.rule.as_ref()) else {
        return Err(wrong(path, "metric", "is missing; or say type: sql, text or custom"));
    };
    let empty = Map::new();
    let arguments = quality.arguments.as_ref().unwrap_or(&empty);
    let of_column = || {
        column.cloned().ok_or_else(|| wrong(path, "metric", format!("{word} stands at a property, not at the object")))
    };
    let known = |names: &[&str]| match arguments.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(wrong(path, &format!("arguments/{name}"), format!("{word} has no such argument"))),
        None => Ok(()),
    };
    match word.as_str() {
        "nullValues" => {
            known(&[])?;
            Ok(Metric::NullValues(of_column()?))
        }
        "missingValues" => {
            known(&["missingValues"])?;
            let given = values(arguments, "missingValues", path)?;
            let (values, null) = given.unwrap_or_else(|| (vec![Literal::new("")], true));
            Ok(Metric::MissingValues { column: of_column()?, values, null })
        }
        "invalidValues" => {
            known(&["validValues", "pattern"])?;
            let column = of_column()?;
            let values = values(arguments, "validValues", path)?.map(|(values, _)| values);
            let pattern = pattern(arguments, path)?;
            if values.is_none() && pattern.is_none() {
                return Err(wrong(path, "arguments", "invalidValues needs validValues or a pattern"));
            }
            Ok(Metric::InvalidValues { column, values, pattern })
        }
        "duplicateValues" => {
            known(&["properties"])?;
            match (column, arguments.get("properties")) {
                (Some(column), None) => Ok(Metric::DuplicateValues(vec![column.clone()])),
                (_, Some(Value::Array(names))) if !names.is_empty() => {
                    let parse = |name: &Value| name.as_str().and_then(|name| ColumnName::parse(name).ok());
                    let columns: Option<Vec<ColumnName>> = names.iter().map(parse).collect();
                    let refuse = || wrong(path, "arguments/properties", "must be names of properties");
                    Ok(Metric::DuplicateValues(columns.ok_or_else(refuse)?))
                }
                _ => Err(wrong(path, "arguments/properties", "must be a list of properties")),
            }
        }
        "rowCount" if column.is_none() => {
            known(&[])?;
            Ok(Metric::RowCount)
        }
        "rowCount" => Err(wrong(path, "metric", "rowCount stands at the object, not at a property")),
        _ => {
            let words = "nullValues, missingValues, invalidValues, duplicateValues or rowCount";
            Err(wrong(path, "metric", format!("must be {words}")))
        }
    }
}

type Values = (Vec<Literal>, bool);

fn values(arguments: &Map<String, Value>, name: &str, path: &str) -> Result<Option<Values>, DocumentError> {
    let place = format!("arguments/{name}");
    let Some(given) = arguments.get(name) else { return Ok(None) };
    let list = given.as_array().filter(|list| list.len() <= MAX_VALUES);
    let list = list.ok_or_else(|| wrong(path, &place, format!("must be a list of at most {MAX_VALUES} values")))?;
    let (mut values, mut null) = (Vec::new(), false);
    for value in list {
        match value {
            Value::Null => null = true,
            Value::String(text) => values.push(Literal::new(text.as_str())),
            Value::Number(_) | Value::Bool(_) => values.push(Literal::new(value.to_string())),
            _ => return Err(wrong(path, &place, "may list texts, numbers, true, false and null")),
        }
    }
    Ok(Some((values, null)))
}

fn pattern(arguments: &Map<String, Value>, path: &str) -> Result<Option<String>, DocumentError> {
    let Some(given) = arguments.get("pattern") else { return Ok(None) };
    let text = given.as_str().filter(|text| text.len() <= MAX_PATTERN && !text.contains('\0'));
    let refuse = || wrong(path, "arguments/pattern", format!("must be text of at most {MAX_PATTERN} bytes"));
    text.map(|text| Some(text.to_owned())).ok_or_else(refuse)
}

fn expectation(quality: &Quality, path: &str) -> Result<Expectation, DocumentError> {
    let number = |name: &str, value: &Value| match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| wrong(path, name, "must be a number")),
        // A query may answer true or false.
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        _ => Err(wrong(path, name, "must be a number")),
    };
    let mut found = Vec::new();
    if let Some(value) = &quality.must_be {
        found.push(Expectation::Equal(number("mustBe", value)?));
    }
    if let Some(value) = &quality.must_not_be {
        found.push(Expectation::NotEqual(number("mustNotBe", value)?));
    }
    found.extend(quality.must_be_greater_than.map(Expectation::Greater));
    found.extend(quality.must_be_greater_or_equal_to.map(Expectation::GreaterOrEqual));
    found.extend(quality.must_be_less_than.map(Expectation::Less));
    found.extend(quality.must_be_less_or_equal_to.map(Expectation::LessOrEqual));
    for (range, name, is_between) in
        [(quality.must_be_between, "mustBeBetween", true), (quality.must_not_be_between, "mustNotBeBetween", false)]
    {
        let Some([low, high]) = range else { continue };
        if low >= high {
            return Err(wrong(path, name, "names the smaller number first"));
        }
        found.push(if is_between { Expectation::Between(low, high) } else { Expectation::NotBetween(low, high) });
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(DocumentError::new(path, "says nothing that the measure must be: mustBe, mustBeLessThan, …")),
        _ => Err(DocumentError::new(path, "says several things that the measure must be; make a rule of each")),
    }
}

fn dimension(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Accuracy => "accuracy",
        Dimension::Completeness => "completeness",
        Dimension::Conformity => "conformity",
        Dimension::Consistency => "consistency",
        Dimension::Coverage => "coverage",
        Dimension::Timeliness => "timeliness",
        Dimension::Uniqueness => "uniqueness",
    }
}
