//! A contract in force, and what measuring it found.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{DataContract, Expectation, QualityRule, Severity, Unit};
use crate::ids::{RequestId, SnapshotId};
use crate::names::ColumnName;
use crate::schema::{Column, TableSchema};
use crate::types::DataType;

/// Most rows that are shown of those that break a rule.
pub const MAX_SAMPLES: usize = 5;
/// Results of checks that are kept of a table.
pub const MAX_RESULTS: u32 = 1_000;
/// Versions of a contract that are kept of a table.
pub const MAX_VERSIONS: u32 = 100;
/// Largest contract, in bytes of JSON: its commit carries it.
pub const MAX_DOCUMENT: usize = 256 << 10;

/// What is said of a query that answers NULL, or nothing.
pub const NO_NUMBER: &str = "the query answered no number";

/// A contract that a table is held to. Two are the same if they were put by the same commit.
#[derive(Debug, Clone)]
pub struct HeldContract {
    /// The snapshot that put it in force.
    pub since: SnapshotId,
    /// What it says.
    pub contract: DataContract,
}

impl PartialEq for HeldContract {
    fn eq(&self, other: &Self) -> bool {
        self.since == other.since
    }
}

impl Eq for HeldContract {}

/// A version of a table's contract, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredContract {
    /// The snapshot that put it in force.
    pub since: SnapshotId,
    /// When.
    pub put_at: DateTime<Utc>,
    /// Whose key or token it was; none for an admin's key.
    pub put_by: Option<String>,
    /// The snapshot that another one, or none, took its place in; none while it is in force.
    pub until: Option<SnapshotId>,
    /// What the table was called then: of several objects in the document, it is the one of this name.
    pub object: String,
    /// The document.
    pub document: Value,
}

/// What one rule found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The rule's name.
    pub rule: String,
    /// What was measured, in the standard's word.
    pub metric: String,
    /// The columns it looks at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnName>,
    /// The quality it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<String>,
    /// What a breach means.
    pub severity: Severity,
    /// What was measured; none if that wasn't a number.
    pub measured: Option<f64>,
    /// `rows` or `percent`.
    pub unit: Unit,
    /// What it must be, as the contract has it: `{"mustBe": 0}`.
    pub expected: Value,
    /// Whether it is so.
    pub met: bool,
    /// Why it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

// A measure is never NaN.
impl Eq for Measure {}

impl Measure {
    /// What was measured for a rule.
    pub fn of(rule: &QualityRule, measured: Option<f64>) -> Self {
        let measured = measured.filter(|value| value.is_finite());
        Self {
            rule: rule.name.clone(),
            metric: rule.metric.as_str().to_owned(),
            columns: rule.metric.columns().into_iter().cloned().collect(),
            dimension: rule.dimension.map(str::to_owned),
            severity: rule.severity,
            measured,
            unit: rule.unit,
            expected: rule.expected.to_json(),
            met: measured.is_some_and(|measured| rule.expected.is_met(measured)),
            problem: measured.is_none().then(|| NO_NUMBER.to_owned()),
        }
    }

    /// A rule that could not be measured: it counts as broken.
    pub fn failed(rule: &QualityRule, problem: String) -> Self {
        Self { problem: Some(problem), ..Self::of(rule, None) }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|_| json!({ "rule": self.rule }))
    }
}

/// A rule that rows break, with some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What was found.
    pub measure: Measure,
    /// Some of the rows, as JSON objects: at most [`MAX_SAMPLES`].
    pub samples: Vec<Value>,
}

impl Breach {
    /// A table whose columns aren't what the contract promises.
    pub fn of_shape(problem: String) -> Self {
        let measure = Measure {
            rule: "schema".to_owned(),
            metric: "schema".to_owned(),
            columns: Vec::new(),
            dimension: Some("conformity".to_owned()),
            severity: Severity::Error,
            measured: None,
            unit: Unit::Rows,
            expected: Value::Object(Map::new()),
            met: false,
            problem: Some(problem),
        };
        Self { measure, samples: Vec::new() }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let mut told = self.measure.to_json();
        if let Some(told) = told.as_object_mut().filter(|_| !self.samples.is_empty()) {
            told.insert("samples".to_owned(), json!(self.samples));
        }
        told
    }
}

/// What led to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody asked for it.
    Check,
    /// A write that went through, in spite of warnings.
    Written,
    /// A write that was refused.
    Refused,
}

