//! The shape of a table: columns, their defaults, and the primary key.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::check::Checks;
use crate::contract::HeldContract;
use crate::error::{Classify, ErrorKind};
use crate::names::ColumnName;
use crate::types::DataType;

/// Most columns of a table.
pub const MAX_COLUMNS: usize = 2_000;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, unique within the table.
    pub name: ColumnName,
    /// Its type, with the length if one was declared.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What a row gets that doesn't mention the column.
    pub default: Option<DefaultValue>,
    /// What its values are held to beside its type.
    #[serde(default, skip_serializing_if = "Checks::is_empty")]
    pub checks: Checks,
}

impl Column {
    /// A column that may be NULL, without a default.
    pub fn new(name: ColumnName, data_type: DataType) -> Self {
        Self { name, data_type, nullable: true, default: None, checks: Checks::default() }
    }
}

/// A column's default: a literal, because it must mean the same in every snapshot.
///
/// Holds the value as text, without quotes; the column's type says how to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DefaultValue(String);

impl DefaultValue {
    /// Parses a SQL literal: a number, `'text'`, `TRUE` or `FALSE`. `NULL` means "no default".
    pub fn parse(text: &str) -> Result<Option<Self>, SchemaError> {
        let text = text.trim();
        let refuse = || SchemaError::Default(text.chars().take(60).collect());
        if text.eq_ignore_ascii_case("null") {
            return Ok(None);
        }
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Ok(Some(Self(text.to_ascii_lowercase())));
        }
        if let Some(inner) = text.strip_prefix('\'') {
            let inner = inner.strip_suffix('\'').ok_or_else(refuse)?;
            let unescaped = inner.replace("''", "");
            // The lake spells "no default" as the word NULL and couldn't tell it from the text.
            if unescaped.contains(['\'', '\0']) || inner == "NULL" {
                return Err(refuse());
            }
            return Ok(Some(Self(inner.replace("''", "'"))));
        }
        let numeric = text.parse::<f64>().is_ok_and(f64::is_finite)
            && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        if numeric { Ok(Some(Self(text.to_owned()))) } else { Err(refuse()) }
    }

    /// Wraps a value read back from storage.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The literal that gives this default to a column of the type: what [`DefaultValue::parse`] takes.
    pub fn literal(&self, data_type: &DataType) -> String {
        use DataType::{
            BigInt, Boolean, Decimal, Double, Float, Integer, SmallInt, TinyInt, UBigInt, UInteger, USmallInt, UTinyInt,
        };
        let bare = matches!(
            data_type,
            Boolean
                | TinyInt
                | SmallInt
                | Integer
                | BigInt
                | UTinyInt
                | USmallInt
                | UInteger
                | UBigInt
                | Float
                | Double
                | Decimal { .. }
        );
        if bare && Self::parse(&self.0).is_ok() { self.0.clone() } else { format!("'{}'", self.0.replace('\'', "''")) }
    }

    /// The value as text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The columns that identify a row: none is NULL, no two rows share their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrimaryKey(Vec<ColumnName>);

impl PrimaryKey {
    /// The key's columns, in the order they were declared.
    pub fn columns(&self) -> &[ColumnName] {
        &self.0
    }
}

/// A table's columns and key, checked against each other, and the contract that its rows are held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    columns: Vec<Column>,
    primary_key: Option<PrimaryKey>,
    contract: Option<Arc<HeldContract>>,
}

/// Why columns and key don't make a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// No columns.
    #[error("a table needs at least one column")]
    NoColumns,
    /// More than [`MAX_COLUMNS`].
    #[error("a table has at most {MAX_COLUMNS} columns, not {0}")]
    TooManyColumns(usize),
    /// Two columns share a name (without regard to case).
    #[error("column {0:?} appears twice; column names are unique without regard to case")]
    DuplicateColumn(String),
    /// The key names a column that isn't there, or one twice, or one that can't be a key.
    #[error("the primary key {reason}")]
    PrimaryKey {
        /// What is wrong with it.
        reason: String,
        /// The key as given.
        key: Vec<String>,
        /// The table's columns.
        columns: Vec<String>,
    },
    /// The default isn't a literal.
    #[error("default {0:?} is not a literal; use a number, 'text', TRUE, FALSE or NULL")]
    Default(String),
    /// A column's rules don't go with its type.
    #[error("the checks of column {column} are of no use: {reason}")]
    Checks {
        /// Which column.
        column: ColumnName,
        /// What is wrong with them.
        reason: String,
    },
}

impl Classify for SchemaError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoColumns | Self::TooManyColumns(_) => ErrorKind::Unprocessable,
            _ => ErrorKind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoColumns | Self::TooManyColumns(_) => "invalid_columns",
            Self::DuplicateColumn(_) => "duplicate_column",
            Self::PrimaryKey { .. } => "invalid_primary_key",
            Self::Default(_) => "invalid_default",
            Self::Checks { .. } => "invalid_checks",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::PrimaryKey { key, columns, .. } => Some(json!({ "primary_key": key, "columns": columns })),
            _ => None,
        }
    }
}

