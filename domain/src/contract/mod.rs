//! Data contracts: what a producer promises of a table, as an Open Data Contract (ODCS 3.1.0).

mod document;
mod held;
mod quality;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::names::ColumnName;
use crate::ontology::{DocumentError, OntologySchema};
use crate::schema::Column;
use document::{Document, Object};

pub use held::{
    Breach, ContractResult, HeldContract, LevelReport, LoggedResult, MAX_DOCUMENT, MAX_RESULTS, MAX_SAMPLES,
    MAX_VERSIONS, Measure, NO_NUMBER, Occasion, StoredContract,
};
pub use quality::{Expectation, Metric, QualityRule, Severity, Unit};

/// Most rules of a table.
pub const MAX_RULES: usize = 500;

/// A contract, as far as Gadwall acts on it.
#[derive(Debug, Clone, PartialEq)]
pub struct DataContract {
    /// Its id.
    pub id: String,
    /// Its version, as its author counts.
    pub version: String,
    /// Where it stands: `proposed`, `draft`, `active`, `deprecated`, `retired`, or another word.
    pub status: String,
    /// Its name.
    pub name: Option<String>,
    /// What is promised of the table.
    pub terms: Terms,
    /// Promises about the service.
    pub service_levels: Vec<ServiceLevel>,
}

/// What is promised of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Its columns.
    pub schema: OntologySchema,
    /// Its quality.
    pub rules: Vec<QualityRule>,
}

/// A promise about the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLevel {
    /// What it is about: `latency`, `frequency`, `retention`, `availability`, …
    pub property: String,
    /// The promise.
    pub value: Value,
    /// Its unit.
    pub unit: Option<String>,
    /// The column, or table and column, that it is measured by.
    pub element: Option<String>,
}

impl DataContract {
    /// Reads a document. Of several objects it is the one named as the table, else the only one.
    pub fn parse(table: &str, document: &Value) -> Result<Self, DocumentError> {
        if !document.is_object() {
            return Err(DocumentError::new("", "a contract is an object"));
        }
        let read: Document = serde_path_to_error::deserialize(document).map_err(|error| {
            let path = error.path().to_string();
            DocumentError::new(pointer(&path), error.into_inner().to_string())
        })?;
        if !read.api_version.starts_with("v3.") {
            let shown: String = read.api_version.chars().take(20).collect();
            return Err(DocumentError::new("/apiVersion", format!("{shown:?} is not understood; use v3.1.0")));
        }
        for (place, text) in [("/id", &read.id), ("/version", &read.version), ("/status", &read.status)] {
            if text.trim().is_empty() || text.chars().count() > 200 {
                return Err(DocumentError::new(place, "has 1 to 200 characters"));
            }
        }
        let index = chosen(table, &read.schema)?;
        let path = format!("/schema/{index}");
        let no_object = || DocumentError::new("/schema", "holds no object");
        let object = document.pointer(&path).ok_or_else(no_object)?;
        let schema = OntologySchema::of_contract(object, &path)?;
        let rules = rules(&read.schema[index], &schema, &path)?;
        let level = |level: document::ServiceLevelProperty| ServiceLevel {
            property: level.property,
            value: level.value,
            unit: level.unit,
            element: level.element,
        };
        Ok(Self {
            id: read.id,
            version: read.version,
            status: read.status,
            name: read.name,
            terms: Terms { schema, rules },
            service_levels: read.sla_properties.into_iter().map(level).collect(),
        })
    }
}

/// `schema[0].name` as a JSON Pointer.
fn pointer(path: &str) -> String {
    if path == "." {
        return String::new();
    }
    format!("/{}", path.replace('[', ".").replace(']', "").replace('.', "/"))
}

fn chosen(table: &str, objects: &[Object]) -> Result<usize, DocumentError> {
    let named = |object: &Object| {
        let physical = object.physical_name.as_deref().map(|name| name.rsplit('.').next().unwrap_or(name));
        object.name.eq_ignore_ascii_case(table) || physical.is_some_and(|name| name.eq_ignore_ascii_case(table))
    };
    match (objects.iter().position(named), objects.len()) {
        (Some(index), _) => Ok(index),
        (None, 1) => Ok(0),
        (None, 0) => Err(DocumentError::new("/schema", "holds no object")),
        (None, _) => Err(DocumentError::new("/schema", format!("holds several objects, none named {table}"))),
    }
}

fn rules(object: &Object, schema: &OntologySchema, path: &str) -> Result<Vec<QualityRule>, DocumentError> {
    let mut rules = Vec::new();
    for (index, quality) in object.quality.iter().enumerate() {
        rules.extend(quality::rule(quality, None, &format!("{path}/quality/{index}"))?);
    }
    // A field of the schema was made of each property, in their order.
    for (index, (property, field)) in object.properties.iter().zip(schema.fields()).enumerate() {
        let (path, column) = (format!("{path}/properties/{index}"), &field.column.name);
        for (index, quality) in property.quality.iter().enumerate() {
            rules.extend(quality::rule(quality, Some(column), &format!("{path}/quality/{index}"))?);
        }
        rules.extend(promises(&field.column, &path));
        if property.unique == Some(true) {
            rules.push(unique(column, &path));
        }
    }
    if rules.len() > MAX_RULES {
        return Err(DocumentError::new(path, format!("has {} rules; {MAX_RULES} are allowed", rules.len())));
    }
    let unknown = rules.iter().find_map(|rule| {
        let column = rule.metric.columns().into_iter().find(|column| schema.field(column).is_none())?;
        Some((rule, column))
    });
    match unknown {
        Some((rule, column)) => {
            Err(DocumentError::new(path, format!("rule {} names {column}, which is not a property", rule.name)))
        }
        None => Ok(rules),
    }
}

/// What a property says of its values beside their type: rules like any other.
fn promises(column: &Column, place: &str) -> impl Iterator<Item = QualityRule> {
    let name = &column.name;
    let required = (!column.nullable)
        .then(|| none(format!("{name} is required"), Metric::NullValues(name.clone()), (place, "completeness")));
    let held = column.data_type.max_chars().is_some() || !column.checks.is_empty();
    let options = held.then(|| {
        none(
            format!("{name} keeps its logicalTypeOptions"),
            Metric::Options(Box::new(column.clone())),
            (place, "conformity"),
        )
    });
    required.into_iter().chain(options)
}

/// `unique: true` is a rule like any other.
fn unique(column: &ColumnName, place: &str) -> QualityRule {
    none(format!("{column} is unique"), Metric::DuplicateValues(vec![column.clone()]), (place, "uniqueness"))
}

/// That there is none of something.
fn none(name: String, metric: Metric, (place, dimension): (&str, &'static str)) -> QualityRule {
    QualityRule {
        name,
        place: place.to_owned(),
        description: None,
        metric,
        unit: Unit::Rows,
        expected: Expectation::Equal(0.0),
        severity: Severity::Error,
        dimension: Some(dimension),
    }
}
