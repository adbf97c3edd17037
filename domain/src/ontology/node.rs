//! Reading parts of a document, with the place of each for errors.

use serde_json::{Map, Value};

use super::{DocumentError, MAX_VERSION};
use crate::check::{Bound, Checks};
use crate::filter::Literal;
use crate::names::{ColumnName, TableName};
use crate::schema::{DefaultValue, SchemaError};
use crate::types::DataType;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 10_000;

/// An object within a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) members: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Node<'a> {
    pub(super) fn root(members: &'a Map<String, Value>) -> Self {
        Self { members, path: "" }
    }

    /// The object at a place.
    pub(super) fn at(value: &'a Value, path: &'a str) -> Result<Self, DocumentError> {
        let members = value.as_object().ok_or_else(|| DocumentError::new(path, "must be an object"))?;
        Ok(Self { members, path })
    }

    pub(super) fn path(&self) -> &str {
        self.path
    }

    /// The place of a member.
    pub(super) fn place(&self, name: &str) -> String {
        join(self.path, name)
    }

    pub(super) fn error(&self, name: &str, problem: impl Into<String>) -> DocumentError {
        DocumentError::new(self.place(name), problem)
    }

    /// A member; null counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, DocumentError> {
        let read = |value: &'a Value| value.as_str().ok_or_else(|| self.error(name, "must be text"));
        self.get(name).map(read).transpose()
    }

    pub(super) fn required_text(&self, name: &str) -> Result<&'a str, DocumentError> {
        self.text(name)?.ok_or_else(|| self.error(name, "is missing"))
    }

    pub(super) fn truth(&self, name: &str) -> Result<Option<bool>, DocumentError> {
        let read = |value: &Value| value.as_bool().ok_or_else(|| self.error(name, "must be true or false"));
        self.get(name).map(read).transpose()
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, DocumentError> {
        let read = |value: &Value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| self.error(name, "must be a whole number from 0"))
        };
        self.get(name).map(read).transpose()
    }

    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], DocumentError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.error(name, "must be a list")),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<&'a str>, DocumentError> {
        let read = |(index, value): (usize, &'a Value)| {
            let place = || join(&self.place(name), &index.to_string());
            value.as_str().ok_or_else(|| DocumentError::new(place(), "must be text"))
        };
        self.list(name)?.iter().enumerate().map(read).collect()
    }

    pub(super) fn description(&self, name: &str) -> Result<Option<String>, DocumentError> {
        let text = self.text(name)?;
        Ok(text.map(|text| text.chars().take(MAX_DESCRIPTION).collect::<String>()).filter(|text| !text.is_empty()))
    }

    /// A stated version: text or a number.
    pub(super) fn version(&self, name: &str) -> Result<Option<String>, DocumentError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(self.error(name, "must be text or a number")),
        };
        if text.is_empty() || text.len() > MAX_VERSION || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.error(name, format!("must be 1 to {MAX_VERSION} printable ASCII characters")));
        }
        Ok(Some(text))
    }

    pub(super) fn column_name(&self, name: &str) -> Result<ColumnName, DocumentError> {
        ColumnName::parse(self.required_text(name)?).map_err(|error| self.error(name, error.to_string()))
    }

    pub(super) fn column_names(&self, name: &str) -> Result<Vec<ColumnName>, DocumentError> {
        let parse = |text: &str| ColumnName::parse(text).map_err(|error| self.error(name, error.to_string()));
        self.texts(name)?.into_iter().map(parse).collect()
    }

    pub(super) fn table_name(&self, name: &str, text: &str) -> Result<TableName, DocumentError> {
        TableName::parse(text).map_err(|error| self.error(name, error.to_string()))
    }

    /// A type in DuckDB's words.
    pub(super) fn data_type(&self, name: &str, text: &str) -> Result<DataType, DocumentError> {
        DataType::parse(text).map_err(|error| self.error(name, error.to_string()))
    }

    /// A default given as a JSON value.
    pub(super) fn default(&self, name: &str) -> Result<Option<DefaultValue>, DocumentError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text == "NULL" => Err(self.error(name, "the text NULL can't be a default")),
            Some(Value::String(text)) => Ok(Some(DefaultValue::stored(text.clone()))),
            Some(scalar @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(DefaultValue::stored(scalar.to_string()))),
            Some(_) => Err(self.error(name, "only a text, a number, true or false can be a default")),
        }
    }

    /// A list of values, such as those of an enumeration. Null among them is left out and told.
    pub(super) fn values(&self, name: &str) -> Result<(Vec<Literal>, bool), DocumentError> {
        let (mut values, mut null) = (Vec::new(), false);
        for (index, value) in self.list(name)?.iter().enumerate() {
            match value {
                Value::Null => null = true,
                value => values.push(scalar(value).ok_or_else(|| {
                    DocumentError::new(
                        join(&self.place(name), &index.to_string()),
                        "must be a text, a number, true or false",
                    )
                })?),
            }
        }
        Ok((values, null))
    }

    /// A single value.
    pub(super) fn one(&self, name: &str) -> Result<Vec<Literal>, DocumentError> {
        let value = self
            .get(name)
            .map(|value| scalar(value).ok_or_else(|| self.error(name, "must be a text, a number, true or false")));
        Ok(value.transpose()?.into_iter().collect())
    }

    /// `minimum`, `exclusiveMinimum`, `maximum`, `exclusiveMaximum`, `minLength` and `pattern`: JSON Schema and ODCS call
    /// them the same.
    pub(super) fn checks(&self) -> Result<Checks, DocumentError> {
        Ok(Checks {
            one_of: Vec::new(),
            pattern: self.text("pattern")?.map(ToOwned::to_owned),
            min_length: self.count("minLength")?.filter(|least| *least > 0),
            minimum: self.bound("minimum", "exclusiveMinimum")?,
            maximum: self.bound("maximum", "exclusiveMaximum")?,
        })
    }

    fn bound(&self, inclusive: &str, exclusive: &str) -> Result<Option<Bound>, DocumentError> {
        let value =
            |name: &str, value: &Value| scalar(value).ok_or_else(|| self.error(name, "must be a number or text"));
        match (self.get(inclusive), self.get(exclusive)) {
            // Older drafts, and ODCS before 3.1, say by `true` that the other one is outside.
            (Some(end), Some(Value::Bool(exclusive))) => {
                Ok(Some(Bound { value: value(inclusive, end)?, exclusive: *exclusive }))
            }
            (None, Some(Value::Bool(_)) | None) => Ok(None),
            (Some(_), Some(_)) => Err(self.error(exclusive, format!("can't be given beside {inclusive}"))),
            (Some(end), None) => Ok(Some(Bound { value: value(inclusive, end)?, exclusive: false })),
            (None, Some(end)) => Ok(Some(Bound { value: value(exclusive, end)?, exclusive: true })),
        }
    }

    /// What the columns together are refused for.
    pub(super) fn schema_error(&self, name: &str, error: &SchemaError) -> DocumentError {
        self.error(name, error.to_string())
    }
}

/// A place within a place, as a JSON Pointer.
pub(super) fn join(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn scalar(value: &Value) -> Option<Literal> {
    match value {
        Value::String(text) => Some(Literal::new(text.as_str())),
        Value::Number(_) | Value::Bool(_) => Some(Literal::new(value.to_string())),
        _ => None,
    }
}
