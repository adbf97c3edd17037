//! JSON Schema 2020-12: the properties of an object are columns.
//!
//! | JSON Schema | column |
//! |---|---|
//! | `string` | `VARCHAR`, `VARCHAR(maxLength)`; by `format`: `date`, `time`, `date-time` (`TIMESTAMP WITH TIME ZONE`), `uuid` |
//! | `string` with `contentEncoding: base64` | `BLOB` |
//! | `integer` | `BIGINT`; by `format`: `int32`, `int64`, … |
//! | `number` | `DOUBLE`; with `multipleOf` a power of ten, as 0.01: `DECIMAL` |
//! | `boolean` | `BOOLEAN` |
//! | `array` of items | a list |
//! | `object` with properties | `STRUCT`; with `additionalProperties` of a type: `MAP(VARCHAR, T)` |
//! | `T or null` (`type` as a list, `anyOf`, `oneOf`) | `T`, NULL allowed |
//! | anything else | `JSON` |
//!
//! Beside the standard's words, `x-duckdb-type` names a type, `x-primary-key: true` a key column, `x-aliases` earlier names,
//! and `x-fill` what Gadwall fills in (`uuid`, `today`, `created`, `written`).

use serde_json::{Map, Value};

use super::node::{Node, join};
use super::{DocumentError, Field, Fill, OntologySchema, SchemaId};
use crate::check::Checks;
use crate::names::ColumnName;
use crate::schema::{Column, MAX_COLUMNS};
use crate::types::DataType;

/// Deepest nesting, and longest chain of references.
const MAX_DEPTH: usize = 12;

pub(super) fn parse(id: &SchemaId, document: &Value) -> Result<OntologySchema, DocumentError> {
    let reader = Reader { document };
    let (root, path) = reader.follow(document, String::new(), 0)?;
    let root = Node::at(root, &path)?;
    let named = root.text("x-table")?.or(root.text("title")?.filter(|title| !title.contains(' ')));
    let name = root.table_name("title", named.unwrap_or(id.as_str()))?;
    let Some(Value::Object(properties)) = root.get("properties") else {
        return Err(root.error("properties", "a table needs an object with properties"));
    };
    if properties.len() > MAX_COLUMNS {
        return Err(root.error("properties", format!("a table has at most {MAX_COLUMNS} columns")));
    }
    let required = root.texts("required")?;
    if let Some(missing) = required.iter().find(|name| !properties.contains_key(**name)) {
        return Err(root.error("required", format!("names {missing:?}, which is not among the properties")));
    }
    let (mut fields, mut key) = (Vec::new(), Vec::new());
    let place = root.place("properties");
    for (name, value) in properties {
        let path = join(&place, name);
        let (field, is_key) = reader.field(name, value, &path, required.contains(&name.as_str()))?;
        if is_key {
            key.push(field.column.name.clone());
        }
        fields.push(field);
    }
    let schema = OntologySchema::new(name, fields, key).map_err(|error| root.schema_error("properties", &error))?;
    let version = if root.get("version").is_some() { root.version("version")? } else { root.version("x-version")? };
    Ok(OntologySchema { description: root.description("description")?, version, ..schema })
}

/// A type with what its values are held to.
struct Typed {
    data_type: DataType,
    nullable: bool,
    checks: Checks,
}

impl Typed {
    fn plain(data_type: DataType) -> Self {
        Self { data_type, nullable: false, checks: Checks::default() }
    }
}

struct Reader<'a> {
    document: &'a Value,
}

impl<'a> Reader<'a> {
    fn field(&self, name: &str, value: &'a Value, path: &str, required: bool) -> Result<(Field, bool), DocumentError> {
        let typed = self.typed(value, path.to_owned(), 0)?;
        let column_name = ColumnName::parse(name).map_err(|error| DocumentError::new(path, error.to_string()))?;
        let column = Column::new(column_name, typed.data_type);
        // `true` as a property's schema allows anything and says nothing.
        let Some(members) = value.as_object() else {
            return Ok((Field::new(Column { nullable: !required || typed.nullable, ..column }), false));
        };
        let node = Node::root(members);
        let at = |error: DocumentError| DocumentError::new(format!("{path}{}", error.path), error.problem);
        let fill = fill(&node, &column.data_type).map_err(at)?;
        let column = Column {
            nullable: !required || typed.nullable,
            default: node.default("default").map_err(at)?,
            checks: typed.checks,
            ..column
        };
        let aliases = node.column_names("x-aliases").map_err(at)?;
        let description = node.description("description").map_err(at)?;
        let is_key = node.truth("x-primary-key").map_err(at)?.unwrap_or(false);
        Ok((Field { column, description, aliases, fill }, is_key))
    }

