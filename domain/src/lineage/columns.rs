//! Which columns come from which: the facets `columnLineage` (1-2-0) of outputs.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{EventError, MAX_FIELD, MAX_FIELDS, NodeName};

/// How one column comes from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Influence {
    /// Its values are made of the other's.
    Direct,
    /// The other says which rows there are, or in which order or groups.
    Indirect,
}

impl Influence {
    /// The word of the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "DIRECT",
            Self::Indirect => "INDIRECT",
        }
    }

    /// The influence of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Direct, Self::Indirect].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word))
    }
}

/// That a column of a dataset comes from a column of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnEdge {
    /// The dataset that is written.
    pub to: NodeName,
    /// Its column; none where it is so for all of them.
    pub to_field: Option<String>,
    /// The dataset that is read.
    pub from: NodeName,
    /// Its column.
    pub from_field: String,
    /// How.
    pub influence: Influence,
    /// What is done on the way, in the standard's words: `IDENTITY`, `AGGREGATION`, `FILTER`.
    pub transformation: Option<String>,
    /// The job that does it.
    pub job: NodeName,
    /// When that was told.
    pub at: DateTime<Utc>,
}

/// Who told of edges.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToldBy {
    /// A job.
    Job(NodeName),
    /// All jobs of a namespace.
    Namespace(String),
}

/// Edges to a dataset that don't hold any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// The dataset.
    pub to: NodeName,
    /// Who told of them.
    pub by: ToldBy,
    /// They were told before.
    pub before: DateTime<Utc>,
}

impl Outdated {
    /// Whether an edge is one of them.
    pub fn has(&self, edge: &ColumnEdge) -> bool {
        let by = match &self.by {
            ToldBy::Job(job) => edge.job == *job,
            ToldBy::Namespace(namespace) => edge.job.namespace() == namespace,
        };
        by && edge.to == self.to && edge.at < self.before
    }
}

/// The edges that a facet of an output tells.
pub(super) fn edges(
    facet: &Value,
    to: &NodeName,
    job: &NodeName,
    at: DateTime<Utc>,
    path: &str,
) -> Result<Vec<ColumnEdge>, EventError> {
    let wrong = |at: String, problem: &str| EventError { path: format!("{path}{at}"), problem: problem.to_owned() };
    let mut found = BTreeSet::new();
    let mut add = |to_field: Option<&str>, input: &Value, at_path: String| -> Result<(), EventError> {
        let text = |field: &str| input[field].as_str().unwrap_or_default();
        let from = NodeName::new(text("namespace"), text("name"));
        let from = from.map_err(|error| wrong(at_path.clone(), &error.to_string()))?;
        let from_field = text("field");
        for field in [Some(from_field), to_field].into_iter().flatten() {
            if field.is_empty() || field.len() > MAX_FIELD {
                return Err(wrong(at_path, "a field has a name of 1 to 512 bytes"));
            }
        }
        let none = Vec::new();
        let steps = input["transformations"].as_array().unwrap_or(&none);
        let mut edge = ColumnEdge {
            to: to.clone(),
            to_field: to_field.map(str::to_owned),
            from,
            from_field: from_field.to_owned(),
            influence: if to_field.is_some() { Influence::Direct } else { Influence::Indirect },
            transformation: None,
            job: job.clone(),
            at,
        };
        if steps.is_empty() {
            found.insert(edge.clone());
        }
        for step in steps {
            edge.influence = step["type"].as_str().and_then(Influence::parse).unwrap_or(edge.influence);
            edge.transformation = step["subtype"].as_str().map(|word| word.chars().take(64).collect());
            found.insert(edge.clone());
        }
        if found.len() > MAX_FIELDS { Err(wrong(String::new(), "it has too many edges")) } else { Ok(()) }
    };
    let fields = match &facet["fields"] {
        Value::Object(fields) => Some(fields),
        Value::Null => None,
        _ => return Err(wrong("/fields".to_owned(), "must be an object")),
    };
    for (field, told) in fields.into_iter().flatten() {
        let inputs = told["inputFields"].as_array();
        let inputs = inputs.ok_or_else(|| wrong(format!("/fields/{field}/inputFields"), "must be a list"))?;
        for (number, input) in inputs.iter().enumerate() {
            add(Some(field), input, format!("/fields/{field}/inputFields/{number}"))?;
        }
    }
    match &facet["dataset"] {
        Value::Null => {}
        Value::Array(inputs) => {
            for (number, input) in inputs.iter().enumerate() {
                add(None, input, format!("/dataset/{number}"))?;
            }
        }
        _ => return Err(wrong("/dataset".to_owned(), "must be a list")),
    }
    Ok(found.into_iter().collect())
}
