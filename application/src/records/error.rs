//! How governed tables and records refuse.

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::names::{ColumnName, TableName};
use gadwall_domain::ontology::{Obstacle, RecordError, SchemaId};
use gadwall_domain::table::TableRef;
use serde_json::{Value, json};
use thiserror::Error;

use super::evolution::Evolution;

/// The entity whose records older clients call projects.
const PROJECTS: &str = "projects";

/// Why a governed table or record can't be had or changed.
#[derive(Debug, Error)]
pub enum GovernedError {
    /// The table isn't made yet.
    #[error("table {0} isn't there yet; POST /ops/initialize or POST /admin/tables makes it from its schema")]
    NotInitialized(TableRef),
    /// No such record.
    #[error("{} not found", if .0.as_str() == PROJECTS { "Project".to_owned() } else { format!("a record of {}", .0) })]
    NoRecord(TableName),
    /// A record isn't one.
    #[error("{}{source}", row_hint(*.row))]
    Record {
        /// Which of the request, from 1.
        row: u64,
        /// Why.
        source: RecordError,
    },
    /// Nothing fills a column that the schema requires.
    #[error("nothing fills {}, which the schema requires", names(.0))]
    CannotBeFilled(Vec<ColumnName>),
    /// More records than a request may bring, or none.
    #[error("a request brings 1 to {max} records, not {count}")]
    TooMany {
        /// How many it brought.
        count: usize,
        /// How many it may.
        max: usize,
    },
    /// Records can't be named by one value.
    #[error("records of {0} can't be named by one value: its primary key doesn't have exactly one column")]
    NoSingleKey(TableRef),
    /// The table isn't of a schema.
    #[error("table {0} doesn't follow a schema; name one: schema=<id>")]
    NotGoverned(TableRef),
    /// The schema is of another table.
    #[error("schema {id} is of a table {name}")]
    OtherTable {
        /// The schema.
        id: SchemaId,
        /// Its table.
        name: String,
    },
    /// No change of the table makes it what the schema wants.
    #[error("table {table} can't become what its schema wants: {}", first(.obstacles))]
    Obstacles {
        /// The table.
        table: TableRef,
        /// What stands in the way.
        obstacles: Vec<Obstacle>,
    },
    /// Others can't go on as before, and the caller didn't say that this is meant.
    #[error("this evolution of table {} is breaking; repeat it with allow_breaking=true if that is meant", .0.table)]
    Breaking(Box<Evolution>),
}

fn row_hint(row: u64) -> String {
    if row > 1 { format!("record {row}: ") } else { String::new() }
}

fn names(columns: &[ColumnName]) -> String {
    columns.iter().map(ColumnName::as_str).collect::<Vec<_>>().join(", ")
}

fn first(obstacles: &[Obstacle]) -> &str {
    obstacles.first().map_or("", |obstacle| obstacle.reason.as_str())
}

impl Classify for GovernedError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotInitialized(_) | Self::Obstacles { .. } | Self::Breaking(_) => ErrorKind::Conflict,
            Self::NoRecord(_) | Self::OtherTable { .. } | Self::NotGoverned(_) => ErrorKind::NotFound,
            Self::CannotBeFilled(_) => ErrorKind::Invalid,
            Self::Record { source, .. } => source.kind(),
            Self::TooMany { .. } | Self::NoSingleKey(_) => ErrorKind::Unprocessable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotInitialized(_) => "not_initialized",
            Self::NoRecord(_) => "record_not_found",
            Self::Record { source, .. } => source.code(),
            Self::CannotBeFilled(_) => "required_column_missing",
            Self::TooMany { .. } => "validation_failed",
            Self::NoSingleKey(_) => "no_single_key",
            Self::NotGoverned(_) => "table_not_governed",
            Self::OtherTable { .. } => "schema_of_other_table",
            Self::Obstacles { .. } => "schema_obstacles",
            Self::Breaking(_) => "breaking_change",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Breaking(evolution) => Some(json!({
                "table": evolution.table.to_string(),
                "schema_version": evolution.to.version,
                "affected": evolution.affected.to_json(),
            })),
            _ => None,
        }
    }

    fn findings(&self) -> Vec<Value> {
        match self {
            Self::Record { row, source } => {
                let mut found = source.findings();
                for finding in &mut found {
                    finding["row"] = json!(row);
                }
                found
            }
            Self::CannotBeFilled(columns) => {
                let told = |column: &ColumnName| json!({ "row": 1, "column": column.as_str(), "reason": "is missing" });
                columns.iter().map(told).collect()
            }
            Self::Obstacles { obstacles, .. } => obstacles.iter().map(super::evolution::obstacle_json).collect(),
            Self::Breaking(evolution) => evolution.plan.steps.iter().map(super::evolution::step_json).collect(),
            _ => Vec::new(),
        }
    }
}