    /// Goes along references within the document.
    fn follow(&self, value: &'a Value, path: String, depth: usize) -> Result<(&'a Value, String), DocumentError> {
        let Some(reference) = value.get("$ref") else { return Ok((value, path)) };
        let refuse = |problem: &str| Err(DocumentError::new(join(&path, "$ref"), problem));
        if depth >= MAX_DEPTH {
            return refuse("references go in a circle, or too deep");
        }
        let Some(pointer) = reference.as_str().and_then(|text| text.strip_prefix('#')) else {
            return refuse("only references within the document are followed: #/$defs/…");
        };
        match self.document.pointer(pointer) {
            Some(target) => self.follow(target, pointer.to_owned(), depth + 1),
            None => refuse("there is nothing at that place"),
        }
    }

    fn typed(&self, value: &'a Value, path: String, depth: usize) -> Result<Typed, DocumentError> {
        if depth > MAX_DEPTH {
            return Err(DocumentError::new(path, format!("is nested more than {MAX_DEPTH} levels deep")));
        }
        let (value, path) = self.follow(value, path, depth)?;
        if value.as_bool() == Some(true) {
            return Ok(Typed { nullable: true, ..Typed::plain(DataType::Json) });
        }
        let node = Node::at(value, &path)?;
        let mut typed = match node.text("x-duckdb-type")? {
            Some(text) => Typed::plain(node.data_type("x-duckdb-type", text)?),
            None => self.by_words(node, depth)?,
        };
        let (one_of, null) = node.values("enum")?;
        typed.nullable |= null;
        let checks = Checks { one_of, ..node.checks()? };
        let checks = match node.get("const") {
            Some(_) => Checks { one_of: node.one("const")?, ..checks },
            None => checks,
        };
        // Types that can't be held to checks are read as they come: what they hold is for the reader.
        if checks.fit(&typed.data_type).is_ok() {
            typed.checks = checks;
        }
        Ok(typed)
    }

    /// The type by `type`, `anyOf` and `oneOf`.
    fn by_words(&self, node: Node<'a>, depth: usize) -> Result<Typed, DocumentError> {
        for word in ["anyOf", "oneOf"] {
            let choices = node.list(word)?;
            if !choices.is_empty() {
                return self.choice(&node.place(word), choices, depth);
            }
        }
        let words = match node.get("type") {
            Some(Value::Array(_)) => node.texts("type")?,
            Some(_) => node.text("type")?.into_iter().collect(),
            None if node.get("properties").is_some() => vec!["object"],
            None if node.get("items").is_some() => vec!["array"],
            None => Vec::new(),
        };
        let nullable = words.contains(&"null");
        let plain: Vec<&str> = words.into_iter().filter(|word| *word != "null").collect();
        let data_type = match plain.as_slice() {
            ["string"] => text_type(&node)?,
            ["integer"] => integer_type(&node)?,
            ["number"] | ["integer", "number"] | ["number", "integer"] => number_type(&node),
            ["boolean"] => DataType::Boolean,
            ["array"] => self.list_type(node, depth)?,
            ["object"] => self.object_type(node, depth)?,
            [unknown] => return Err(node.error("type", format!("{unknown:?} is no type of JSON Schema"))),
            _ => DataType::Json,
        };
        Ok(Typed { nullable, ..Typed::plain(data_type) })
    }

    /// `T or null` is a `T` that may be NULL; any other choice is JSON.
    fn choice(&self, path: &str, choices: &'a [Value], depth: usize) -> Result<Typed, DocumentError> {
        let is_null = |choice: &Value| choice.get("type").is_some_and(|word| word == "null");
        let nullable = choices.iter().any(is_null);
        let mut others = choices.iter().enumerate().filter(|(_, choice)| !is_null(choice));
        match (others.next(), others.next()) {
            (Some((index, only)), None) => {
                let typed = self.typed(only, join(path, &index.to_string()), depth + 1)?;
                Ok(Typed { nullable: nullable || typed.nullable, ..typed })
            }
            _ => Ok(Typed { nullable, ..Typed::plain(DataType::Json) }),
        }
    }