impl Occasion {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Written => "written",
            Self::Refused => "refused",
        }
    }

    /// The occasion of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Check, Self::Written, Self::Refused].into_iter().find(|occasion| occasion.as_str() == word)
    }
}

/// What a look at a table's contract found. It holds no rows: those can be purged, and a result stays.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractResult {
    /// When.
    pub at: DateTime<Utc>,
    /// What led to it.
    pub occasion: Occasion,
    /// The snapshot that put the contract in force.
    pub contract: SnapshotId,
    /// The snapshot that was looked at, or made; none of a refused write.
    pub snapshot: Option<SnapshotId>,
    /// The request behind it.
    pub request_id: RequestId,
    /// What the rules found: all of a check, the broken ones of a write.
    pub measures: Vec<Measure>,
    /// What came of the service levels; of a check only.
    pub service_levels: Vec<LevelReport>,
}

impl ContractResult {
    /// Whether all that was looked at is as promised. What can't be measured isn't broken.
    pub fn passed(&self) -> bool {
        self.measures.iter().all(|measure| measure.met || measure.severity == Severity::Warning)
            && self.service_levels.iter().all(|level| level.met != Some(false))
    }
}

/// A result as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedResult {
    /// Its place: grows with time.
    pub number: u64,
    /// The result.
    pub result: ContractResult,
}

/// What came of a promise about the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelReport {
    /// The promise.
    pub property: String,
    /// Its value.
    pub value: Value,
    /// Its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The column that it is measured by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// What was measured: seconds, or a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Value>,
    /// Whether it is kept; none where Gadwall can't tell.
    pub met: Option<bool>,
    /// In words.
    pub detail: String,
}

impl Expectation {
    /// As the contract has it.
    pub fn to_json(self) -> Value {
        match self {
            Self::Equal(value) => json!({ "mustBe": number(value) }),
            Self::NotEqual(value) => json!({ "mustNotBe": number(value) }),
            Self::Greater(value) => json!({ "mustBeGreaterThan": number(value) }),
            Self::GreaterOrEqual(value) => json!({ "mustBeGreaterOrEqualTo": number(value) }),
            Self::Less(value) => json!({ "mustBeLessThan": number(value) }),
            Self::LessOrEqual(value) => json!({ "mustBeLessOrEqualTo": number(value) }),
            Self::Between(low, high) => json!({ "mustBeBetween": [number(low), number(high)] }),
            Self::NotBetween(low, high) => json!({ "mustNotBeBetween": [number(low), number(high)] }),
        }
    }
}

/// A whole number without a point.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

impl DataContract {
    /// What of the promised columns a table lacks. More columns than promised are fine, and so are types all of whose
    /// values the promised one holds.
    pub fn misfits(&self, table: &TableSchema) -> Vec<String> {
        let promised = self.terms.schema.table().columns().iter();
        promised.filter_map(|column| misfit(column, table)).collect()
    }
}

fn misfit(promised: &Column, table: &TableSchema) -> Option<String> {
    let name = &promised.name;
    let Some(column) = table.column(name) else { return Some(format!("column {name} is missing")) };
    let (has, wants) = (column.data_type.without_lengths(), promised.data_type.without_lengths());
    if fits(&has, &wants) {
        return None;
    }
    Some(format!("column {name} is {}, and {} is promised", has.spelling(), wants.spelling()))
}

/// Whether values of a type are what a promised one means. `BIGINT`, `DOUBLE`, `TIMESTAMP` and `JSON` are what a logical
/// type of the standard is read as, which means its whole family.
fn fits(has: &DataType, wants: &DataType) -> bool {
    use DataType::{
        BigInt, Decimal, Double, Float, Integer, Json, SmallInt, Timestamp, TimestampMs, TimestampNs, TimestampS,
        TimestampTz, TinyInt, UBigInt, UInteger, USmallInt, UTinyInt,
    };
    let whole = matches!(has, TinyInt | SmallInt | Integer | BigInt | UTinyInt | USmallInt | UInteger | UBigInt);
    match wants {
        BigInt if whole => true,
        Double if whole || matches!(has, Decimal { .. } | Float | Double) => true,
        Timestamp if matches!(has, Timestamp | TimestampS | TimestampMs | TimestampNs | TimestampTz) => true,
        Json if has.is_nested() => true,
        _ => has == wants || has.widens_to(wants).is_ok(),
    }
}
