//! Schemas of an ontology: what a table that it governs looks like, and what its records are held to.
//!
//! The documents of an ontology server come in three forms, all read into the same [`OntologySchema`]: a plain list of
//! columns, JSON Schema 2020-12, and the `schema` section of an Open Data Contract (ODCS 3.1.0).

mod builtin;
mod columns;
mod evolve;
mod json_schema;
mod node;
mod odcs;
mod record;
#[cfg(test)]
mod tests;
mod versions;

use std::fmt;

use serde_json::{Value, json};
use thiserror::Error;

use crate::error::{Classify, ErrorKind};
use crate::names::{ColumnName, TableName};
use crate::schema::{Column, SchemaError, TableSchema};

pub use builtin::{builtin, builtin_document};
pub use evolve::{Obstacle, Plan, Step, Surplus};
pub use record::{Filled, Reading, Record, RecordChange, RecordError, RefusedRecords};
pub use versions::{GovernedTable, KnownVersion, SchemaVersion};

/// Longest id of a schema, in characters.
pub const MAX_ID: usize = 128;
/// Longest version of a schema, in characters.
pub const MAX_VERSION: usize = 64;

/// The name under which an ontology server has a schema: `[A-Za-z0-9_.-]`, not starting with a dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(String);

impl SchemaId {
    /// Parses an id.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if text.is_empty() || text.len() > MAX_ID || text.starts_with('.') || !text.bytes().all(legal) {
            let shown: String = text.chars().take(40).collect();
            let rule = format!("use 1 to {MAX_ID} of A-Z a-z 0-9 _ . -, not starting with a dot");
            return Err(DocumentError::new("", format!("{shown:?} is not the id of a schema: {rule}")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table as an ontology defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OntologySchema {
    /// The table's name.
    pub name: TableName,
    /// What it is for.
    pub description: Option<String>,
    /// The version that the document states, if it states one.
    pub version: Option<String>,
    /// Its fields, in order.
    fields: Vec<Field>,
    /// The table that they make.
    table: TableSchema,
}

/// A field of a record, and the column that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The column.
    pub column: Column,
    /// What it is for.
    pub description: Option<String>,
    /// Names that it had in earlier versions.
    pub aliases: Vec<ColumnName>,
    /// What Gadwall fills in where a record doesn't say.
    pub fill: Option<Fill>,
}

impl Field {
    /// A field of a column, without more.
    pub fn new(column: Column) -> Self {
        Self { column, description: None, aliases: Vec::new(), fill: None }
    }
}

/// What Gadwall fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// A random UUID, when the record is made.
    Uuid,
    /// The day (UTC) on which the record is made.
    Today,
    /// The time (UTC) at which the record is made.
    Created,
    /// The time (UTC) at which the record was last written.
    Written,
}

impl Fill {
    /// The words for it.
    pub(crate) const WORDS: &'static str = "must be uuid, today, created or written";

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "uuid" => Self::Uuid,
            "today" => Self::Today,
            "created" => Self::Created,
            "written" => Self::Written,
            _ => return None,
        })
    }
}

/// Why a document is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct DocumentError {
    /// Where, as a JSON Pointer (RFC 6901); empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl DocumentError {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

impl Classify for DocumentError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_schema_document"
    }

    fn details(&self) -> Option<Value> {
        (!self.path.is_empty()).then(|| json!({ "path": self.path }))
    }
}

impl OntologySchema {
    /// Puts fields together. An empty key means none, unless a UUID that Gadwall fills in is there: then that is it.
    pub fn new(name: TableName, fields: Vec<Field>, key: Vec<ColumnName>) -> Result<Self, SchemaError> {
        let made = |field: &&Field| field.fill == Some(Fill::Uuid);
        let key = match fields.iter().find(made) {
            Some(field) if key.is_empty() => vec![field.column.name.clone()],
            _ => key,
        };
        let table = TableSchema::new(fields.iter().map(|field| field.column.clone()).collect(), key)?;
        Ok(Self { name, description: None, version: None, fields, table })
    }

    /// Reads a document in any of the forms. `id` names the table where the document doesn't.
    pub fn parse(id: &SchemaId, document: &Value) -> Result<Self, DocumentError> {
        let Some(object) = document.as_object() else {
            return Err(DocumentError::new("", "a schema is a JSON object"));
        };
        if object.contains_key("columns") {
            columns::parse(object)
        } else if object.get("kind").is_some_and(|kind| kind == "DataContract") || object.contains_key("apiVersion") {
            odcs::parse(id, object)
        } else if object.contains_key("properties") || object.contains_key("$schema") || object.contains_key("$ref") {
            json_schema::parse(id, document)
        } else {
            let forms = "columns (a list), properties (JSON Schema), or kind: DataContract (ODCS)";
            Err(DocumentError::new("", format!("it is in none of the known forms: it has no {forms}")))
        }
    }

    /// Reads one object of a contract's schema section; `path` is its place in the document.
    pub(crate) fn of_contract(object: &Value, path: &str) -> Result<Self, DocumentError> {
        odcs::object(node::Node::at(object, path)?)
    }

    /// The fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of that name.
    pub fn field(&self, name: &ColumnName) -> Option<&Field> {
        self.fields.iter().find(|field| field.column.name == *name)
    }

    /// The table that the fields make.
    pub fn table(&self) -> &TableSchema {
        &self.table
    }
}