    fn list_type(&self, node: Node<'a>, depth: usize) -> Result<DataType, DocumentError> {
        match node.get("items") {
            Some(items) if items.is_object() => Ok(DataType::List(Box::new(
                self.typed(items, node.place("items"), depth + 1)?.data_type.without_lengths(),
            ))),
            _ => Ok(DataType::Json),
        }
    }

    fn object_type(&self, node: Node<'a>, depth: usize) -> Result<DataType, DocumentError> {
        let properties = node.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty());
        if let Some(properties) = properties {
            return self.struct_type(&node.place("properties"), properties, depth);
        }
        match node.get("additionalProperties") {
            Some(values) if values.is_object() => {
                let values =
                    self.typed(values, node.place("additionalProperties"), depth + 1)?.data_type.without_lengths();
                Ok(DataType::Map(Box::new(DataType::Varchar(None)), Box::new(values)))
            }
            _ => Ok(DataType::Json),
        }
    }

    fn struct_type(
        &self,
        path: &str,
        properties: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<DataType, DocumentError> {
        let mut fields: Vec<(ColumnName, DataType)> = Vec::new();
        for (name, value) in properties {
            let path = join(path, name);
            let name = ColumnName::parse(name).map_err(|error| DocumentError::new(&path, error.to_string()))?;
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(DocumentError::new(path, "appears twice; names differ in more than case"));
            }
            // Lengths within nested types aren't enforced, so they aren't declared.
            fields.push((name, self.typed(value, path, depth + 1)?.data_type.without_lengths()));
        }
        Ok(DataType::Struct(fields))
    }
}

fn text_type(node: &Node<'_>) -> Result<DataType, DocumentError> {
    if node.text("contentEncoding")? == Some("base64") {
        return Ok(DataType::Blob);
    }
    Ok(match node.text("format")? {
        Some("date") => DataType::Date,
        Some("time") => DataType::Time,
        Some("date-time") => DataType::TimestampTz,
        Some("uuid") => DataType::Uuid,
        _ => DataType::Varchar(node.count("maxLength")?.filter(|most| *most > 0)),
    })
}

fn integer_type(node: &Node<'_>) -> Result<DataType, DocumentError> {
    Ok(match node.text("format")? {
        Some("int8") => DataType::TinyInt,
        Some("int16") => DataType::SmallInt,
        Some("int32") => DataType::Integer,
        Some("uint8") => DataType::UTinyInt,
        Some("uint16") => DataType::USmallInt,
        Some("uint32") => DataType::UInteger,
        Some("uint64") => DataType::UBigInt,
        _ => DataType::BigInt,
    })
}

/// Numbers that are multiples of 0.1, 0.01, … are decimals.
fn number_type(node: &Node<'_>) -> DataType {
    let step = node.get("multipleOf").and_then(Value::as_f64);
    let scale =
        step.and_then(|step| (1..=18_u8).find(|scale| (step * 10_f64.powi(i32::from(*scale)) - 1.0).abs() < 1e-9));
    match scale {
        Some(scale) => DataType::Decimal { precision: whole_digits(node).saturating_add(scale).min(38), scale },
        None => DataType::Double,
    }
}

/// Digits before the point that the ends allow; 18 where there are none.
fn whole_digits(node: &Node<'_>) -> u8 {
    let end = |name| node.get(name).and_then(Value::as_f64).map(f64::abs);
    let low = end("minimum").or(end("exclusiveMinimum"));
    let high = end("maximum").or(end("exclusiveMaximum"));
    match low.zip(high) {
        Some((low, high)) => (1..18_u8).find(|digits| low.max(high) < 10_f64.powi(i32::from(*digits))).unwrap_or(18),
        None => 18,
    }
}

fn fill(node: &Node<'_>, data_type: &DataType) -> Result<Option<Fill>, DocumentError> {
    match node.text("x-fill")? {
        Some(word) => Fill::parse(word).map(Some).ok_or_else(|| node.error("x-fill", Fill::WORDS)),
        // What clients only read is the server's to fill in.
        None if node.truth("readOnly")? == Some(true) => Ok(match data_type {
            DataType::Uuid => Some(Fill::Uuid),
            DataType::Date => Some(Fill::Today),
            DataType::Timestamp | DataType::TimestampTz => Some(Fill::Created),
            _ => None,
        }),
        None => Ok(None),
    }
}