impl TableSchema {
    /// Checks columns and key. An empty key means none. Key columns become `NOT NULL`.
    pub fn new(columns: Vec<Column>, primary_key: Vec<ColumnName>) -> Result<Self, SchemaError> {
        if columns.is_empty() {
            return Err(SchemaError::NoColumns);
        }
        if columns.len() > MAX_COLUMNS {
            return Err(SchemaError::TooManyColumns(columns.len()));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(column.name.clone())) {
            return Err(SchemaError::DuplicateColumn(twice.name.to_string()));
        }
        for Column { name, data_type, checks, .. } in &columns {
            checks.fit(data_type).map_err(|reason| SchemaError::Checks { column: name.clone(), reason })?;
        }
        let mut schema = Self { columns, primary_key: None, contract: None };
        if !primary_key.is_empty() {
            schema.check_key(&primary_key)?;
            for column in &mut schema.columns {
                column.nullable &= !primary_key.contains(&column.name);
            }
            schema.primary_key = Some(PrimaryKey(primary_key));
        }
        Ok(schema)
    }

    fn check_key(&self, key: &[ColumnName]) -> Result<(), SchemaError> {
        let refuse = |reason: String| SchemaError::PrimaryKey {
            reason,
            key: key.iter().map(ToString::to_string).collect(),
            columns: self.columns.iter().map(|column| column.name.to_string()).collect(),
        };
        let mut seen = HashSet::new();
        for name in key {
            let Some(column) = self.column(name) else {
                return Err(refuse(format!("names {name:?}, which is not a column", name = name.as_str())));
            };
            if !seen.insert(name) {
                return Err(refuse(format!("names {:?} twice", name.as_str())));
            }
            let comparable = !matches!(
                column.data_type,
                DataType::Json | DataType::Geometry | DataType::Variant | DataType::Map(..)
            );
            if !comparable {
                return Err(refuse(format!(
                    "can't hold {:?}: values of {} have no single form",
                    name.as_str(),
                    column.data_type
                )));
            }
        }
        Ok(())
    }

    /// The same, held to a contract.
    #[must_use]
    pub fn held_to(self, contract: Option<Arc<HeldContract>>) -> Self {
        Self { contract, ..self }
    }

    /// The contract that rows are held to.
    pub fn contract(&self) -> Option<&Arc<HeldContract>> {
        self.contract.as_ref()
    }

    /// The columns in table order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of that name (any case).
    pub fn column(&self, name: &ColumnName) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The primary key, if the table has one.
    pub fn primary_key(&self) -> Option<&PrimaryKey> {
        self.primary_key.as_ref()
    }

    /// The names of the key's columns; empty without a key.
    pub fn key_columns(&self) -> &[ColumnName] {
        self.primary_key.as_ref().map_or(&[], PrimaryKey::columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: &str) -> Column {
        Column::new(ColumnName::parse(name).unwrap(), DataType::parse(data_type).unwrap())
    }

    fn names(names: &[&str]) -> Vec<ColumnName> {
        names.iter().map(|name| ColumnName::parse(name).unwrap()).collect()
    }

    #[test]
    fn key_columns_become_not_null() {
        let schema = TableSchema::new(vec![column("id", "INT"), column("v", "TEXT")], names(&["ID"])).unwrap();
        assert!(!schema.columns()[0].nullable);
        assert!(schema.columns()[1].nullable);
        assert_eq!(schema.key_columns(), names(&["id"]));
    }

    #[test]
    fn columns_and_key_must_fit_together() {
        let code = |columns, key: &[&str]| TableSchema::new(columns, names(key)).unwrap_err().code();
        assert_eq!(code(vec![], &[]), "invalid_columns");
        assert_eq!(code(vec![column("a", "INT"), column("A", "INT")], &[]), "duplicate_column");
        assert_eq!(code(vec![column("a", "INT")], &["b"]), "invalid_primary_key");
        assert_eq!(code(vec![column("a", "INT")], &["a", "a"]), "invalid_primary_key");
        assert_eq!(code(vec![column("a", "JSON")], &["a"]), "invalid_primary_key");
    }

    #[test]
    fn a_default_is_a_literal() {
        let value = |text| DefaultValue::parse(text).unwrap().map(|default| default.as_str().to_owned());
        assert_eq!(value("'it''s'").as_deref(), Some("it's"));
        assert_eq!(value("-1.5e3").as_deref(), Some("-1.5e3"));
        assert_eq!(value("TRUE").as_deref(), Some("true"));
        assert_eq!(value("NULL"), None);
        for literal in ["'it''s'", "'5'", "''"] {
            let default = DefaultValue::parse(literal).unwrap().unwrap();
            assert_eq!(default.literal(&DataType::Varchar(None)), literal);
        }
        assert_eq!(DefaultValue::parse("1.5").unwrap().unwrap().literal(&DataType::Double), "1.5");
        for bad in ["'NULL'", "now()", "'a' || 'b'", "1; DROP TABLE x", "'", "inf", "", "''x'", "(SELECT 1)"] {
            assert!(DefaultValue::parse(bad).is_err(), "{bad}");
        }
    }
}
